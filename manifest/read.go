package manifest

import (
	"fmt"
	"slices"
	"strings"
)

const maxList = 1000 // elements of one list

// scope is where in the table a block stands.
type scope struct {
	key    string // the dotted key so far, with its dot
	where  string // the block's name, with its dot, as messages name it
	label  string // of the block, or of the one around it
	exists func(key string) bool
}

// block reads what stands in a block. Environments and servers are put
// aside: whether and when they count is the caller's to say.
func (r *hclReader) block(b *block, n node, s scope) {
	o := r.open(n)
	if o.kind != isObject {
		if o.kind != isBad && o.kind != isUnknown {
			name := strings.TrimSuffix(s.where, ".")
			if name == "" {
				name = "the file"
			}
			r.mistake(n.at, name+" is no block", "write an object: { … }")
		}
		return
	}
	seen, keys, total := map[string]bool{}, keySet{}, 0
	for _, entry := range o.inner {
		attribute, inner := b.attribute(entry.key), b.block(entry.key)
		if inner != nil && attribute != nil { // app = "web", or app "web" { … }
			if entry.body != nil || entry.json != nil && entry.json.Value.Kind() == '{' {
				attribute = nil
			} else {
				inner = nil
			}
		}
		switch {
		case r.json && (entry.key == "//" || s.key == "" && s.where == "" && entry.key == "$schema"): // a comment, and what an editor asks for
		case attribute != nil && entry.body != nil:
			r.mistake(entry.keyAt, s.where+entry.key+" is an attribute, not a block", "write "+entry.key+" = …")
		case attribute != nil:
			r.attribute(attribute, entry, s)
			seen[entry.key] = true
		case inner != nil && entry.expr != nil:
			r.mistake(entry.keyAt, s.where+entry.key+" is a block, not an attribute", "write "+entry.key+" { … }, without =")
		case inner != nil:
			r.inner(inner, entry, s, seen)
		case b.open != nil && entry.body != nil:
			r.mistake(entry.keyAt, s.where+show(entry.key)+" is a block", b.name+" holds only lines such as KEY = \"value\"")
		case b.open != nil:
			total += len(entry.key) + 2 + r.pair(b.open, entry, s, keys)
		default:
			r.mistake(entry.keyAt, s.where+show(entry.key)+" is not known", didYouMean(entry.key, b.names()))
		}
	}
	for _, attribute := range b.attributes {
		if attribute.required && !seen[attribute.name] && (s.exists == nil || !s.exists(s.key+attribute.name)) {
			r.mistake(n.keyAt, b.name+" "+show(s.label)+" has no "+attribute.name, "write "+attribute.name+" = "+attribute.example+" in it")
		}
	}
	if b.total > 0 && total > b.total {
		r.mistake(n.keyAt, "the values of "+b.name+" are larger than 1 MiB together", "put large values into files of the image")
	}
}

// inner reads a block within a block, or in the twin all blocks of a type, by label.
func (r *hclReader) inner(b *block, n node, s scope, seen map[string]bool) {
	if r.json && b.label != "" {
		o := r.open(n)
		if o.kind != isObject {
			r.mistake(n.at, s.where+b.name+" has one "+b.label, fmt.Sprintf("write \"%s\": { \"%s\": { … } }", b.name, strings.ToUpper(b.label)))
			return
		}
		for _, labelled := range o.inner {
			labelled.labels, labelled.labelsAt = []string{labelled.key}, []int{labelled.keyAt}
			if labelled.key != "//" {
				r.inBlock(b, labelled, s, seen)
			}
		}
		return
	}
	r.inBlock(b, n, s, seen)
}

func (r *hclReader) inBlock(b *block, n node, s scope, seen map[string]bool) {
	id, what := b.name, s.where+b.name
	if b.label != "" && !b.single && len(n.labels) == 1 {
		id += " " + n.labels[0]
		what += " " + show(n.labels[0])
	}
	switch {
	case seen[id]:
		r.mistake(n.keyAt, what+" stands twice", "write one block with everything in it")
	case b.label == "" && len(n.labels) > 0:
		r.mistake(n.labelsAt[0], what+" has no name", "write "+b.name+" { … }")
	case b.label != "" && (len(n.labels) != 1 || n.labels[0] == ""):
		r.mistake(n.keyAt, s.where+b.name+" has one "+b.label, fmt.Sprintf("write %s \"%s\" { … }", b.name, strings.ToUpper(b.label)))
	default:
		r.enter(b, n, s)
	}
	seen[id] = true
}

// enter goes into a block whose labels are in order.
func (r *hclReader) enter(b *block, n node, s scope) {
	within := scope{key: s.key + b.name + ".", where: s.where + b.name + ".", label: s.label, exists: s.exists}
	if s.where == "" || b.label != "" {
		within.where = b.name + "."
	}
	if b.label != "" {
		within.label = n.labels[0]
		if problem, hint := b.labelCheck(within.label); problem != "" {
			if strings.HasPrefix(problem, "has ") || strings.HasPrefix(problem, "is ") {
				problem = b.name + " " + problem
			}
			r.mistake(n.labelsAt[0], problem, hint)
		}
		if b.single {
			r.sink(finding{key: s.key + b.name, name: within.label, value: value{text: within.label}, shown: within.label, at: n.labelsAt[0]})
		} else {
			within.key += within.label + "."
			r.note(s.key+b.name+"."+within.label, n.labelsAt[0])
		}
	}
	if b.apart() {
		r.apart = append(r.apart, part{b.name, n})
		return
	}
	r.block(b, n, within)
}

// note keeps where something stands that counts.
func (r *hclReader) note(key string, at int) {
	if !r.lenient {
		r.places[key] = at
	}
}

// attribute reads one attribute and hands it on if it is sound.
func (r *hclReader) attribute(a *attribute, n node, s scope) {
	if a.kind == aMap {
		r.pairs(a, n, s)
		return
	}
	o := r.open(n)
	if o.kind == isBad || o.kind == isUnknown {
		return
	}
	f := finding{key: s.key + a.name, attribute: a, name: s.label, at: n.keyAt}
	var ok bool
	if a.kind == aList {
		f.value.list, ok = r.list(a, n, o)
		f.shown = a.shown(strings.Join(f.value.list, ", "))
	} else {
		f.value, f.shown, ok = r.value(a, n, o)
	}
	if !ok {
		return
	}
	r.note(f.key, n.keyAt)
	r.sink(f)
}

// pairs reads a map. hcl lets the last of two equal keys win; here that is a mistake.
func (r *hclReader) pairs(a *attribute, n node, s scope) {
	o := r.open(n)
	switch {
	case o.kind == isBad || o.kind == isUnknown:
		return
	case o.kind != isObject:
		r.mistake(n.at, a.name+" is not an object", "write "+a.name+" = { NAME = \"value\" }")
		return
	}
	seen := map[string]bool{}
	within := scope{key: s.key + a.name + ".", where: s.where + a.name + ".", label: s.label}
	for _, entry := range o.inner {
		if seen[entry.key] {
			r.mistake(entry.keyAt, a.name+" has "+show(entry.key)+" twice", "keep one of the two")
			continue
		}
		seen[entry.key] = true
		r.pair(a, entry, within, nil)
	}
}

// pair reads one entry of a map. It returns how many bytes the value has.
func (r *hclReader) pair(a *attribute, n node, s scope, keys keySet) int {
	problem, hint := a.key(n.key)
	if problem == "" && a.folded {
		problem, hint = keys.add(n.key)
	}
	if problem != "" {
		r.mistake(n.keyAt, problem, hint)
		return 0
	}
	o := r.open(n)
	text, ok := r.plain(n.key, n.at, o)
	if !ok {
		return 0
	}
	if problem, hint = a.checkEntry(n.key, text); problem != "" {
		if o.env {
			problem, hint = unfit()
		}
		r.mistake(n.at, n.key+problem, hint)
		return 0
	}
	if written := r.number(n); written != "" && written != text {
		r.advice(n.at, n.key+" is a number, and "+show(written)+" is "+text, "write it in double quotes if it is meant as it stands")
	}
	if a.secrets != "" && !o.env && openSecret(n.key, text) {
		r.advice(n.keyAt, n.key+" looks like a secret, and the file is read by many", "take it out and name it in "+a.secrets)
	}
	r.sink(finding{key: s.key + n.key, attribute: a, name: n.key, value: value{text: text}, shown: text, at: n.keyAt,
		secret: o.env || looksSecret(n.key, text)})
	return len(text)
}

// list reads a list of texts, none of them twice.
func (r *hclReader) list(a *attribute, n node, o opened) ([]string, bool) {
	if o.kind != isList {
		example := a.example
		if example == "" {
			example = "[\"…\"]"
		}
		r.mistake(n.at, a.name+" is not a list", "write "+a.name+" = "+example)
		return nil, false
	}
	if len(o.inner) > maxList {
		r.mistake(n.at, fmt.Sprintf("%s has more than %d elements", a.name, maxList), "an app needs fewer")
		return nil, false
	}
	before := r.count[Mistake]
	list, places, given, unknown := []string{}, []int{}, []bool{}, false // given: by the environment
	for _, inner := range o.inner {
		element := r.open(inner)
		if element.kind == isBad || element.kind == isUnknown {
			unknown = true
			continue
		}
		text, ok := r.textOf(a.name+": an element", inner, element)
		if !ok {
			continue
		}
		problem, hint := a.checkElement(text)
		switch {
		case problem != "" && element.env:
			problem, hint = unfit()
			r.mistake(inner.at, a.name+problem, hint)
		case problem != "":
			r.mistake(inner.at, a.name+": "+problem, hint)
		case slices.Contains(list, text) && element.env:
			r.mistake(inner.at, a.name+" has a value from the environment twice", "keep one of the two")
		case slices.Contains(list, text):
			r.mistake(inner.at, a.name+" has "+show(text)+" twice", "keep one of the two")
		default:
			list, places, given = append(list, text), append(places, inner.at), append(given, element.env)
		}
	}
	if a.all != nil && r.count[Mistake] == before {
		if i, problem, hint := a.all(list); problem != "" {
			if given[i] {
				problem, hint = unfit()
				problem = a.name + problem
			}
			r.mistake(places[i], problem, hint)
		}
	}
	return list, r.count[Mistake] == before && !unknown
}

// unfit is told instead of a check's words where those could show a secret.
func unfit() (problem, hint string) {
	return " takes a value from the environment that it cannot have", "look at what the variable holds"
}
