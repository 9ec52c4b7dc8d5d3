package imports

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// stores are the plugins of Dokku's own organisation that run services.
var stores = []string{"clickhouse", "couchdb", "elasticsearch", "graphite", "mariadb", "meilisearch", "memcached", "mongo", "mysql", "nats", "omnisci", "postgres", "pushpin", "rabbitmq", "redis", "rethinkdb", "solr", "typesense"}

var serviceForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)

// links asks each plugin that runs services which of them the app has: those that link by
// other means than docker's --link are not among the options.
func (l *look) links(ctx context.Context) error {
	plugins, err := l.plugins(ctx)
	if err != nil {
		if api.AsError(err).Code != api.Precondition {
			return err
		}
		l.stay("plugins and their services are not all known: " + err.Error())
	}
	for _, p := range plugins {
		if !slices.Contains(stores, p.Name) && !strings.Contains(p.Description, "service plugin") {
			continue
		}
		command := p.Name + ":app-links"
		answer, err := l.command(ctx, command, l.app)
		if err != nil {
			return err
		}
		if answer.Exit != 0 {
			if !answer.unknownCommand() {
				l.stay("services of the plugin " + p.Name + " are not known: " + answer.said())
			}
			continue
		}
		for n, line := range lines(answer.Out) {
			name := strings.TrimSpace(line)
			if name == "" || strings.HasPrefix(name, "=====> ") {
				continue
			}
			if !serviceForm.MatchString(name) {
				return unknown(command+" "+l.app, n, line)
			}
			l.link(service{p.Name, name}, "dokku-"+p.Name+"-"+name)
		}
	}
	l.writeServices()
	return nil
}

// writeServices writes a block for each service. A block's label is its name, so of two
// services of one name the second cannot be in the file.
func (l *look) writeServices() {
	taken := map[string]bool{}
	for _, s := range l.services {
		text := "service " + quote(s.name) + " {\n  plugin = " + quote(s.plugin) + "\n}\n"
		switch {
		case taken[s.name]:
			l.stay("service " + s.name + " of the plugin " + s.plugin + ": a file names one service of a name; the link stays")
		case l.takes("service "+s.name+" of the plugin "+s.plugin, text):
			l.file.block("service "+quote(s.name), []row{{"plugin", quote(s.plugin)}})
		}
		taken[s.name] = true
	}
}

// plugin is a plugin of the host.
type plugin struct {
	Name        string `json:"name"`
	Enabled     bool   `json:"enabled"`
	Core        bool   `json:"core"`
	Description string `json:"description"`
	URL         string `json:"source_url"`
	Committish  string `json:"committish"`
}

var pluginForm = regexp.MustCompile(`^\s+(\S+)\s+(\S*?)\s+(enabled|disabled)(\s.*)?$`)

// plugins lists the host's plugins that are not Dokku's own.
func (h *host) plugins(ctx context.Context) (list []plugin, err error) {
	answer, err := h.command(ctx, "plugin:list", "--format", "json")
	if err == nil && answer.Exit != 0 {
		answer, err = h.command(ctx, "plugin:list")
	}
	if err != nil {
		return nil, err
	}
	if err := answer.good("plugin:list"); err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(answer.Out), "[") {
		if json.Unmarshal([]byte(answer.Out), &list) != nil {
			return nil, unknown("plugin:list --format json", 0, answer.Out)
		}
	} else if list, err = parsePlugins(answer.Out); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(p plugin) bool { return p.Core || !p.Enabled }), nil
}

// parsePlugins reads the list as plugn writes it, which tells Dokku's own plugins by their
// description alone.
func parsePlugins(text string) (list []plugin, err error) {
	for n, line := range lines(text) {
		if line == "" || strings.HasPrefix(line, "plugn:") {
			continue
		}
		found := pluginForm.FindStringSubmatch(line)
		if found == nil {
			return nil, unknown("plugin:list", n, line)
		}
		about := strings.TrimSpace(found[4])
		list = append(list, plugin{Name: found[1], Enabled: found[3] == "enabled", Core: strings.Contains(about, "dokku core"), Description: about})
	}
	return list, nil
}
