package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/dokku-push/dokku-push/agent/sigil"
	"github.com/dokku-push/dokku-push/api"
)

const sigilUsage = `Usage: sigil [-f FILE | -i TEMPLATE] [-p] [KEY=VALUE ...]

    -f FILE      read the template from a file; - or nothing: from stdin
    -i TEMPLATE  the template itself
    -p           replace $KEY and ${KEY} as a shell does, before the template is read
    -v           print the version
`

// mostTemplate is the largest template, in bytes.
const mostTemplate = 4 << 20

// template is what sigil was asked for.
type template struct {
	file   string // empty: stdin
	inline *string
	posix  bool
	vars   map[string]string
}

// sigil is the template program of that name (PLUGIN-CONTRACT 5.9).
func (p *program) sigil(args []string) int {
	asked := template{vars: map[string]string{}}
	for n := 0; n < len(args); n++ {
		word := args[n]
		flag, value, joined := strings.Cut(strings.TrimPrefix(word, "-"), "=")
		switch {
		case word == "-h" || word == "--help":
			fmt.Fprint(p.out, sigilUsage)
			return 0
		case word == "-v" || word == "--version":
			fmt.Fprintln(p.out, version)
			return 0
		case word == "-p" || word == "--posix":
			asked.posix = true
		case strings.HasPrefix(word, "-") && (strings.TrimPrefix(flag, "-") == "f" || strings.TrimPrefix(flag, "-") == "i"):
			if !joined {
				if n++; n >= len(args) {
					fmt.Fprint(p.err, sigilUsage)
					return 2
				}
				value = args[n]
			}
			if strings.HasSuffix(flag, "f") {
				asked.file = value
			} else {
				asked.inline = &value
			}
		case strings.HasPrefix(word, "-") && !strings.Contains(word, "="):
			fmt.Fprint(p.err, sigilUsage)
			return 2
		default:
			if key, value, ok := strings.Cut(word, "="); ok {
				asked.vars[key] = value
			} // other words sigil passes over, too
		}
	}
	return p.told("sigil", p.render(asked))
}

func (p *program) render(asked template) error {
	text, err := p.template(asked)
	if err != nil {
		return err
	}
	// What was given is found by {{ var "K" }} too, before the environment.
	lookup := func(name string) (string, bool) {
		if value, ok := asked.vars[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	}
	if asked.posix {
		if text, err = sigil.Expand(text, lookup); err != nil {
			return err
		}
	}
	out, err := sigil.Render(text, maps.Clone(asked.vars), lookup)
	if err != nil {
		return err
	}
	_, err = io.WriteString(p.out, out)
	return err
}

func (p *program) template(asked template) (string, error) {
	if asked.inline != nil {
		return *asked.inline, nil
	}
	from := io.Reader(p.in)
	if asked.file != "" && asked.file != "-" {
		file, err := os.Open(asked.file)
		if err != nil {
			return "", api.Errorf(api.Usage, "read the template", "%w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, mostTemplate+1))
	if err != nil {
		return "", fmt.Errorf("read the template: %w", err)
	}
	if len(text) > mostTemplate {
		return "", api.Errorf(api.Usage, "read the template", "it is larger than %d MiB", mostTemplate>>20)
	}
	return string(text), nil
}
