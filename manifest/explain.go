package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation says where a setting comes from.
type Explanation struct {
	App    string   `json:"app,omitempty"` // whose, where several are explained
	Key    string   `json:"key"`
	Winner Origin   `json:"winner"`
	Losers []Origin `json:"losers"` // nearest first
}

// Origin is one source of a setting and what it says there.
type Origin struct {
	// Source is "flag --app", "variable $DOKKU_APP", "dokku.hcl:12:3 environment production",
	// "app.json:4:5", "Procfile:1" or "default".
	Source string `json:"source"`
	Value  string `json:"value"` // "secret" for what is one
}

// Explain says who decides a setting and who else spoke of it. key is dotted, as
// dokku.hcl nests it: "app", "domains", "build.pack.builder", "config.KEY",
// "formation.web.quantity", "host.address"; beside those "procfile.web" and
// "healthchecks.web". The error of an unknown key says what was meant.
func (a *App) Explain(key string) (Explanation, error) {
	table := rootBlock()
	attribute, _ := table.find(key)
	list, ok := a.said.ranked(key)
	if attribute == nil && len(list) == 0 {
		known := a.Keys()
		hint := didYouMean(key, slices.Clone(known))
		if below := keysBelow(known, key+"."); len(below) > 0 {
			hint = "write one of: " + strings.Join(below, ", ")
		} else if closest(key, known) == "" {
			hint = "write a key such as domains, config.KEY or formation.web.quantity"
		}
		return Explanation{}, fmt.Errorf("there is no key %s; %s", show(key), hint)
	}
	usual := Origin{Source: "default", Value: "not set"}
	if attribute != nil && attribute.usual != "" {
		usual.Value = attribute.usual
	}
	said := Explanation{Key: key, Winner: usual, Losers: []Origin{}}
	for i, c := range list {
		o := Origin{Source: c.source.String(), Value: c.shown}
		if c.secret {
			o.Value = "secret"
		}
		if i == 0 && ok {
			said.Winner = o
		} else {
			said.Losers = append(said.Losers, o)
		}
	}
	if ok && attribute != nil && attribute.usual != "" && list[len(list)-1].rank != byDefault {
		said.Losers = append(said.Losers, usual)
	}
	return said, nil
}

// From is the file, the flag or the variable that decides a setting; empty: nothing was said.
func (a *App) From(key string) string {
	list, ok := a.said.ranked(key)
	switch {
	case !ok || list[0].rank == byDefault:
		return ""
	case list[0].source.in != nil:
		return list[0].source.in.file
	}
	return list[0].source.name
}

// Keys are the dotted keys that Explain knows of this app, sorted: all that dokku.hcl
// could say, and all that was said.
func (a *App) Keys() []string {
	table := rootBlock()
	keys := slices.Clone(a.said.keys)
	for _, path := range table.paths("") {
		if !strings.Contains(path, "*") {
			keys = append(keys, path)
			continue
		}
		for _, process := range a.Procfile.Scaled() {
			if strings.HasPrefix(path, "formation.") {
				keys = append(keys, strings.Replace(path, "*", process, 1))
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// paths are the dotted keys of a block's attributes. A label, and a key of a map, is *.
func (b *block) paths(before string) []string {
	var paths []string
	for _, a := range b.attributes {
		if a.kind == aMap {
			paths = append(paths, before+a.name+".*")
		} else {
			paths = append(paths, before+a.name)
		}
	}
	for i := range b.blocks {
		inner := &b.blocks[i]
		within := before + inner.name + "."
		switch {
		case inner.apart():
		case inner.open != nil && len(inner.open.words) > 0:
			for _, word := range inner.open.words {
				paths = append(paths, within+word)
			}
		case inner.open != nil:
			paths = append(paths, within+"*")
		case inner.label != "" && !inner.single:
			paths = append(paths, inner.paths(within+"*.")...)
		default:
			paths = append(paths, inner.paths(within)...)
		}
	}
	return paths
}

func keysBelow(keys []string, prefix string) []string {
	var below []string
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			below = append(below, key)
		}
	}
	return below
}
