package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// escapes are what is written with a backslash between double quotes.
var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, `"`, `\"`, "!", `\!`, "$", `\$`, "`", "\\`")

// FormatEnv writes an env file: a line K="v" for each key, sorted, readable by
// ParseEnv, by Dokku and by a shell. It refuses keys that no shell takes and values with a NUL.
func FormatEnv(env map[string]string) ([]byte, error) {
	var text bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if !isKey(key) {
			return nil, fmt.Errorf("%q cannot be the name of a variable: letters, digits and _ only", key)
		}
		if strings.Contains(env[key], "\x00") {
			return nil, fmt.Errorf("the value of %s holds a NUL byte", key)
		}
		fmt.Fprintf(&text, "%s=\"%s\"\n", key, escapes.Replace(env[key]))
	}
	return text.Bytes(), nil
}

func isKey(key string) bool {
	for n, c := range []byte(key) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (n == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}

// ParseEnv reads an env file: lines K=v, K="v" with backslash escapes or K='v', each
// with "export " before it or not, quoted values over as many lines as they have;
// blank lines and those that begin with # mean nothing. A $ is nothing special.
// The last line of a key wins. Errors name the line and never the value.
func ParseEnv(text []byte) (map[string]string, error) {
	p := envParser{rest: string(text), line: 1}
	env := map[string]string{}
	for p.skipBlank(); p.rest != ""; p.skipBlank() {
		key, err := p.key()
		if err != nil {
			return nil, err
		}
		value, err := p.value(key)
		if err != nil {
			return nil, err
		}
		env[key] = value
	}
	return env, nil
}

type envParser struct {
	rest string
	line int
}

func (p *envParser) fail(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...))
}

// take removes the next n bytes and returns them.
func (p *envParser) take(n int) string {
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	p.line += strings.Count(taken, "\n")
	return taken
}

// skipBlank goes on to the next line that says something.
func (p *envParser) skipBlank() {
	for {
		p.take(len(p.rest) - len(strings.TrimLeft(p.rest, " \t\r\n")))
		if !strings.HasPrefix(p.rest, "#") {
			return
		}
		p.take(p.lineEnd())
	}
}

func (p *envParser) lineEnd() int {
	if end := strings.IndexByte(p.rest, '\n'); end >= 0 {
		return end
	}
	return len(p.rest)
}

func (p *envParser) key() (string, error) {
	before, _, ok := strings.Cut(p.rest[:p.lineEnd()], "=")
	if !ok {
		return "", p.fail("there is no = in it")
	}
	words := strings.Fields(before)
	if len(words) == 2 && words[0] == "export" {
		words = words[1:]
	}
	if len(words) != 1 || !isKey(words[0]) {
		return "", p.fail("what is before the = is not the name of a variable")
	}
	p.take(len(before) + 1)
	return words[0], nil
}

// value reads one value to the end of its line: bare, or quoted parts side by side.
func (p *envParser) value(key string) (string, error) {
	p.take(len(p.rest) - len(strings.TrimLeft(p.rest, " \t")))
	var value strings.Builder
	if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
		value.WriteString(p.bare())
		return p.checked(key, value.String())
	}
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '\'':
			end := strings.IndexByte(p.rest[1:], '\'')
			if end < 0 {
				return "", p.fail("the ' of %s is never closed", key)
			}
			value.WriteString(p.take(end + 2)[1 : end+1])
		case c == '"':
			if !p.doubleQuoted(&value) {
				return "", p.fail("the \" of %s is never closed", key)
			}
		case c == '\\' && len(p.rest) > 1: // the shell's '\'' between two quoted parts
			value.WriteString(p.take(2)[1:])
		case strings.IndexByte(" \t\r\n", c) >= 0:
			line := strings.TrimSpace(p.take(p.lineEnd()))
			if line != "" && line[0] != '#' {
				return "", p.fail("there is something after the value of %s", key)
			}
			return p.checked(key, value.String())
		default:
			value.WriteString(p.take(1))
		}
	}
	return p.checked(key, value.String())
}

func (p *envParser) checked(key, value string) (string, error) {
	if strings.Contains(value, "\x00") {
		return "", p.fail("the value of %s holds a NUL byte", key)
	}
	return value, nil
}

// bare reads a value without quotes: to the end of the line or a comment.
func (p *envParser) bare() string {
	value := p.take(p.lineEnd())
	for n := range len(value) {
		if value[n] == '#' && (n == 0 || value[n-1] == ' ' || value[n-1] == '\t') {
			value = value[:n]
			break
		}
	}
	return strings.Trim(value, " \t\r")
}

// doubleQuoted reads from one double quote to the next.
func (p *envParser) doubleQuoted(value *strings.Builder) (closed bool) {
	p.take(1)
	for p.rest != "" {
		c := p.take(1)
		switch {
		case c == `"`:
			return true
		case c == `\` && p.rest != "":
			switch c = p.take(1); c {
			case "n":
				c = "\n"
			case "r":
				c = "\r"
			}
		}
		value.WriteString(c)
	}
	return false
}
