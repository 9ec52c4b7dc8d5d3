package nginx

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// stock are files that nginx itself brings and templates usually include.
var stock = []string{"mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params", "proxy_params"}

// metadata are addresses at which a cloud hands out its machine's credentials.
var metadata = []string{"169.254.169.254", "fd00:ec2::254", "metadata.google.internal"}

// allowed refuses what an app's own template may not do: the file that comes out of
// it is read by a server that all apps share (ALSO-REFUSE 54).
func (n *Nginx) allowed(site agent.Site, conf string) error {
	for _, d := range directives(conf) {
		if why := n.refuse(site, d); why != "" {
			return api.Errorf(api.ProxyFailed, opRender, "nginx.conf.sigil of %s: line %d of what it renders: %s", site.App, d.line, why).
				WithHint("change nginx.conf.sigil; the agent's built-in template shows what is usual")
		}
	}
	return nil
}

func (n *Nginx) refuse(site agent.Site, d directive) (why string) {
	name, args := d.words[0], d.words[1:]
	for _, word := range args {
		for _, address := range metadata {
			if strings.Contains(strings.ToLower(word), address) {
				return name + " names the cloud's metadata service"
			}
		}
	}
	switch {
	case name == "load_module", strings.HasPrefix(name, "lua_"), strings.Contains(name, "_by_lua"), name == "perl", strings.HasPrefix(name, "perl_"),
		strings.HasPrefix(name, "js_"):
		return name + " would run code inside of nginx"
	case name == "listen" && (slices.Contains(args, "default_server") || slices.Contains(args, "default")):
		return "listen … default_server would take other names' requests"
	case strings.HasSuffix(name, "_pass") || name == "server" || name == "set":
		if slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(strings.ToLower(arg), "unix:") }) {
			return name + " leads to a unix socket of the host"
		}
	case name == "access_log" || name == "error_log":
		if len(args) > 0 && !n.mayLog(site, args[0]) {
			return name + " is outside of " + n.logDir()
		}
	case name == "include":
		if len(args) != 1 || !n.mayInclude(site.App, args[0]) {
			return "include is outside of " + n.Places.App(site.App)
		}
	}
	return ""
}

func (n *Nginx) mayLog(site agent.Site, path string) bool {
	for _, key := range []string{"access-log-path", "error-log-path"} {
		if chosen, err := n.property(site, key); err == nil && chosen != "" && chosen == path {
			return true
		}
	}
	return path == "off" || path == "/dev/null" || inside(n.logDir(), path)
}

func (n *Nginx) mayInclude(app, path string) bool {
	return slices.Contains(stock, path) || slices.Contains(stock, strings.TrimPrefix(path, "/etc/nginx/")) || inside(n.Places.App(app), path)
}

// inside tells whether a path is below a folder, written so that it cannot leave it.
func inside(dir, path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && !strings.Contains(path, "$") && strings.HasPrefix(path, filepath.Clean(dir)+"/")
}

// directive is one directive of an nginx file with the line it begins on.
type directive struct {
	line  int
	words []string
}

// directives reads a file as nginx does: words, quotes, comments. A file that is
// not well-formed gives what can be read of it; nginx's own test refuses it.
func directives(conf string) []directive {
	var list []directive
	var now directive
	end := func() {
		if len(now.words) > 0 {
			list = append(list, now)
		}
		now = directive{}
	}
	line := 1
	for i := 0; i < len(conf); {
		switch c := conf[i]; {
		case c == '\n':
			line, i = line+1, i+1
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == ';' || c == '{' || c == '}':
			end()
			i++
		case c == '#':
			for i < len(conf) && conf[i] != '\n' {
				i++
			}
		default:
			word, size := readWord(conf[i:])
			if len(now.words) == 0 {
				now.line = line
			}
			now.words = append(now.words, word)
			line += strings.Count(conf[i:i+size], "\n")
			i += size
		}
	}
	end()
	return list
}

// readWord reads one word, quoted or plain, and returns how many bytes it took.
func readWord(text string) (word string, size int) {
	var out strings.Builder
	quote := byte(0)
	i := 0
	if text[0] == '"' || text[0] == '\'' {
		quote, i = text[0], 1
	}
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case quote != 0 && c == quote:
			return out.String(), i + 1
		case quote == 0 && c == '$' && strings.HasPrefix(text[i:], "${"):
			out.WriteString("${") // a variable's brace opens no block
			i++
			for i++; i < len(text) && text[i] != '}' && text[i] != '\n'; i++ {
				out.WriteByte(text[i])
			}
			if i < len(text) {
				out.WriteByte(text[i])
			}
		case quote == 0 && strings.IndexByte(" \t\r\n;{", c) >= 0:
			return out.String(), i
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), len(text)
}
