package agent

import (
	"maps"
	"slices"
)

// This file is how settings change: from what they were to what they become, leaving
// alone what somebody else has changed meanwhile.

// clone returns a deep copy whose maps are never nil.
func (s Settings) clone() Settings {
	s.Env, s.Scale, s.Properties = cloned(s.Env), cloned(s.Scale), cloned(s.Properties)
	s.Domains, s.Ports = slices.Clone(s.Domains), slices.Clone(s.Ports)
	return s
}

func cloned[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// apply changes in s what differs between from and to, and leaves all else.
func (s *Settings) apply(from, to Settings) {
	*s = s.clone()
	applyMap(s.Env, from.Env, to.Env)
	applyMap(s.Scale, from.Scale, to.Scale)
	applyProperties(s.Properties, from.Properties, to.Properties)
	if !slices.Equal(from.Domains, to.Domains) {
		s.Domains = slices.Clone(to.Domains)
	}
	if !slices.Equal(from.Ports, to.Ports) {
		s.Ports = slices.Clone(to.Ports)
	}
	for _, text := range []struct {
		now      *string
		from, to string
	}{{&s.Procfile, from.Procfile, to.Procfile}, {&s.AppJSON, from.AppJSON, to.AppJSON}, {&s.Template, from.Template, to.Template}} {
		if text.from != text.to {
			*text.now = text.to
		}
	}
}

// applyProperties is applyMap, but lists are changed line by line.
func applyProperties(now, from, to map[string]string) {
	values := func(of map[string]string) map[string]string {
		of = maps.Clone(of)
		maps.DeleteFunc(of, func(property, _ string) bool { return isList(property) })
		return of
	}
	applyMap(now, values(from), values(to))
	lists := map[string]bool{}
	for _, of := range []map[string]string{from, to} {
		for property := range of {
			lists[property] = isList(property)
		}
	}
	for property, list := range lists {
		if list {
			applyLines(now, property, from[property], to[property])
		}
	}
}

func applyMap[V comparable](now, from, to map[string]V) {
	for key, value := range to {
		if former, had := from[key]; !had || former != value {
			now[key] = value
		}
	}
	for key := range from {
		if _, still := to[key]; !still {
			delete(now, key)
		}
	}
}
