package sigil

import (
	"encoding/base64"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// mostItems bounds the lists that a template makes out of nothing.
const mostItems = 10000

// refused are functions of the program that read files, start programs or reach
// out. A template that names one is told so, instead of "not defined".
var refused = []string{"file", "files", "include", "render", "sh", "shell", "http", "httpget", "stdin", "text", "json", "yaml", "exists", "dir", "dirs", "jmespath", "pointer"}

// functions are the filters. What a filter works on comes last, for pipelines:
// {{ .LIST | split " " | join "," }}.
func functions(env func(string) (string, bool)) template.FuncMap {
	table := template.FuncMap{
		"var": func(name string) string {
			if env == nil {
				return ""
			}
			value, _ := env(name)
			return value
		},
		"default": fallback,
		"split":   func(separator string, in any) []string { return strings.Split(str(in), separator) },
		"join": func(separator string, in any) (string, error) {
			l, err := list(in)
			return strings.Join(l, separator), err
		},
		"splitkv": splitPairs,
		"joinkv":  joinPairs,
		"append": func(item, in any) ([]string, error) {
			l, err := list(in)
			return append(slices.Clone(l), str(item)), err
		},
		"drop":       drop,
		"uniq":       unique,
		"seq":        sequence,
		"contains":   contains,
		"in":         contains,
		"match":      func(pattern string, in any) (bool, error) { return path.Match(pattern, str(in)) },
		"trim":       func(in any) string { return strings.TrimSpace(str(in)) },
		"replace":    func(from, to string, in any) string { return strings.ReplaceAll(str(in), from, to) },
		"lower":      func(in any) string { return strings.ToLower(str(in)) },
		"upper":      func(in any) string { return strings.ToUpper(str(in)) },
		"capitalize": capitalize,
		"substring":  substring,
		"indent":     indent,
		"base64enc":  func(in any) string { return base64.StdEncoding.EncodeToString([]byte(str(in))) },
		"base64dec": func(in any) (string, error) {
			text, err := base64.StdEncoding.DecodeString(str(in))
			return string(text), err
		},
	}
	for _, name := range refused {
		table[name] = func(...any) (string, error) {
			return "", fmt.Errorf("the function %s is not available here: a template may not read files, run programs or reach out", name)
		}
	}
	return table
}

// str is a value as text; nothing at all is the empty text.
func str(in any) string {
	switch value := in.(type) {
	case nil:
		return ""
	case string:
		return value
	}
	return fmt.Sprint(in)
}

// list is a value as a list of texts.
func list(in any) ([]string, error) {
	switch value := in.(type) {
	case nil:
		return nil, nil
	case []string:
		return value, nil
	case string:
		return nil, fmt.Errorf("%q is text where a list is needed", value)
	}
	from := reflect.ValueOf(in)
	if from.Kind() != reflect.Slice && from.Kind() != reflect.Array {
		return nil, fmt.Errorf("a %T is where a list is needed", in)
	}
	items := make([]string, from.Len())
	for i := range items {
		items[i] = str(from.Index(i).Interface())
	}
	return items, nil
}

func fallback(value, in any) any {
	if truth, ok := template.IsTrue(in); in == nil || ok && !truth {
		return value
	}
	return in
}

func splitPairs(separator string, in any) (map[string]string, error) {
	items, err := list(in)
	pairs := make(map[string]string, len(items))
	for _, item := range items {
		key, value, _ := strings.Cut(item, separator)
		pairs[key] = value
	}
	return pairs, err
}

func joinPairs(separator string, in map[string]string) []string {
	items := make([]string, 0, len(in))
	for key, value := range in {
		items = append(items, key+separator+value)
	}
	slices.Sort(items)
	return items
}

func drop(item, in any) ([]string, error) {
	items, err := list(in)
	return slices.DeleteFunc(slices.Clone(items), func(one string) bool { return one == str(item) }), err
}

func unique(in any) ([]string, error) {
	items, err := list(in)
	var once []string
	for _, item := range items {
		if !slices.Contains(once, item) {
			once = append(once, item)
		}
	}
	return once, err
}

func sequence(in any) ([]string, error) {
	count, err := strconv.Atoi(str(in))
	if err != nil || count < 0 || count > mostItems {
		return nil, fmt.Errorf("seq needs a number from 0 to %d, not %q", mostItems, str(in))
	}
	items := make([]string, count)
	for i := range items {
		items[i] = strconv.Itoa(i)
	}
	return items, nil
}

// contains tells whether a list has an item, or a text a part.
func contains(item, in any) (bool, error) {
	if text, ok := in.(string); ok || in == nil {
		return in != nil && strings.Contains(text, str(item)), nil
	}
	items, err := list(in)
	return slices.Contains(items, str(item)), err
}

func capitalize(in any) string {
	text := str(in)
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return text
	}
	return string(unicode.ToUpper(first)) + text[size:]
}

// substring cuts by "START:END"; either may be left out, and what lies outside of
// the text is cut to it.
func substring(cut string, in any) (string, error) {
	text := []rune(str(in))
	from, to, ok := strings.Cut(cut, ":")
	if !ok {
		return "", fmt.Errorf("substring needs START:END, not %q", cut)
	}
	bounds := [2]int{0, len(text)}
	for i, word := range []string{from, to} {
		if word == "" {
			continue
		}
		number, err := strconv.Atoi(word)
		if err != nil || number < 0 {
			return "", fmt.Errorf("substring needs START:END, not %q", cut)
		}
		bounds[i] = min(number, len(text))
	}
	if bounds[0] > bounds[1] {
		return "", nil
	}
	return string(text[bounds[0]:bounds[1]]), nil
}

func indent(prefix string, in any) string {
	lines := strings.Split(str(in), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = prefix + line
		}
	}
	return strings.Join(lines, "\n")
}
