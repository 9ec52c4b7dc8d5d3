package manifest

import (
	"slices"
	"strings"
)

// placeholders are values that people leave for others to replace.
var placeholders = [...]string{"changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "xxx", "todo"}

// IsPlaceholder tells that a value which must be given was not: it is empty, or still what
// somebody left for others to replace.
func IsPlaceholder(value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	return value == "" || slices.Contains(placeholders[:], value)
}

func (r appJSONReader) env(m member) {
	r.app.Env = map[string]EnvVar{}
	keys, total := keySet{}, 0
	for _, entry := range r.members(m.value, m.path) {
		problem, hint := declaredKey(entry.key)
		if problem == "" {
			problem, hint = keys.add(entry.key)
		}
		if problem != "" {
			r.mistake(entry.at, problem, hint)
			continue
		}
		r.note("env."+entry.key, entry.at)
		r.app.Env[entry.key] = r.envVar(entry)
		total += len(entry.key) + len(r.app.Env[entry.key].Value) + 2
	}
	if total > maxFile/2 {
		r.mistake(m.at, "the values of env are larger than 512 KiB together", "put large values into files of the image")
	}
}

func (r appJSONReader) envVar(m member) EnvVar {
	variable := EnvVar{Required: true}
	value := m
	switch m.value.Value.Kind() {
	case '"':
		variable.Value, _ = r.stringOf(m)
	case '{':
		r.fields(m.value, m.path, map[string]func(member){
			"description": func(m member) { variable.Description, _ = r.stringOf(m) },
			"value":       func(m member) { value = m; variable.Value, _ = r.stringOf(m) },
			"required":    func(m member) { variable.Required = r.boolean(m) },
			"sync":        func(m member) { variable.Sync = r.boolean(m) },
			"generator": func(m member) {
				text, ok := r.stringOf(m)
				if variable.Secret = text == "secret"; ok && !variable.Secret {
					r.mistake(m.value.StartOffset, m.path+" is "+show(text), "the only generator is \"secret\"")
				}
			},
		})
	default:
		r.wrongType(m.value, m.path, "a string in double quotes, or an object")
	}
	if problem, hint := checkValue(variable.Value); problem != "" {
		r.mistake(value.value.StartOffset, value.path+": "+problem, hint)
	}
	switch {
	case variable.Secret && variable.Value != "":
		r.mistake(value.at, m.path+" has both a value and a generator", "keep one of the two")
	case variable.Required && slices.Contains(placeholders[:], strings.ToLower(variable.Value)):
		r.mistake(value.value.StartOffset, m.path+" is required and its value is a placeholder",
			"leave the value out: then it must be set with config:set before the first deploy")
	}
	return variable
}

// keySet finds names of variables that differ only by case: people take them for
// one.
type keySet map[string]string

func (s keySet) add(key string) (problem, hint string) {
	folded := strings.ToLower(key)
	if former, twice := s[folded]; twice && former != key { // the same one twice is a mistake of its own
		return "variables " + former + " and " + key + " differ only by case", "keep one of the two"
	}
	s[folded] = key
	return "", ""
}
