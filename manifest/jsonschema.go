package manifest

import (
	"encoding/json"
	"fmt"
)

// Schema returns the JSON Schema (draft 2020-12) of dokku.hcl.json, for editors and
// other tools. It knows the same keys as the reader. A value may be a template, such as
// "${env("NAME")}": of what it gives the schema knows nothing.
func Schema() ([]byte, error) {
	table := rootBlock()
	root := table.schema(false)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://dokku-push.dev/dokku.hcl.schema.json"
	root["title"] = "dokku.hcl.json"
	root["properties"].(object)["$schema"] = object{"type": "string"}
	root["$defs"] = object{"template": object{"type": "string", "pattern": `[$%]\{`, "description": "A text with ${ … } in it."}}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return append(text, '\n'), nil
}

type object = map[string]any

// schema describes a block. In an environment nothing is required: it may stand outside.
func (b *block) schema(partial bool) object {
	if b.open != nil {
		return b.open.mapSchema(b.doc, true)
	}
	properties := object{"//": object{"description": "A comment."}}
	var required []string
	for i := range b.attributes {
		a := &b.attributes[i]
		properties[a.name] = a.schema()
		if a.required && !partial {
			required = append(required, a.name)
		}
	}
	for i := range b.blocks {
		inner := &b.blocks[i]
		described := inner.schema(partial || inner.name == "environment" || inner.name == "app")
		if inner.label != "" {
			described = object{"type": "object", "description": inner.doc + " By " + inner.label + ".",
				"propertyNames":        object{"anyOf": []any{object{"pattern": inner.labelForm}, object{"const": "//"}}},
				"properties":           object{"//": true},
				"additionalProperties": described}
			if inner.single {
				described["maxProperties"] = 2 // one and a comment
			}
		}
		if one, both := properties[inner.name]; both {
			described = object{"anyOf": []any{one, described}}
		}
		properties[inner.name] = described
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if b.doc != "" {
		s["description"] = b.doc
	}
	if required != nil {
		s["required"] = required
	}
	return s
}

// schema describes an attribute.
func (a *attribute) schema() object {
	if a.kind == aMap {
		return a.mapSchema(a.describe(), false)
	}
	s := a.one()
	if a.kind == aList {
		s = object{"type": "array", "items": s, "uniqueItems": true}
	}
	s["description"] = a.describe()
	return s
}

func (a *attribute) describe() string {
	text := a.doc
	if a.usual != "" {
		text += " Default: " + a.usual + "."
	}
	return text
}

// one describes a value, or an element of a list.
func (a *attribute) one() object {
	template := object{"$ref": "#/$defs/template"}
	either := func(ways ...object) object {
		var all []any
		for _, way := range ways {
			all = append(all, way)
		}
		return object{"anyOf": append(all, template)}
	}
	written := func(pattern string) object { return object{"type": "string", "pattern": pattern} }
	whole := object{"type": "integer", "minimum": a.low, "maximum": a.high}
	switch a.kind {
	case aNumber:
		return either(whole, written(`^-?[0-9]+$`))
	case aDecimal:
		return either(object{"type": "number", "minimum": 0.01, "maximum": a.high}, written(decimalForm.String()))
	case aTruth:
		return either(object{"type": "boolean"}, object{"enum": []string{"true", "false"}})
	case aSize:
		return either(written(`^[0-9]{1,15}[bkmgtBKMGT]([iI]?[bB])?$`))
	case aTime:
		return either(whole, written(`^([0-9]+|[0-9]+d|([0-9]+(\.[0-9]+)?(h|m|s|ms))+)$`))
	}
	if len(a.words) > 0 {
		return either(object{"enum": a.words})
	}
	plain := object{"type": "string", "pattern": a.pattern}
	if a.never != "" {
		plain["not"] = object{"pattern": a.never}
	}
	return either(plain)
}

// mapSchema describes a map of texts. A map that is a block may hold a comment.
func (a *attribute) mapSchema(doc string, comment bool) object {
	names := object{"pattern": a.keyForm}
	if a.keyNever != "" {
		names["not"] = object{"pattern": a.keyNever}
	}
	if len(a.words) > 0 {
		names = object{"enum": a.words}
	}
	s := object{"type": "object", "description": doc, "propertyNames": names,
		"additionalProperties": object{"type": []string{"string", "number", "boolean"}}}
	if a.pattern != "" {
		s["additionalProperties"] = object{"anyOf": []any{object{"type": "string", "pattern": a.pattern},
			object{"type": []string{"number", "boolean"}}, object{"$ref": "#/$defs/template"}}}
	}
	if comment {
		s["propertyNames"] = object{"anyOf": []any{names, object{"const": "//"}}}
		s["properties"] = object{"//": true}
	}
	return s
}

// Entry is one line of the reference of dokku.hcl.
type Entry struct {
	Key     string `json:"key"` // dotted, labels and keys of maps in capitals: formation.PROC.memory
	Doc     string `json:"doc"`
	Default string `json:"default,omitempty"`
	Example string `json:"example,omitempty"`
}

// Reference lists all that dokku.hcl can say, in the table's order.
func Reference() []Entry {
	table := rootBlock()
	return table.reference("")
}

func (b *block) reference(before string) []Entry {
	var entries []Entry
	for _, a := range b.attributes {
		key := before + a.name
		if a.kind == aMap {
			key += ".NAME"
		}
		entries = append(entries, Entry{Key: key, Doc: a.doc, Default: a.usual, Example: a.example})
	}
	for i := range b.blocks {
		inner := &b.blocks[i]
		within := before + inner.name
		if inner.label != "" {
			within += ".NAME"
		}
		entries = append(entries, Entry{Key: within, Doc: inner.doc})
		switch {
		case inner.name == "environment" || inner.name == "app":
		case inner.open != nil:
			entries = append(entries, Entry{Key: within + ".KEY", Doc: inner.open.doc})
		default:
			entries = append(entries, inner.reference(within+".")...)
		}
	}
	return entries
}
