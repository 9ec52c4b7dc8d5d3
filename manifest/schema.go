package manifest

// What dokku.hcl may hold is one literal table of blocks and attributes (table.go).
// The reader, did-you-mean, dotted keys, the JSON Schema and the reference are all made
// from it.

// block is a block of dokku.hcl, or its top.
type block struct {
	name       string
	label      string // what its one label is; empty: it has none
	single     bool   // at most one, though it has a label
	labelCheck check
	labelForm  string // the pattern of a label
	doc        string
	attributes []attribute
	blocks     []block
	open       *attribute // of any key, where the block is a map
	total      int        // most bytes of all values of open together, 0: not bounded
}

// attribute is one thing that can be said.
type attribute struct {
	name     string
	doc      string
	kind     kind
	low      int                                           // least value of a number, of seconds and of a size
	high     int                                           // greatest value
	words    []string                                      // the only texts there are; of a map: the only keys
	pattern  string                                        // what the text matches, as far as the JSON Schema can say it
	never    string                                        // what it does not match
	check    check                                         // of a text, or of each element of a list
	entry    func(key, text string) (problem, hint string) // of each value of a map
	full     bool                                          // check's problems name what they speak of
	all      func(list []string) (index int, problem, hint string)
	key      check  // of each key of a map
	keyForm  string // the pattern of a key
	keyNever string // what a key does not match
	folded   bool   // keys of a map that differ only by case are a mistake
	secrets  string // where names of secrets stand instead of in this map
	options  bool   // they are docker's, and may set variables
	required bool
	example  string // as it would be written
	usual    string // the default, in words
	set      func(d *draft, name string, v value)
}

// shown is a value as Explain shows it.
func (a *attribute) shown(text string) string {
	if a.options {
		return HideValues(text, func(string, string) string { return "…" })
	}
	return text
}

// kind is what a value is.
type kind int

const (
	aText    kind = iota
	aNumber       // whole
	aDecimal      // positive, written as a number or a text
	aTruth        // true or false
	aSize         // bytes: "512m"
	aTime         // "30s", "1m30s", or a whole number of seconds
	aList         // of texts
	aMap          // of texts
)

// value is a value that was checked; which field holds it depends on the kind.
type value struct {
	text   string // text, decimal; of a map: the value of one key
	number int64  // number; bytes; seconds
	truth  bool
	list   []string
}

// draft is what setters write into. name is the label of the block that an attribute
// stands in, or the key of a map's entry.
type draft struct {
	app    *App
	server *Server
}

// check says what is wrong with a text; an empty problem means nothing is.
type check func(text string) (problem, hint string)

func (b block) attribute(name string) *attribute {
	for i := range b.attributes {
		if b.attributes[i].name == name {
			return &b.attributes[i]
		}
	}
	return nil
}

func (b block) block(name string) *block {
	for i := range b.blocks {
		if b.blocks[i].name == name {
			return &b.blocks[i]
		}
	}
	return nil
}

// names are the words that may stand in a block.
func (b block) names() []string {
	var names []string
	for _, a := range b.attributes {
		names = append(names, a.name)
	}
	for _, inner := range b.blocks {
		if b.attribute(inner.name) == nil { // app is both
			names = append(names, inner.name)
		}
	}
	return names
}

// apart says whether a block is no part of one app's description: whether and when it
// counts is decided once all of the file is known.
func (b block) apart() bool {
	return b.name == "environment" || b.name == "app" || b.name == "server"
}
