package manifest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// ProjectTOML is what of project.toml decides something. pack reads the file by itself,
// too; nothing else of it counts.
type ProjectTOML struct {
	Builder          string
	Buildpacks       []Buildpack
	Pre, Post        []Buildpack // run before and after the others
	Env              map[string]string
	Include, Exclude []string // which files the build sees; never both
	// Decides are the keys that decide something, as the file has them, sorted.
	Decides []string
}

// Buildpack is an entry of a group of project.toml: an id, a URI or a script of its own.
type Buildpack struct {
	ID, Version, URI string
	Script           bool
}

// String writes a buildpack as pack's --buildpack takes it.
func (b Buildpack) String() string {
	switch {
	case b.URI != "":
		return b.URI
	case b.Version != "":
		return b.ID + "@" + b.Version
	}
	return b.ID
}

func (l *loader) readProject() {
	name := l.inFolder(projectName)
	text, s, ok := l.open(name)
	if !ok {
		l.project = s
		return
	}
	l.app.Project, l.project = parseProject(name, text)
}

// ParseProject reads project.toml of either schema: [io.buildpacks], or [build] as it
// was before. After a mistake the ProjectTOML is nil.
func ParseProject(name string, text []byte) (*ProjectTOML, Diagnostics) {
	project, s := parseProject(name, text)
	return project, s.result()
}

type projectReader struct {
	*source
	project ProjectTOML
}

func parseProject(name string, text []byte) (*ProjectTOML, *source) {
	r := &projectReader{source: newSource(name, text)}
	if r.failed() {
		return nil, r.source
	}
	if !r.bounded() {
		return nil, r.source
	}
	var root map[string]any
	if _, err := toml.Decode(r.text, &root); err != nil {
		r.syntax(err)
		return nil, r.source
	}
	r.findKeys()
	r.table(root, "", map[string]func(string, any){
		"_": nil, "project": nil, "metadata": nil,
		"io": func(path string, v any) {
			r.table(v, path, map[string]func(string, any){"buildpacks": r.buildpacks})
		},
		"build": r.old,
	})
	if r.failed() {
		return nil, r.source
	}
	slices.Sort(r.project.Decides)
	return &r.project, r.source
}

// bounded refuses what would make the parser recurse without bound. It counts brackets
// outside texts of one line, which is near enough.
func (r *projectReader) bounded() bool {
	depth := 0
	var quote byte
	for i := 0; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '\n':
			quote = 0
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			for i+1 < len(r.text) && r.text[i+1] != '\n' {
				i++
			}
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				r.mistake(i, "values lie more than 32 deep within each other", "project.toml needs no such depth")
				return false
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return true
}

// syntax turns the parser's error into a mistake.
func (r *projectReader) syntax(err error) {
	var parse toml.ParseError
	if !errors.As(err, &parse) {
		r.whole(Mistake, "it is not TOML", "text stands in double quotes; tables begin with [name]")
		return
	}
	message, hint := tomlWords(parse.Message)
	r.mistake(max(parse.Position.Start, 0), message, hint) // -1 for a character before the first key
}

// tomlWords tells the parser's mistake in our words.
func tomlWords(what string) (message, hint string) {
	for _, known := range [...]struct{ says, message, hint string }{
		{"already been defined", "the key stands twice", "keep one of the two"},
		{"Duplicate", "the key stands twice", "keep one of the two"},
		{"table name", "the name of a table is not closed", "write [name], or [[name]] for one of several"},
		{"table array name", "the name of a table is not closed", "write [name], or [[name]] for one of several"},
		{"expected value", "there is no value after =", "text stands in double quotes"},
		{"key separator", "there is no = after the key", "write key = \"value\""},
		{"'='", "there is no = after the key", "write key = \"value\""},
		{"comma", "there is no comma between two elements", "write a comma after each"},
		{"expected '\"", "a text does not end", "text stands in double quotes, in one line"},
		{"expected \"'", "a text does not end", "text stands in quotes, in one line"},
		{"newlines", "a text goes over the end of the line", "text of several lines stands in three double quotes"},
		{"top-level item", "there is more on the line", "write each key on a line of its own"},
	} {
		if strings.Contains(what, known.says) {
			return known.message, known.hint
		}
	}
	return "it is not TOML", "text stands in double quotes; tables begin with [name]"
}

var (
	headerForm = regexp.MustCompile(`^\s*(\[+)\s*([A-Za-z0-9_.-]+)\s*\]+`)
	keyForm    = regexp.MustCompile(`^\s*([A-Za-z0-9_.-]+)\s*=`)
)

// findKeys notes where keys stand. The parser does not tell. Of several tables of one name
// each has its number: group[0].id.
func (r *projectReader) findKeys() {
	table, offset := "", 0
	several := map[string]int{}
	for _, line := range strings.Split(r.text, "\n") {
		at := offset + len(line) - len(strings.TrimLeft(line, " \t"))
		if header := headerForm.FindStringSubmatch(line); header != nil {
			table = header[2]
			r.first(table, at)
			if header[1] == "[[" {
				several[table]++
				table += fmt.Sprintf("[%d]", several[table]-1)
				r.first(table, at)
			}
			table += "."
		} else if key := keyForm.FindStringSubmatch(line); key != nil {
			r.first(table+key[1], at)
		}
		offset += len(line) + 1
	}
}

func (r *projectReader) first(path string, at int) {
	if _, known := r.places[path]; !known {
		r.places[path] = at
	}
}

// at is where a key stands, or, as far as that is known, what it is in.
func (r *projectReader) at(path string) int {
	for path != "" {
		if at, known := r.places[path]; known {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 0
}

// table reads the keys of a table; a nil function takes a key that decides nothing.
func (r *projectReader) table(v any, path string, known map[string]func(string, any)) {
	table, ok := v.(map[string]any)
	if !ok {
		r.mistake(r.at(path), path+" is no table", "write ["+path+"] and its keys on the lines after it")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		inner := strings.TrimPrefix(path+"."+key, ".")
		read, ok := known[key]
		switch {
		case !ok:
			r.advice(r.at(inner), show(inner)+" is not known and not used", didYouMean(key, slices.Collect(maps.Keys(known))))
		case read != nil:
			read(inner, table[key])
		}
	}
}

func (r *projectReader) buildpacks(path string, v any) {
	r.table(v, path, map[string]func(string, any){
		"builder": r.builder,
		"include": func(path string, v any) { r.project.Include = r.files(path, v) },
		"exclude": func(path string, v any) { r.project.Exclude = r.files(path, v) },
		"group":   func(path string, v any) { r.project.Buildpacks = r.group(path, v) },
		"pre":     r.subgroup(&r.project.Pre), "post": r.subgroup(&r.project.Post),
		"build": func(path string, v any) { r.table(v, path, map[string]func(string, any){"env": r.env}) },
	})
	r.compareFiles(path)
}

// old is the schema before 0.2.
func (r *projectReader) old(path string, v any) {
	r.table(v, path, map[string]func(string, any){
		"builder":    r.builder,
		"include":    func(path string, v any) { r.project.Include = r.files(path, v) },
		"exclude":    func(path string, v any) { r.project.Exclude = r.files(path, v) },
		"buildpacks": func(path string, v any) { r.project.Buildpacks = r.group(path, v) },
		"env":        r.env,
	})
	r.compareFiles(path)
}

func (r *projectReader) compareFiles(path string) {
	if r.project.Include != nil && r.project.Exclude != nil {
		r.mistake(max(r.at(path+".include"), r.at(path+".exclude")), path+" has both include and exclude", "keep one of the two")
	}
}
