package imports

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// plainKeys are words of Dokku, of buildpacks and of frameworks whose values are no
// secrets, as long as they look like words.
var plainKeys = []string{"BUILDPACK_URL", "NO_VHOST", "NODE_ENV", "RACK_ENV", "RAILS_ENV", "WEB_CONCURRENCY", "LANG", "TZ"}

var (
	plainForm   = regexp.MustCompile(`^[A-Za-z0-9_.:/#+,-]{0,200}$`)
	exportForm  = regexp.MustCompile(`^(?:export )?([A-Za-z_][A-Za-z0-9_]*)=`)
	secretWords = regexp.MustCompile(`(?i)secret|token|passw|private|credential|api_?key|access_?key|auth|salt|dsn|://[^/\s@]*@`)
	inURL       = regexp.MustCompile(`://[^/\s@]*@`) // a password, or a token in the place of a name
)

// readConfig parts the app's config keys: what the host sets itself, what links of services
// set, what is plainly no secret, and secrets, of which the name alone is kept.
func (l *look) readConfig(ctx context.Context) error {
	env, err := l.export(ctx, l.app)
	if err != nil {
		return err
	}
	git, _, err := l.report(ctx, "git:report", "git", l.app)
	if err != nil {
		return err
	}
	var own []string
	for _, key := range slices.Sorted(maps.Keys(env)) {
		value := env[key]
		switch {
		case key == "PORT" || key == "GIT_REV" || key == git.get("rev-env-var"): // the host's own to set
		case refused("secrets = [\""+key+"\"]\n") != "":
			own = append(own, key)
		case l.isLink(value):
			l.stay("config " + key + ": its service sets it, by the link")
		case value == "" || l.isPlain(key, value):
			if l.takes("config "+key, "config {\n  "+key+" = "+quote(value)+"\n}\n") {
				l.config = append(l.config, row{key, quote(value)})
			}
		default:
			l.secrets = append(l.secrets, key)
		}
	}
	if len(own) > 0 {
		l.stay("config " + strings.Join(own, ", ") + ": the host's own, for config:set alone")
	}
	l.mistyped(env)
	return nil
}

// mistyped are the keys of --plain that are not there.
func (l *look) mistyped(env map[string]string) {
	for _, key := range l.options.Plain {
		if _, known := env[key]; !known {
			l.unknown = append(l.unknown, key)
		}
	}
}

func (l *look) isPlain(key, value string) bool {
	return slices.Contains(l.options.Plain, key) ||
		slices.Contains(plainKeys, key) && plainForm.MatchString(value) && !secretWords.MatchString(value)
}

// isLink tells a URL that leads to a linked service's container.
func (l *look) isLink(value string) bool {
	_, rest, ok := strings.Cut(value, "://")
	if !ok {
		return false
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	address, _, _ := strings.Cut(rest, "/")
	address, _, _ = strings.Cut(address, ":")
	return slices.Contains(l.linked, address)
}

// export reads the config of the app, or the host's where there is none.
func (l *look) export(ctx context.Context, app string) (map[string]string, error) {
	if app == "" {
		app = "--global"
	}
	answer, err := l.command(ctx, "config:export", "--format", "json", app)
	if err != nil {
		return nil, err
	}
	if answer.Exit == 0 && strings.HasPrefix(strings.TrimSpace(answer.Out), "{") {
		var env map[string]string
		if json.Unmarshal([]byte(answer.Out), &env) != nil {
			return nil, unknownSecret("config:export --format json "+app, 0)
		}
		return env, checkKeys(env)
	}
	command := "config:export " + app
	if answer, err = l.command(ctx, "config:export", app); err != nil {
		return nil, err
	}
	if answer.Exit != 0 {
		return nil, answer.good(command)
	}
	env, n := parseExports(answer.Out)
	if n >= 0 {
		return nil, unknownSecret(command, n)
	}
	return env, checkKeys(env)
}

func checkKeys(env map[string]string) error {
	for key := range env {
		if err := manifest.EnvKey(key); err != nil {
			return api.Errorf(api.WrongProtocol, "import", "config:export: %w", err)
		}
	}
	return nil
}

// parseExports reads what a shell would: KEY='value' or KEY="value", with export or without
// it; a value may have several lines. A line that it does not understand is named, counted
// from 0; -1: there is none.
func parseExports(text string) (env map[string]string, unknown int) {
	env = map[string]string{}
	rest := text
	for {
		rest = strings.TrimLeft(rest, "\r\n")
		if rest == "" {
			return env, -1
		}
		at := strings.Count(text[:len(text)-len(rest)], "\n")
		found := exportForm.FindStringSubmatch(rest)
		if found == nil {
			return nil, at
		}
		value, n := shellWord(rest[len(found[0]):])
		if n < 0 {
			return nil, at
		}
		env[found[1]] = value
		rest = rest[len(found[0])+n:]
	}
}

// shellWord reads a word as a shell does that expands nothing, up to the end of its line. It
// returns how many bytes it has taken; -1: it does not end, or there is more on the line.
func shellWord(text string) (word string, taken int) {
	var value strings.Builder
	for n := 0; n < len(text); n++ {
		switch c := text[n]; c {
		case '\n', '\r':
			return value.String(), n
		case '\'':
			end := strings.IndexByte(text[n+1:], '\'')
			if end < 0 {
				return "", -1
			}
			value.WriteString(text[n+1 : n+1+end])
			n += 1 + end
		case '"':
			end := n + 1
			for ; end < len(text) && text[end] != '"'; end++ {
				if text[end] == '$' || text[end] == '`' {
					return "", -1
				}
				if text[end] == '\\' && end+1 < len(text) && strings.IndexByte("\"\\$`", text[end+1]) >= 0 {
					end++
				}
				value.WriteByte(text[end])
			}
			if end == len(text) {
				return "", -1
			}
			n = end
		case '\\':
			if n++; n == len(text) {
				return "", -1
			}
			value.WriteByte(text[n])
		case ' ', '\t', '$', '`', ';', '&', '|', '<', '>', '(', ')':
			return "", -1
		default:
			value.WriteByte(c)
		}
	}
	return value.String(), len(text)
}
