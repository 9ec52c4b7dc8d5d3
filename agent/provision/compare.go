package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
)

// check refuses what no client of ours would send, before anything is compared.
func check(document api.HostDocument) error {
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.InvalidManifest, "read the server block "+document.Server, format, args...)
	}
	seen := map[string]bool{}
	for _, one := range document.Keys {
		_, fingerprint, err := publicKey(one.PublicKey)
		switch {
		case err != nil:
			return refuse("ssh_key %q: %w", one.Name, err)
		case seen["name "+one.Name] || seen["key "+fingerprint]:
			return refuse("ssh_key %q: its name or its key is there twice", one.Name)
		}
		seen["name "+one.Name], seen["key "+fingerprint] = true, true
	}
	for _, one := range document.Plugins {
		if one.URL == "" || one.Name == "" || seen["plugin "+one.Name] {
			return refuse("plugin %q: it has no address, or is there twice", one.Name)
		}
		seen["plugin "+one.Name] = true
	}
	for _, word := range slices.Concat(document.Apps, slices.Collect(maps.Keys(document.Config))) {
		if word == "" || strings.HasPrefix(word, "-") || strings.ContainsAny(word, " \t\r\n\x00=") {
			return refuse("%q is no name", word)
		}
	}
	return nil
}

// publicKey is one line of a .pub file in its plain form, and its fingerprint.
func publicKey(text string) (line, fingerprint string, err error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err == nil && (len(options) > 0 || len(rest) > 0) {
		err = fmt.Errorf("it is more than one public key")
	}
	if err != nil {
		return "", "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), ssh.FingerprintSHA256(key), nil
}

// compare works out what is to be done, in the order in which it is done: what apps and
// plugins lean on first, what is no longer named last.
func (h *Host) compare(ctx context.Context, document api.HostDocument) (changes []change, warnings []string, err error) {
	former, err := h.remembered()
	if err != nil {
		return nil, nil, err
	}
	set, unset, err := h.settings(document, former)
	if err != nil {
		return nil, nil, err
	}
	plugins, stays, err := h.plugins(ctx, document, former)
	if err != nil {
		return nil, nil, err
	}
	added, removed, err := h.keys(document, former)
	if err != nil {
		return nil, nil, err
	}
	apps, forgotten, err := h.apps(document, former)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(set, plugins, added, apps, removed, unset), slices.Concat(stays, forgotten), nil
}

func changed(kind, name string, action api.Action, note string, commands ...command) change {
	return change{PlanChange: api.PlanChange{Kind: kind, Name: name, Action: action, Note: note}, commands: commands}
}

func dokku(argv ...string) command { return command{argv: argv} }

// settings are global config and domains.
func (h *Host) settings(document api.HostDocument, former names) (set, unset []change, err error) {
	now, err := h.Global()
	if err != nil {
		return nil, nil, fmt.Errorf("read the global settings: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(document.Config)) {
		value, is := now.Env[key]
		if is && value == document.Config[key] {
			continue
		}
		text, err := json.Marshal(map[string]string{key: document.Config[key]})
		if err != nil {
			return nil, nil, fmt.Errorf("write the global config: %w", err)
		}
		action := api.Add
		if is {
			action = api.Update
		}
		// A value goes by standard input: others can read the words of a command.
		set = append(set, changed("config", key, action, "", command{argv: []string{"config:import", "--no-restart", "--format", "json", "--global"}, stdin: string(text)}))
	}
	if document.Domains != nil && !slices.Equal(*document.Domains, now.Domains) {
		one := changed("domains", "", api.Update, "", dokku(append([]string{"domains:set-global"}, *document.Domains...)...))
		if len(*document.Domains) == 0 {
			one = changed("domains", "", api.Remove, "", dokku("domains:clear-global"))
		}
		one.Before, one.After = strings.Join(now.Domains, " "), strings.Join(*document.Domains, " ")
		set = append(set, one)
	}
	for _, key := range former.Config {
		_, named := document.Config[key]
		if _, is := now.Env[key]; is && !named {
			unset = append(unset, changed("config", key, api.Remove, "no longer named", dokku("config:unset", "--no-restart", "--global", key)))
		}
	}
	return set, unset, nil
}

// plugins are installed, enabled and brought to the committish that is asked for. One that
// is no longer named stays: it may hold data.
func (h *Host) plugins(ctx context.Context, document api.HostDocument, former names) (changes []change, stays []string, err error) {
	list, err := h.Plugins(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the plugins: %w", err)
	}
	there := map[string]plugin.Plugin{}
	for _, one := range list {
		there[one.Name] = one
	}
	for _, wanted := range document.Plugins {
		is, found := there[wanted.Name]
		switch {
		case !found:
			argv := []string{"plugin:install", wanted.URL, "--name", wanted.Name}
			if wanted.Committish != "" {
				argv = append(argv, "--committish", wanted.Committish)
			}
			one := changed("plugin", wanted.Name, api.Add, "", dokku(argv...))
			one.After = strings.TrimSpace(wanted.URL + " " + wanted.Committish)
			changes = append(changes, one)
			continue
		case is.Core || is.SourceURL != wanted.URL:
			return nil, nil, api.Errorf(api.Precondition, "compare the plugins", "the plugin %s is installed already, from %s", wanted.Name, orElse(is.SourceURL, "elsewhere")).
				WithHint("plugin:uninstall %s first, or name it otherwise", wanted.Name)
		case !is.Enabled:
			changes = append(changes, changed("plugin", wanted.Name, api.Update, "enable", dokku("plugin:enable", wanted.Name)))
		}
		if pinned := h.Pinned(wanted.Name); wanted.Committish != "" && wanted.Committish != pinned && wanted.Committish != is.Committish {
			one := changed("plugin", wanted.Name, api.Update, "", dokku("plugin:update", wanted.Name, wanted.Committish))
			one.Before, one.After = orElse(pinned, is.Committish), wanted.Committish
			changes = append(changes, one)
		}
	}
	for _, name := range former.Plugins {
		_, is := there[name]
		if is && !slices.ContainsFunc(document.Plugins, func(p api.HostPlugin) bool { return p.Name == name }) {
			stays = append(stays, fmt.Sprintf("the plugin %s is no longer named and stays: plugin:uninstall %s removes it", name, name))
		}
	}
	return changes, stays, nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// keys get their names; one that an earlier document let in and this one does not is out.
func (h *Host) keys(document api.HostDocument, former names) (added, removed []change, err error) {
	list, err := h.Keys()
	if err != nil {
		return nil, nil, err
	}
	byName, byKey := map[string]string{}, map[string]string{}
	for _, one := range list {
		byName[one.Name], byKey[one.Fingerprint] = one.Fingerprint, one.Name
	}
	wanted := map[string]bool{}
	for _, one := range document.Keys {
		line, fingerprint, err := publicKey(one.PublicKey)
		if err != nil {
			return nil, nil, err
		}
		wanted[one.Name], wanted[fingerprint] = true, true
		add := command{argv: []string{"ssh-keys:add", one.Name}, stdin: line + "\n"}
		was, other := byName[one.Name], byKey[fingerprint]
		switch {
		case was == fingerprint:
			continue
		case was != "" && other != "":
			return nil, nil, api.Errorf(api.Precondition, "compare the ssh keys", "%s is the name of another key, and the key %s is there as %s", one.Name, fingerprint, other).
				WithHint("ssh-keys:remove %s first", one.Name)
		case was != "":
			renewed := changed("ssh_key", one.Name, api.Update, "", dokku("ssh-keys:remove", one.Name), add)
			renewed.Before, renewed.After = was, fingerprint
			added = append(added, renewed)
		case other != "":
			added = append(added, changed("ssh_key", one.Name, api.Update, "its name was "+other, dokku("ssh-keys:remove", "--fingerprint", fingerprint), add))
		default:
			fresh := changed("ssh_key", one.Name, api.Add, "", add)
			fresh.After = fingerprint
			added = append(added, fresh)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(former.Keys)) {
		fingerprint := former.Keys[name]
		if byName[name] == fingerprint && !wanted[name] && !wanted[fingerprint] {
			removed = append(removed, changed("ssh_key", name, api.Remove, "no longer named", dokku("ssh-keys:remove", "--fingerprint", fingerprint)))
		}
	}
	return added, removed, nil
}

// apps are created. One that is no longer named stays.
func (h *Host) apps(document api.HostDocument, former names) (changes []change, stays []string, err error) {
	there, err := h.Apps()
	if err != nil {
		return nil, nil, fmt.Errorf("list the apps: %w", err)
	}
	for _, name := range document.Apps {
		if !slices.Contains(there, name) {
			changes = append(changes, changed("app", name, api.Add, "", dokku("apps:create", name)))
		}
	}
	for _, name := range former.Apps {
		if slices.Contains(there, name) && !slices.Contains(document.Apps, name) {
			stays = append(stays, fmt.Sprintf("the app %s is no longer named and stays: apps:destroy %s removes it", name, name))
		}
	}
	return changes, stays, nil
}
