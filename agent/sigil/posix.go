package sigil

import (
	"fmt"
	"strings"
)

// Expand replaces $K, ${K} and the forms of a shell that have a default in them, ${K:-x}, ${K-x},
// ${K:=x}, ${K=x}, ${K:+x}, ${K+x}, ${K:?x} and ${K?x}; \$ stays a dollar sign. A dollar
// sign with nothing like a name behind it stays, and what replaces is not looked at
// again: no command is ever run. The error names the line.
func Expand(text string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for at := 0; at < len(text); {
		switch {
		case text[at] == '\\' && at+1 < len(text) && text[at+1] == '$':
			out.WriteByte('$')
			at += 2
		case text[at] != '$' || at+1 == len(text):
			out.WriteByte(text[at])
			at++
		case text[at+1] == '{':
			end := closing(text, at+2)
			if end < 0 {
				return "", fmt.Errorf("read the template: line %d: ${ without a }", 1+strings.Count(text[:at], "\n"))
			}
			value, err := parameter(text[at+2:end], lookup)
			if err != nil {
				return "", fmt.Errorf("read the template: line %d: %w", 1+strings.Count(text[:at], "\n"), err)
			}
			out.WriteString(value)
			at = end + 1
		default:
			name := nameAt(text[at+1:])
			if name == "" {
				out.WriteByte('$')
			} else {
				value, _ := lookup(name)
				out.WriteString(value)
			}
			at += 1 + len(name)
		}
		if out.Len() > mostOutput {
			return "", errTooLong
		}
	}
	return out.String(), nil
}

// closing finds the } of a ${ whose inside begins at from; -1: there is none.
func closing(text string, from int) int {
	depth := 1
	for at := from; at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], "${"):
			depth++
		case text[at] == '}':
			if depth--; depth == 0 {
				return at
			}
		}
	}
	return -1
}

// nameAt is the name that a text begins with.
func nameAt(text string) string {
	for n, c := range text {
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || n > 0 && c >= '0' && c <= '9' {
			continue
		}
		return text[:n]
	}
	return text
}

// parameter is the value of what stands between ${ and }.
func parameter(inside string, lookup func(string) (string, bool)) (string, error) {
	name := nameAt(inside)
	rest := inside[len(name):]
	value, set := lookup(name)
	if name == "" {
		return "", fmt.Errorf("${%s} names nothing", inside)
	}
	if rest == "" {
		return value, nil
	}
	if word, ok := strings.CutPrefix(rest, ":"); ok { // an empty value counts as none
		rest, set = word, value != ""
	}
	if rest == "" {
		return "", fmt.Errorf("${%s} has no meaning here", inside)
	}
	word := rest[1:]
	switch rest[0] {
	case '-', '=':
		if set {
			return value, nil
		}
		return Expand(word, lookup)
	case '+':
		if !set {
			return "", nil
		}
		return Expand(word, lookup)
	case '?':
		if set {
			return value, nil
		}
		if word == "" {
			word = "is not set"
		}
		return "", fmt.Errorf("%s: %s", name, word)
	}
	return "", fmt.Errorf("${%s} has no meaning here", inside)
}
