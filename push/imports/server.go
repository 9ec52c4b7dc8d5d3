package imports

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// Server reads what is the host's own and writes a server block of that name for
// `dokku-push host apply`. Public keys are not to be had over the key that deploys, nor do
// old Dokkus tell where a plugin came from: both are named among what stays.
func Server(ctx context.Context, o Options, name string) (*Draft, error) {
	l := &look{host: &host{run: o.Run}, options: o}
	apps, err := Apps(ctx, o)
	if err != nil {
		return nil, err
	}
	rows := []row{{"address", quote(ownersAddress(o.Address))}}
	if o.HostKey != "" {
		rows = append(rows, row{"host_key", quote(o.HostKey)})
	}
	if len(apps) > 0 {
		rows = append(rows, row{"apps", list(apps)})
	}
	domains, err := l.globalDomains(ctx, apps)
	if err != nil {
		return nil, err
	}
	if len(domains) > 0 {
		rows = append(rows, row{"domains", list(domains)})
	}
	if err := l.globalConfig(ctx); err != nil {
		return nil, err
	}
	plugins, err := l.pluginBlocks(ctx)
	if err != nil {
		return nil, err
	}
	l.stay("ssh keys: only their owner knows the public keys; ssh_key \"NAME\" { public_key } names them")
	var block strings.Builder
	block.WriteString("server " + quote(name) + " {\n" + aligned("  ", rows))
	if len(l.config) > 0 {
		block.WriteString("\n  config {\n" + aligned("    ", l.config) + "  }\n")
	}
	block.WriteString(plugins + "}\n")
	l.file.blocks.WriteString(block.String())
	return l.draft(func(text string) string {
		servers, found := manifest.LoadServers(document(text), manifest.Options{})
		if found.Failed() {
			return found.Error()
		}
		if len(servers) != 1 || servers[0].Name != name {
			return "it describes another host"
		}
		return ""
	})
}

// ownersAddress is the address for whoever owns the host: the dokku user may only deploy.
func ownersAddress(address string) string {
	return "root@" + address[strings.LastIndexByte(address, '@')+1:]
}

// globalDomains reads the host's own report, or any app's: older Dokkus have no other.
func (l *look) globalDomains(ctx context.Context, apps []string) ([]string, error) {
	r, known, err := l.report(ctx, "domains:report", "domains", "")
	if err != nil && api.AsError(err).Code == api.Precondition && len(apps) > 0 {
		r, known, err = l.report(ctx, "domains:report", "domains", apps[0])
	}
	if err != nil || !known {
		return nil, err
	}
	var names []string
	for _, name := range strings.Fields(r.get("global-vhosts")) {
		if l.takesHere("domain "+name, "domains = ["+quote(name)+"]") {
			names = append(names, name)
		}
	}
	return names, nil
}

// takesHere is takes for what stands in a server block.
func (l *look) takesHere(what, text string) bool {
	return l.takes(what, "server \"here\" {\n"+text+"\n}\n")
}

// globalConfig takes over what is plainly no secret; a server block has no other place for
// secrets than the host itself.
func (l *look) globalConfig(ctx context.Context) error {
	env, err := l.export(ctx, "")
	if err != nil {
		return err
	}
	l.mistyped(env)
	var secret []string
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if !l.isPlain(key, env[key]) && env[key] != "" {
			secret = append(secret, key)
			continue
		}
		if l.takesHere("global config "+key, "config {\n"+key+" = "+quote(env[key])+"\n}") {
			l.config = append(l.config, row{key, quote(env[key])})
		}
	}
	if len(secret) > 0 {
		l.stay("global config " + strings.Join(secret, ", ") + ": config:set --global; --plain KEY says that one is no secret")
	}
	return nil
}

func (l *look) pluginBlocks(ctx context.Context) (string, error) {
	plugins, err := l.plugins(ctx)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range plugins {
		if p.URL == "" {
			l.stay("plugin " + p.Name + ": the host does not tell where it came from")
			continue
		}
		rows := []row{{"url", quote(p.URL)}}
		if p.Committish != "" {
			rows = append(rows, row{"committish", quote(p.Committish)})
		}
		block := "  plugin " + quote(p.Name) + " {\n" + aligned("    ", rows) + "  }\n"
		if inURL.MatchString(p.URL) && !strings.HasPrefix(p.URL, "ssh://git@") {
			l.stay("plugin " + p.Name + ": its URL holds a password")
		} else if l.takesHere("plugin "+p.Name, block) {
			text.WriteString("\n" + block)
		}
	}
	return text.String(), nil
}
