// Package sigil renders templates in the language of the program of that name, as
// far as nginx templates and plugins of Dokku use it: Go's text/template, variables
// that are all reachable as .K, $.K and $K, and a few functions on text. A template
// comes from an app's repository, so nothing here reads files, starts programs or
// reaches out.
package sigil

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// mostOutput bounds what a template may render, in bytes.
const mostOutput = 4 << 20

// dollar is a variable as a template's author writes it.
var dollar = regexp.MustCompile(`\$[A-Za-z_][A-Za-z0-9_]*`)

// plainName is a name that text/template accepts behind a dollar sign.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Render executes text with the variables. A variable that was not given is empty
// as $K and "<no value>" as .K. env answers {{ var "K" }}; it may be nil. An error
// names the template's line; nothing is returned beside it.
func Render(text string, vars map[string]string, env func(string) (string, bool)) (string, error) {
	data := make(map[string]any, len(vars))
	for name, value := range vars {
		data[name] = value
	}
	parsed, err := template.New("template").Funcs(functions(env)).Parse(prelude(text, vars) + text)
	if err != nil {
		return "", explain("read the template", err)
	}
	out := &limited{}
	if err := parsed.Execute(out, data); err != nil {
		return "", explain("render the template", err)
	}
	return out.String(), nil
}

// prelude declares every variable in front of the template's first line, so that
// the line numbers of errors stay the author's.
func prelude(text string, vars map[string]string) string {
	names := map[string]bool{}
	for name := range vars {
		if plainName.MatchString(name) {
			names[name] = true
		}
	}
	for _, used := range dollar.FindAllString(text, -1) {
		names[used[1:]] = true
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, given := vars[name]; given {
			fmt.Fprintf(&out, "{{$%s := .%s}}", name, name)
		} else {
			fmt.Fprintf(&out, "{{$%s := \"\"}}", name)
		}
	}
	return out.String()
}

// column is the place inside a line that text/template reports. On the first line
// it counts the prelude in, so it is left out everywhere.
var column = regexp.MustCompile(`^template: template:(\d+)(:\d+)?: `)

func explain(doing string, err error) error {
	if errors.Is(err, errTooLong) {
		return fmt.Errorf("%s: %w", doing, errTooLong)
	}
	message := column.ReplaceAllString(err.Error(), "line $1: ")
	return fmt.Errorf("%s: %s", doing, strings.ReplaceAll(message, `executing "template" at `, "at "))
}

var errTooLong = fmt.Errorf("it renders to more than %d bytes", mostOutput)

// limited keeps a template from filling the memory.
type limited struct{ strings.Builder }

func (l *limited) Write(text []byte) (int, error) {
	if l.Len()+len(text) > mostOutput {
		return 0, errTooLong
	}
	return l.Builder.Write(text)
}
