package imports

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/manifest"
)

// domains reads the app's names. Those that every app has of itself are not written.
func (l *look) domains(ctx context.Context) error {
	r, err := l.must(ctx, "domains:report", "domains", l.app)
	if err != nil {
		return err
	}
	names := strings.Fields(r.get("app-vhosts"))
	var usual []string
	for _, global := range strings.Fields(r.get("global-vhosts")) {
		usual = append(usual, l.app+"."+global)
	}
	switch {
	case r.get("app-enabled") == "false":
		l.file.set("domains", "[]")
		if len(names) > 0 {
			l.stay("domains that are turned off: " + strings.Join(names, " "))
		}
	case len(names) > 0 && !slices.Equal(names, usual):
		value := list(names)
		if l.takes("domains "+strings.Join(names, " "), "domains = "+value+"\n") {
			l.file.set("domains", value)
		}
	}
	return nil
}

// ports reads the port map; before Dokku 0.31 it was the proxy's.
func (l *look) ports(ctx context.Context) error {
	r, known, err := l.report(ctx, "ports:report", "ports", l.app)
	if err != nil {
		return err
	}
	ports := r.get("map")
	if !known {
		if r, err = l.must(ctx, "proxy:report", "proxy", l.app); err != nil {
			return err
		}
		ports = r.get("port-map")
	}
	if maps := strings.Fields(ports); len(maps) > 0 {
		value := list(maps)
		if l.takes("ports "+ports, "ports = "+value+"\n") {
			l.file.set("ports", value)
		}
	}
	return nil
}

// checks reads how containers are checked.
func (l *look) checks(ctx context.Context) error {
	r, err := l.must(ctx, "checks:report", "checks", l.app)
	if err != nil {
		return err
	}
	var rows []row
	add := func(key, value string) {
		if l.takes("checks "+key+" "+value, "checks {\n  "+key+" = "+value+"\n}\n") {
			rows = append(rows, row{key, value})
		}
	}
	for _, key := range []string{"disabled", "skipped"} {
		if words := r.get(key + "-list"); words != "" && words != "none" {
			add(key, list(strings.FieldsFunc(words, func(c rune) bool { return c == ',' || c == ' ' })))
		}
	}
	for _, one := range []struct{ property, key string }{{"default-wait", "wait"}, {"wait-to-retire", "wait_to_retire"}} {
		if value := r.get(one.property); value != "" {
			add(one.key, quoteTime(value))
		}
	}
	l.file.block("checks", rows)
	return nil
}

// quoteTime writes seconds as they are, and a time with its unit as a text.
func quoteTime(value string) string {
	if isNumber(value) {
		return value
	}
	return quote(value)
}

// oldNginx is what older Dokkus report of a property that nobody has set; newer ones tell
// what is the app's own.
func oldNginx(app string) map[string]string {
	return map[string]string{
		"access-log-path": "/var/log/nginx/" + app + "-access.log", "error-log-path": "/var/log/nginx/" + app + "-error.log",
		"bind-address-ipv4": "", "bind-address-ipv6": "::", "disable-custom-config": "false", "nginx-conf-sigil-path": "nginx.conf.sigil",
		"hsts": "true", "hsts-include-subdomains": "true", "hsts-max-age": "15724800", "hsts-preload": "false",
		"client-max-body-size": "1m", "client-body-timeout": "60s", "client-header-timeout": "60s", "keepalive-timeout": "75s", "lingering-timeout": "5s", "send-timeout": "60s",
		"proxy-connect-timeout": "60s", "proxy-read-timeout": "60s", "proxy-send-timeout": "60s", "proxy-buffering": "on",
		"proxy-buffer-size": "4096", "proxy-buffers": "8 4096", "proxy-busy-buffers-size": "8192", "underscore-in-headers": "off",
		"x-forwarded-for-value": "$remote_addr", "x-forwarded-port-value": "$server_port", "x-forwarded-proto-value": "$scheme",
	}
}

// nginx reads the properties that are the app's own.
func (l *look) nginx(ctx context.Context) error {
	r, err := l.must(ctx, "nginx:report", "nginx", l.app)
	if err != nil {
		return err
	}
	usual := oldNginx(l.app)
	var rows []row
	for _, key := range manifest.NginxProperties() {
		value := r.get(key)
		switch {
		case value == "" || !r.has("computed-"+key) && value == usual[key]:
		case key == "nginx-conf-sigil-path":
			l.stay("nginx:set " + l.app + " " + key + " " + value + ": nginx { " + key + " } names it once the file is in the tree")
		case l.takes("nginx "+key, "nginx {\n  "+key+" = "+quote(value)+"\n}\n"):
			rows = append(rows, row{key, quote(value)})
		}
	}
	l.file.block("nginx", rows)
	for _, key := range slices.Sorted(maps.Keys(r.values)) { // of newer Dokkus, what this program has no word for
		name, computed := strings.CutPrefix(strings.TrimPrefix(key, "nginx-"), "computed-")
		if computed && !slices.Contains(manifest.NginxProperties(), name) && r.get(name) != "" {
			l.stay("nginx:set " + l.app + " " + name)
		}
	}
	return nil
}
