package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

// jsonReader reads values of a JSON text whose comments and trailing commas are
// accepted, and says where each mistake stands.
type jsonReader struct{ *source }

// parse returns the root value, or nil after a mistake. No object of it has the
// same key twice.
func (r jsonReader) parse() *hujson.Value {
	if r.failed() || !r.scan() {
		return nil
	}
	root, err := hujson.Parse([]byte(r.text))
	if err != nil {
		r.syntax(err)
		return nil
	}
	for v := range root.All() {
		object, ok := v.Value.(*hujson.Object)
		if !ok {
			continue
		}
		seen := map[string]bool{}
		for _, m := range object.Members {
			key := m.Name.Value.(hujson.Literal).String()
			if seen[key] {
				r.mistake(m.Name.StartOffset, "the key "+show(key)+" stands twice in one object", "keep one of the two")
			}
			seen[key] = true
		}
	}
	return &root
}

// syntax turns the parser's error, which begins with its place, into a mistake.
func (r jsonReader) syntax(err error) {
	var line, column int
	text := err.Error()
	if _, scanErr := fmt.Sscanf(text, "hujson: line %d, column %d:", &line, &column); scanErr != nil {
		r.whole(Mistake, "it is not JSON", "strings and keys stand in double quotes; entries are separated by commas")
		return
	}
	offset := 0
	for range line - 1 {
		offset += strings.IndexByte(r.text[offset:], '\n') + 1
	}
	_, what, _ := strings.Cut(text, "column "+strconv.Itoa(column)+": ")
	message, hint := jsonWords(what)
	r.mistake(offset+column-1, message, hint)
}

// jsonWords tells the parser's mistake in our words. What it says of a literal holds the
// literal, of any length.
func jsonWords(what string) (message, hint string) {
	const quotes = "strings and keys stand in double quotes; entries are separated by commas"
	for _, known := range [...]struct{ says, message, hint string }{
		{"invalid literal", "this is no JSON value", quotes},
		{"unexpected EOF", "the file ends too early", "each { [ and \" has its counterpart"},
		{"after object value", "there is no comma before this", "write a comma after each entry but the last, and } at the end"},
		{"after array value", "there is no comma before this", "write a comma after each element but the last, and ] at the end"},
		{"after object name", "there is no colon after the key", "write \"key\": value"},
		{"at start of object name", "this is no key", "keys stand in double quotes"},
		{"at start of value", "this is no JSON value", quotes},
		{"after top-level value", "there is more after the end of the value", "the file is one { … }"},
	} {
		if strings.Contains(what, known.says) {
			return known.message, known.hint
		}
	}
	return "it is not JSON", quotes
}

// scan refuses what would make the parser recurse without bound, and tells of the
// two things that JSON has not: comments and trailing commas.
func (r jsonReader) scan() bool {
	depth, comma, comment, trailing := 0, -1, -1, -1
	for i := 0; i < len(r.text); i++ {
		switch c := r.text[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			for i++; i < len(r.text) && r.text[i] != '"'; i++ {
				if r.text[i] == '\\' {
					i++
				}
			}
		case '/':
			if end := commentEnd(r.text[i:]); end > 0 {
				if comment < 0 {
					comment = i
				}
				i += end - 1
				continue
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				r.mistake(i, fmt.Sprintf("values lie more than %d deep within each other", maxDepth), r.file+" needs no such depth")
				return false
			}
		case '}', ']':
			depth--
			if comma >= 0 && trailing < 0 {
				trailing = comma
			}
		case ',':
			comma = i
			continue
		}
		comma = -1
	}
	if comment >= 0 {
		r.advice(comment, "JSON has no comments", r.taken("them"))
	}
	if trailing >= 0 {
		r.advice(trailing, "JSON has no comma after the last entry", r.taken("it"))
	}
	return true
}

// taken says who takes what is no JSON.
func (r jsonReader) taken(what string) string {
	if strings.HasSuffix(r.file, twinName) {
		return "other readers of JSON do not take " + what
	}
	return "Dokku takes " + what + ", Heroku does not"
}

// commentEnd returns the length of the comment that text begins with, or 0.
func commentEnd(text string) int {
	for begin, end := range map[string]string{"//": "\n", "/*": "*/"} {
		if strings.HasPrefix(text, begin) {
			i := strings.Index(text[2:], end)
			if i < 0 {
				return len(text)
			}
			return i + 2 + len(end)
		}
	}
	return 0
}

// member is an entry of an object.
type member struct {
	key   string
	at    int // of the key
	value *hujson.Value
	path  string // of the value, as messages name it
}

// members returns the entries of an object. The root's path is empty.
func (r jsonReader) members(v *hujson.Value, path string) []member {
	object, ok := v.Value.(*hujson.Object)
	if !ok {
		r.wrongType(v, path, "an object: { … }")
		return nil
	}
	members := make([]member, 0, len(object.Members))
	for i := range object.Members {
		m := &object.Members[i]
		key := m.Name.Value.(hujson.Literal).String()
		inner := show(key)
		if path != "" {
			inner = path + "." + inner
		}
		members = append(members, member{key, m.Name.StartOffset, &m.Value, inner})
	}
	return members
}

// fields reads an object whose keys are known: each by its function, null as if it
// were not there. The ignored ones have a meaning elsewhere, and none here yet.
func (r jsonReader) fields(v *hujson.Value, path string, known map[string]func(member), ignored ...string) {
	for _, m := range r.members(v, path) {
		read, ok := known[m.key]
		switch {
		case ok && m.value.Value.Kind() != 'n':
			read(m)
		case ok:
		case slices.Contains(ignored, m.key):
			r.advice(m.at, m.path+" is not used", "this deploy goes on without it")
		default:
			names := slices.Clone(ignored)
			for name := range known {
				names = append(names, name)
			}
			r.advice(m.at, m.path+" is not known and not used", didYouMean(m.key, names))
		}
	}
}

// list returns the elements of an array, with their paths.
func (r jsonReader) list(v *hujson.Value, path string) []member {
	array, ok := v.Value.(*hujson.Array)
	if !ok {
		r.wrongType(v, path, "a list: [ … ]")
		return nil
	}
	var elements []member
	for i := range array.Elements {
		element := &array.Elements[i]
		elements = append(elements, member{"", element.StartOffset, element, fmt.Sprintf("%s[%d]", path, i)})
	}
	return elements
}

func (r jsonReader) stringOf(m member) (string, bool) {
	literal, ok := m.value.Value.(hujson.Literal)
	if !ok || literal.Kind() != '"' {
		r.wrongType(m.value, m.path, "a string, in double quotes")
		return "", false
	}
	return literal.String(), true
}

func (r jsonReader) boolean(m member) bool {
	literal, ok := m.value.Value.(hujson.Literal)
	if !ok || literal.Kind() != 't' && literal.Kind() != 'f' {
		r.wrongType(m.value, m.path, "true or false")
		return false
	}
	return literal.Bool()
}

// number reads a whole number from low to high.
func (r jsonReader) number(m member, low, high int) (int, bool) {
	want := fmt.Sprintf("a whole number from %d to %d", low, high)
	literal, ok := m.value.Value.(hujson.Literal)
	if !ok || literal.Kind() != '0' {
		r.wrongType(m.value, m.path, want)
		return 0, false
	}
	n, err := strconv.Atoi(string(literal))
	if err != nil || n < low || n > high {
		r.mistake(m.value.StartOffset, m.path+" is "+show(string(literal)), "write "+want)
		return 0, false
	}
	return n, true
}

func (r jsonReader) wrongType(v *hujson.Value, path, want string) {
	is := map[hujson.Kind]string{'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "a list"}[v.Value.Kind()]
	if path == "" {
		path = "the file"
	}
	r.mistake(v.StartOffset, path+" is "+is, "write "+want)
}
