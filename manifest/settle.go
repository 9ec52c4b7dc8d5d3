package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// rank is how near to the person a source is: the lowest wins.
type rank int

const (
	byFlag rank = iota
	byVariable
	byAppEnvironment // the environment block in the app's
	byEnvironment
	byApp // the app's block, where there are several
	byFile
	byProject // project.toml
	byAppJSON
	byChecks // CHECKS
	byProcfile
	byDefault
)

// candidate is what one source says of a key.
type candidate struct {
	finding
	rank   rank
	source origin
	named  bool // dokku.hcl's secrets name it; the value comes later
	void   bool // it speaks of another host
}

// said is what all sources say, by dotted key.
type said struct {
	keys       []string // in the order in which they were found
	candidates map[string][]candidate
}

func (s *said) add(c candidate) {
	if s.candidates == nil {
		s.candidates = map[string][]candidate{}
	}
	former, known := s.candidates[c.key]
	if !known {
		s.keys = append(s.keys, c.key)
	}
	s.candidates[c.key] = append(former, c)
}

// ranked returns the candidates of a key, the winner first. ok is false when none
// counts.
func (s *said) ranked(key string) (list []candidate, ok bool) {
	list = slices.Clone(s.candidates[key])
	slices.SortStableFunc(list, func(a, b candidate) int {
		if a.void != b.void {
			return map[bool]int{false: -1, true: 1}[a.void]
		}
		return cmp.Compare(a.rank, b.rank)
	})
	return list, len(list) > 0 && !list[0].void
}

// Given is a value from outside the files.
type Given struct {
	Name  string // as people know it: "--app", "$DOKKU_APP"
	Value string
}

// give takes what flags or variables say, by dotted key.
func (l *loader) give(given map[string]Given, rank rank) {
	table := rootBlock()
	keys := make([]string, 0, len(given))
	for key := range given {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		g := given[key]
		mistake := func(problem, hint string) {
			l.given = append(l.given, Diagnostic{Severity: Mistake, File: g.Name, Message: problem, Hint: hint})
		}
		source := origin{name: "variable " + g.Name}
		if rank == byFlag {
			source.name = "flag " + g.Name
		}
		if key == "host" {
			key = "host.address" // the name of a host block is settled in settleHost
		}
		a, name := table.find(key)
		if a == nil {
			mistake("there is no key "+show(key), didYouMean(key, table.paths("")))
			continue
		}
		v, problem, hint := a.parse(g.Value)
		if problem == "" && a.kind == aMap {
			if problem, hint = a.key(name); problem == "" {
				problem, hint = a.checkEntry(name, g.Value)
			}
		}
		if problem != "" {
			mistake(strings.TrimPrefix(strings.TrimPrefix(problem, ":"), " "), hint)
			continue
		}
		l.said.add(candidate{rank: rank, source: source, finding: finding{key: key, attribute: a, name: name, value: v, shown: a.shown(g.Value),
			secret: a.kind == aMap && looksSecret(name, g.Value)}})
		if _, said := given["build.builder"]; key == "build.image" && !said { // whoever names an image wants nothing built
			builder, _ := table.find("build.builder")
			l.said.add(candidate{rank: rank, source: source, finding: finding{key: "build.builder", attribute: builder, value: value{text: "image"}, shown: "image"}})
		}
	}
}

// find returns the attribute of a dotted key, and the label or the map's key in it.
func (b *block) find(key string) (a *attribute, name string) {
	word, rest, more := strings.Cut(key, ".")
	if a = b.attribute(word); a != nil {
		if more == (a.kind == aMap) {
			return a, rest
		}
		return nil, ""
	}
	inner := b.block(word)
	if inner == nil || !more || inner.apart() {
		return nil, ""
	}
	if inner.open != nil {
		return inner.open, rest
	}
	label := ""
	if inner.label != "" && !inner.single {
		label, rest, _ = strings.Cut(rest, ".")
	}
	if a, name = inner.find(rest); label != "" {
		name = label
	}
	return a, name
}

// settle lets the winner of each key have its say.
func (l *loader) settle() {
	l.settleHost()
	l.settleSecrets()
	d := &draft{app: l.app}
	for _, key := range l.said.keys {
		list, ok := l.said.ranked(key)
		if !ok || list[0].rank > byFile || list[0].attribute == nil || list[0].named {
			continue
		}
		list[0].attribute.set(d, list[0].name, list[0].value)
	}
	l.settleSecretNames()
	l.app.said = l.said
}

// settleHost decides which host is meant. A host that was named outside the files, or
// by the environment, takes nothing over from another one: above all not its key.
func (l *loader) settleHost() {
	names, _ := l.said.ranked("host")
	label := ""
	if len(names) > 0 {
		label = names[0].name
	}
	addresses := l.said.candidates["host.address"]
	nearest := byFile // of those that no file says
	for _, c := range addresses {
		nearest = min(nearest, c.rank)
	}
	other := nearest <= byVariable
	for i, c := range addresses {
		if c.rank <= byVariable && c.value.text == label && label != "" {
			addresses[i].void = true // it is the host block's name, and chooses it
			other = other && c.rank != nearest
		}
	}
	for i, c := range addresses {
		if c.rank <= byVariable && !other {
			addresses[i].void = true // a variable's address, where a flag has chosen the block
		}
	}
	for _, key := range []string{"host", "host.address", "host.host_key"} {
		for i, c := range l.said.candidates[key] {
			if c.rank > byVariable && (other || c.name != label) {
				l.said.candidates[key][i].void = true
			}
		}
	}
	if other {
		return
	}
	l.app.Host.Name = label
	if _, ok := l.said.ranked("host.address"); !ok && label != "" && names[0].rank < byFile && len(addresses) > 0 {
		l.hcl.mistake(names[0].at, "host "+show(label)+" has no address", "write address = \"dokku@host\" in it")
	}
}

// settleSecrets makes each named secret a candidate for its config key.
func (l *loader) settleSecrets() {
	list, ok := l.said.ranked("secrets")
	if !ok {
		return
	}
	source := list[0].source
	source.more = strings.TrimSpace(source.more + " secrets")
	for _, name := range list[0].value.list {
		l.said.add(candidate{rank: list[0].rank, source: source, named: true,
			finding: finding{key: "config." + name, name: name, secret: true, at: list[0].at}})
	}
}

// settleSecretNames keeps the names whose value nothing nearer gives.
func (l *loader) settleSecretNames() {
	var kept []string
	for _, name := range l.app.Secrets {
		list, _ := l.said.ranked("config." + name)
		if len(list) > 1 && list[0].rank == list[1].rank && list[0].named != list[1].named && l.hcl != nil {
			l.hcl.mistake(list[1].at, name+" is in config and in secrets", "keep one of the two")
		}
		if list[0].named {
			kept = append(kept, name)
		}
	}
	l.app.Secrets = kept
}

// origin is where something was said. The line and the column are counted when somebody
// asks: a large file has many.
type origin struct {
	name string  // of a flag or a variable, or of a place that is known
	in   *source // nil: name says it all
	at   int
	more string
}

func (o origin) String() string {
	if o.in == nil {
		return strings.TrimSpace(o.name + " " + o.more)
	}
	line, column := o.in.position(o.at)
	return strings.TrimSpace(fmt.Sprintf("%s:%d:%d %s", o.in.file, line, column, o.more))
}
