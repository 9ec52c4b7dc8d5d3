package nginx

import (
	"context"
	_ "embed" // the built-in template
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/sigil"
	"github.com/dokku-push/dokku-push/api"
)

// builtin is what an app without a template of its own gets.
//
//go:embed site.conf.sigil
var builtin string

const opRender = "render the nginx file"

// Render makes the app's file: from its own template if it has one that the
// property nginx/disable-custom-config does not switch off, else from the built-in
// one, which is also that of an app that is not deployed: there is nothing yet for
// an upstream of its own. Nothing on disk changes.
func (n *Nginx) Render(ctx context.Context, site agent.Site) ([]byte, error) {
	return n.render(site, facts{version: n.version(ctx), ipv6: hasIPv6()})
}

// facts are what a file depends on beside its app.
type facts struct {
	version [3]int
	ipv6    bool
}

func (f facts) atLeast(version ...int) bool { return slices.Compare(f.version[:], version) >= 0 }

func (n *Nginx) render(site agent.Site, host facts) ([]byte, error) {
	if err := checkApp(site.App); err != nil {
		return nil, err
	}
	for _, domain := range site.Domains {
		if err := Domain(domain); err != nil {
			return nil, api.Errorf(api.ProxyFailed, opRender, "%w", err).WithHint("domains:remove %s it", site.App)
		}
	}
	vars, err := n.variables(site, host)
	if err != nil {
		return nil, err
	}
	text, custom := builtin, false
	disabled, err := n.property(site, "disable-custom-config")
	if err != nil {
		return nil, err
	}
	if site.Template != "" && site.Deployed && disabled != "true" {
		text, custom = site.Template, true
	}
	rendered, err := sigil.Render(text, vars, func(name string) (string, bool) {
		value, ok := site.Env[name]
		return value, ok && site.Deployed
	})
	if err != nil {
		return nil, api.Errorf(api.ProxyFailed, opRender, "nginx.conf.sigil of %s: %w", site.App, err)
	}
	if custom {
		if err := n.allowed(site, rendered); err != nil {
			return nil, err
		}
	}
	return []byte(strings.TrimSpace(rendered) + "\n"), nil
}

// tuning are the variables that a property of the same meaning sets
// (nginx:set), for the app or for all.
var tuning = []struct{ variable, property, usual string }{
	{"NGINX_ACCESS_LOG_FORMAT", "access-log-format", ""},
	{"NGINX_UNDERSCORE_IN_HEADERS", "underscore-in-headers", "off"},
	{"CLIENT_BODY_TIMEOUT", "client-body-timeout", "60s"},
	{"CLIENT_HEADER_TIMEOUT", "client-header-timeout", "60s"},
	{"CLIENT_MAX_BODY_SIZE", "client-max-body-size", "1m"},
	{"KEEPALIVE_TIMEOUT", "keepalive-timeout", "75s"},
	{"LINGERING_TIMEOUT", "lingering-timeout", "5s"},
	{"SEND_TIMEOUT", "send-timeout", "60s"},
	{"PROXY_CONNECT_TIMEOUT", "proxy-connect-timeout", "60s"},
	{"PROXY_READ_TIMEOUT", "proxy-read-timeout", "60s"},
	{"PROXY_SEND_TIMEOUT", "proxy-send-timeout", "60s"},
	{"PROXY_BUFFER_SIZE", "proxy-buffer-size", "4k"},
	{"PROXY_BUFFERING", "proxy-buffering", "on"},
	{"PROXY_BUFFERS", "proxy-buffers", "8 4k"},
	{"PROXY_BUSY_BUFFERS_SIZE", "proxy-busy-buffers-size", "8k"},
	{"PROXY_KEEPALIVE", "proxy-keepalive", ""},
	{"PROXY_X_FORWARDED_FOR", "x-forwarded-for-value", "$remote_addr"},
	{"PROXY_X_FORWARDED_PORT", "x-forwarded-port-value", "$server_port"},
	{"PROXY_X_FORWARDED_PROTO", "x-forwarded-proto-value", "$scheme"},
	{"PROXY_X_FORWARDED_SSL", "x-forwarded-ssl", ""},
}

// forbidden in a property's value: it would end the directive it is written into.
const forbidden = ";{}\"'\\#\n\r"

// property is nginx/KEY of the app, else of the host.
func (n *Nginx) property(site agent.Site, key string) (value string, err error) {
	value = site.Properties[key]
	if value == "" {
		text, _, err := readFile(n.Places.Property("nginx", "--global", key))
		if err != nil {
			return "", fmt.Errorf("read the property nginx/%s: %w", key, err)
		}
		value = string(text)
	}
	value = strings.TrimSpace(value)
	if strings.ContainsAny(value, forbidden) {
		return "", api.Errorf(api.ProxyFailed, opRender, "the property %s of %s has a character that nginx would read as its own", key, site.App).
			WithHint("nginx:set %s %s to a plain value", site.App, key)
	}
	return value, nil
}

// variables are those of PLUGIN-CONTRACT 6.6, for the built-in template and an app's own.
func (n *Nginx) variables(site agent.Site, host facts) (map[string]string, error) {
	app := site.App
	names := strings.Join(site.Domains, " ")
	vars := map[string]string{
		"APP": app, "DOKKU_ROOT": n.Places.Root, "DOKKU_LIB_ROOT": n.Places.Lib,
		"NOSSL_SERVER_NAME": names, "SSL_SERVER_NAME": names, "SSL_INUSE": truth(n.hasTLS(app)), "APP_SSL_PATH": n.Places.TLS(app),
		"NGINX_LOG_ROOT": n.logDir(), "PASSED_LISTEN_IP_PORT": "",
		"SPDY_SUPPORTED": "false", "TLS13_SUPPORTED": "true", "HTTP2_SUPPORTED": "true", "GRPC_SUPPORTED": "true",
		"HTTP2_DIRECTIVE_SUPPORTED": strconv.FormatBool(host.atLeast(1, 25, 1)),
		"HTTP2_PUSH_SUPPORTED":      strconv.FormatBool(host.atLeast(1, 13, 9) && !host.atLeast(1, 25)),
	}
	for _, row := range tuning {
		value, err := n.property(site, row.property)
		if err != nil {
			return nil, err
		}
		vars[row.variable] = orElse(value, row.usual)
	}
	header, err := n.hsts(site)
	if err != nil {
		return nil, err
	}
	vars["HSTS_HEADER"] = header
	n.portVariables(vars, site)
	listenerVariables(vars, site)
	for _, row := range []struct{ variable, property, usual string }{
		{"NGINX_ACCESS_LOG_PATH", "access-log-path", filepath.Join(n.logDir(), app+"-access.log")},
		{"NGINX_ERROR_LOG_PATH", "error-log-path", filepath.Join(n.logDir(), app+"-error.log")},
		{"NGINX_BIND_ADDRESS_IP4", "bind-address-ipv4", n.Config.Bind},
		{"NGINX_BIND_ADDRESS_IP6", "bind-address-ipv6", n.bind6(host)},
		{"HSTS", "hsts", truth(!exists(filepath.Join(n.Places.NginxConfDir(app), "hsts.conf")))},
	} {
		value, err := n.property(site, row.property)
		if err != nil {
			return nil, err
		}
		vars[row.variable] = orElse(value, row.usual)
	}
	return vars, nil
}

// hsts is what browsers are told to remember of an app that is served with TLS.
func (n *Nginx) hsts(site agent.Site) (string, error) {
	values := map[string]string{}
	for _, key := range []string{"hsts-max-age", "hsts-include-subdomains", "hsts-preload"} {
		value, err := n.property(site, key)
		if err != nil {
			return "", err
		}
		values[key] = value
	}
	header := "max-age=" + orElse(values["hsts-max-age"], "15724800")
	if values["hsts-include-subdomains"] != "false" {
		header += "; includeSubdomains"
	}
	if values["hsts-preload"] == "true" {
		header += "; preload"
	}
	return header, nil
}

// portVariables puts the port map in the ports that this nginx serves. What is not
// HTTP is not nginx's here.
func (n *Nginx) portVariables(vars map[string]string, site agent.Site) {
	var maps, upstream []string
	for _, port := range site.Ports {
		if port.Scheme == "tcp" || port.Scheme == "udp" {
			continue
		}
		served := agent.PortMap{Scheme: port.Scheme, Host: n.served(port.Host), Container: port.Container}
		maps = append(maps, served.String())
		if container := strconv.Itoa(port.Container); !slices.Contains(upstream, container) {
			upstream = append(upstream, container)
		}
	}
	vars["PROXY_PORT_MAP"], vars["PROXY_UPSTREAM_PORTS"] = strings.Join(maps, " "), strings.Join(upstream, " ")
	vars["PROXY_PORT"], vars["PROXY_SSL_PORT"] = strconv.Itoa(orElse(site.HTTPPort, n.httpPort())), strconv.Itoa(orElse(site.TLSPort, n.tlsPort()))
	vars["NGINX_PORT"], vars["NGINX_SSL_PORT"] = vars["PROXY_PORT"], vars["PROXY_SSL_PORT"]
}

func (n *Nginx) served(port int) int {
	switch port {
	case 80:
		return n.httpPort()
	case 443:
		return n.tlsPort()
	}
	return port
}

func listenerVariables(vars map[string]string, site agent.Site) {
	vars["DOKKU_APP_WEB_LISTENERS"] = ""
	for process, listeners := range site.Listeners {
		if process == "web" && !site.Deployed {
			continue
		}
		name := strings.ToUpper(strings.ReplaceAll(process, "-", "_"))
		vars["DOKKU_APP_"+name+"_LISTENERS"] = strings.Join(listeners, " ")
	}
	web := vars["DOKKU_APP_WEB_LISTENERS"]
	first, _, _ := strings.Cut(web, " ")
	ip, port, _ := strings.Cut(first, ":")
	vars["DOKKU_APP_LISTENERS"], vars["DOKKU_APP_LISTEN_IP"], vars["DOKKU_APP_LISTEN_PORT"] = web, ip, port
}

// bind6 is the IPv6 address to listen on. A host bound to one address listens there alone.
func (n *Nginx) bind6(host facts) string {
	if n.Config.Bind == "" && host.ipv6 {
		return "::"
	}
	return ""
}

func (n *Nginx) hasTLS(app string) bool {
	return exists(filepath.Join(n.Places.TLS(app), "server.crt")) && exists(filepath.Join(n.Places.TLS(app), "server.key"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// truth is yes or no as templates ask for it: {{ if .X }}.
func truth(yes bool) string {
	if yes {
		return "true"
	}
	return ""
}

// hasIPv6 tells whether the kernel speaks IPv6: nginx does not start where a listen
// directive names what the kernel lacks.
func hasIPv6() bool {
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

var versionText = regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`)

// version asks nginx for its version; zero when it does not say.
func (n *Nginx) version(ctx context.Context) (version [3]int) {
	out, err := exec.CommandContext(ctx, n.program(), "-v").CombinedOutput()
	if found := versionText.FindSubmatch(out); err == nil && found != nil {
		for i := range version {
			version[i], _ = strconv.Atoi(string(found[i+1])) // digits, by the expression
		}
	}
	return version
}

func (n *Nginx) program() string { return orElse(n.Config.Program, "nginx") }
