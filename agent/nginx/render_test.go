package nginx

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func site(app string, ports ...agent.PortMap) agent.Site {
	return agent.Site{App: app, Domains: []string{app + ".example.com", "www." + app + ".example.com"}, Ports: ports, Deployed: true,
		Listeners: map[string][]string{"web": {"198.18.0.1:5000", "198.18.0.2:5000"}, "sidekiq-mail": {"172.17.0.9"}}}
}

var (
	plain  = agent.PortMap{Scheme: "http", Host: 80, Container: 5000}
	secure = agent.PortMap{Scheme: "https", Host: 443, Container: 5000}
)

// fixed is a host whose places do not depend on the machine, except for the
// certificates and properties that a test writes, which the golden text names ROOT.
func fixed(t *testing.T, bind string) *Nginx {
	t.Helper()
	dir := t.TempDir()
	n := &Nginx{Places: agent.Places{Root: filepath.Join(dir, "home"), Lib: filepath.Join(dir, "lib")},
		Config: agent.NginxConfig{Bind: bind, LogDir: "/var/log/nginx"}}
	if bind != "" {
		n.Config.Port, n.Config.TLSPort = 8080, 8443
	}
	return n
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := writeFile(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestRenderGolden(t *testing.T) {
	custom := site("own", plain)
	custom.Env = map[string]string{"GREETING": "hello"}
	custom.Template = "upstream {{ $APP }}-5000 {\n{{ range $l := .DOKKU_APP_WEB_LISTENERS | split \" \" }}    server {{ $l }};\n{{ end }}}\n" +
		"server {\n    listen {{ .PROXY_PORT }};\n    server_name {{ $NOSSL_SERVER_NAME }};\n    add_header X-G {{ var \"GREETING\" }}{{ $NEVER_SET }};\n" +
		"    access_log {{ .NGINX_ACCESS_LOG_PATH }};\n    include {{ .DOKKU_ROOT }}/{{ .APP }}/nginx.conf.d/*.conf;\n" +
		"    location / { proxy_pass http://{{ .APP }}-5000; } # workers: {{ .DOKKU_APP_SIDEKIQ_MAIL_LISTENERS }}\n}\n"
	undeployed := site("idle", plain)
	undeployed.Deployed = false
	noDomain := site("quiet", agent.PortMap{Scheme: "http", Host: 8123, Container: 5000})
	noDomain.Domains = nil
	for _, c := range []struct {
		name  string
		bind  string
		tls   bool
		hsts  string
		facts facts
		site  agent.Site
	}{
		{"http", "", false, "", facts{version: [3]int{1, 22, 1}, ipv6: true}, site("shop", plain)},
		{"https", "", true, "", facts{version: [3]int{1, 22, 1}}, site("shop", plain, secure)},
		{"https-embedded-http2-directive", "127.0.0.1", true, "false", facts{version: [3]int{1, 26, 0}}, site("shop", plain, secure)},
		{"https-without-certificate", "", false, "", facts{version: [3]int{1, 22, 1}}, site("shop", plain, secure)},
		{"undeployed", "127.0.0.1", false, "", facts{version: [3]int{1, 22, 1}}, undeployed},
		{"no-domain", "", false, "", facts{version: [3]int{1, 22, 1}}, noDomain},
		{"two-ports", "127.0.0.1", false, "", facts{version: [3]int{1, 22, 1}}, site("shop", plain, agent.PortMap{Scheme: "grpc", Host: 9000, Container: 9001}, agent.PortMap{Scheme: "udp", Host: 53, Container: 53})},
		{"no-http", "", false, "", facts{version: [3]int{1, 22, 1}}, site("shop", agent.PortMap{Scheme: "tcp", Host: 22, Container: 5000}, agent.PortMap{Scheme: "udp", Host: 53, Container: 53})},
		{"custom", "", false, "", facts{version: [3]int{1, 22, 1}}, custom},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := fixed(t, c.bind)
			if c.tls {
				put(t, filepath.Join(n.Places.TLS(c.site.App), "server.crt"), "x")
				put(t, filepath.Join(n.Places.TLS(c.site.App), "server.key"), "x")
			}
			if c.hsts != "" {
				c.site.Properties = map[string]string{"hsts": c.hsts}
				put(t, n.Places.Property("nginx", "--global", "client-max-body-size"), "20m\n")
			}
			conf, err := n.render(c.site, c.facts)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, strings.ReplaceAll(string(conf), n.Places.Root, "ROOT"))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	const path = "testdata/render.txtar"
	archive, err := txtar.ParseFile(path)
	if errors.Is(err, os.ErrNotExist) && *update {
		archive, err = &txtar.Archive{}, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range archive.Files {
		if archive.Files[i].Name != name {
			continue
		}
		if *update {
			archive.Files[i].Data = []byte(got)
			put(t, path, string(txtar.Format(archive)))
		} else if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
			t.Errorf("(-want +got; go test -run Golden -update)\n%s", diff)
		}
		return
	}
	if !*update {
		t.Fatalf("%s has no %s", path, name)
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got)})
	put(t, path, string(txtar.Format(archive)))
}

func TestRenderRefuses(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"load_module modules/x.so;", "line 1 of what it renders: load_module"},
		{"server {\n  content_by_lua_block { x }\n}", "line 2"},
		{"lua_package_path x;", "run code"},
		{"server { perl x::y; }", "run code"},
		{"server {\n\n  listen 80 default_server;\n}", "line 3 of what it renders: listen … default_server"},
		{"server { location / { proxy_pass http://unix:/var/run/docker.sock; } }", "unix socket"},
		{"server { location / { \"proxy_pass\" 'http://UNIX:/x'; } }", "unix socket"},
		{"upstream x { server unix:/x; }", "unix socket"},
		{"server { set $to http://169.254.169.254/; }", "metadata"},
		{"server {\n # ;\n proxy_pass\n http://169.254.169.254;\n}", "line 3"},
		{"server { access_log /etc/cron.d/x; }", "outside of /var/log/nginx"},
		{"server { error_log /var/log/nginx/../x; }", "outside of /var/log/nginx"},
		{"server { access_log /var/log/nginx/$host; }", "outside of"},
		{"server { include /etc/nginx/conf.d/x; }", "include is outside"},
		{"server { include {{ .DOKKU_ROOT }}/other/nginx.conf.d/*.conf; }", "include is outside"},
		{"server { include ../x; }", "include is outside"},
		{"a\n{{ .APP | nothing }}", "nginx.conf.sigil of shop: read the template: line 2"},
	} {
		n := fixed(t, "")
		s := site("shop", plain)
		s.Template = c.template
		conf, err := n.render(s, facts{})
		var problem *api.Error
		if !errors.As(err, &problem) || problem.Code != api.ProxyFailed || !strings.Contains(err.Error(), c.want) || conf != nil {
			t.Errorf("%q: got %v, want %q", c.template, err, c.want)
		}
	}
	n := fixed(t, "")
	s := site("shop", plain)
	s.Template = "server { access_log off; error_log /var/log/nginx/x.log; include mime.types; include {{ .DOKKU_ROOT }}/shop/nginx.conf.d/*.conf; set $a ${b}c; location ~ \\.php$ { return 200 \"load_module; }\"; } }"
	if _, err := n.render(s, facts{}); err != nil {
		t.Errorf("what is usual: %v", err)
	}
	s.Domains = []string{"a.example.com; } server {"}
	if _, err := n.render(s, facts{}); err == nil {
		t.Error("a domain with a semicolon was rendered")
	}
	s = site("../x", plain)
	if _, err := n.render(s, facts{}); err == nil {
		t.Error("an app named ../x was rendered")
	}
	s = site("shop", plain)
	s.Properties = map[string]string{"client-max-body-size": "1m; include /etc/shadow"}
	if _, err := n.render(s, facts{}); err == nil {
		t.Error("a property with a semicolon was rendered")
	}
}

func TestDomain(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, good := range []string{"example.com", "a.b-c.example.com", "*.example.com", "xn--bcher-kva.example", "shop.localhost", "intranet", "A1.Example.com", long + ".example.com"} {
		if err := Domain(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "_", "*", "*.com*", "a.*.example.com", "a;b.com", "a{b.com", "a}b.com", "a\"b.com", "a'b.com", "$host", "a b.com", "a\nb.com", "a\rb.com",
		strings.Repeat(long+".", 4) + "example", long + "a.com", "bücher.example", "127.0.0.1", "::1", "[::1]", "example.com.", ".example.com", "a..b", "-a.com", "a-.com", "under_score.com", "1.2.3.4.5", "~^x$"} {
		if Domain(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// FuzzDirectives: whatever the text, each directive has a word and a line that exists.
func FuzzDirectives(f *testing.F) {
	f.Add("server {\n listen 80; # x\n set $a ${b; \"q\\\"\";}")
	f.Add("'unclosed\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range directives(text) {
			if len(d.words) == 0 || d.line < 1 || d.line > strings.Count(text, "\n")+1 {
				t.Fatalf("%q: %+v", text, d)
			}
		}
	})
}
