package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiled(t *testing.T) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema, doc.(map[string]any)
}

// samples returns the texts of a folder by name, never none.
func samples(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples %s: %v", pattern, err)
	}
	texts := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = text
	}
	return texts
}

// readTwin reads a text as dokku.hcl.json, and its server blocks, too.
func readTwin(text []byte) (*App, []Server, Diagnostics) {
	fsys := project(map[string]string{twinName: string(text), "config/nginx.conf.sigil": "x", "apps/shop/x": ""})
	app, found := Load(fsys, Options{Getenv: getenv})
	servers, more := LoadServers(fsys, Options{Getenv: getenv})
	if !found.Failed() {
		found = more
	}
	return app, servers, found
}

// The reader and the schema agree on what is good and what is not.
func TestSchemaAgrees(t *testing.T) {
	schema, _ := compiled(t)
	for folder, good := range map[string]bool{"good": true, "broken": false} {
		for file, text := range samples(t, filepath.Join("testdata", "schema", folder, "*.json")) {
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			err = schema.Validate(value)
			if (err == nil) != good {
				t.Errorf("%s: the schema says %v", file, err)
			}
			_, _, found := readTwin(text)
			sound(t, found)
			if found.Failed() == good {
				t.Errorf("%s: the reader says %v", file, told(found))
			}
		}
	}
}

// dokku.hcl and its twin are two ways to write one thing, and everything.json says all
// that can be said.
func TestTwin(t *testing.T) {
	native := string(samples(t, "testdata/schema/everything.hcl")["testdata/schema/everything.hcl"])
	twin := samples(t, "testdata/schema/good/everything.json")["testdata/schema/good/everything.json"]
	for _, environment := range []string{"", "production"} {
		o := Options{Environment: environment, Getenv: getenv}
		first, found := Load(project(map[string]string{manifestName: native, "config/nginx.conf.sigil": "x", "apps/shop/x": ""}), o)
		same(t, told(found), "")
		second, found := Load(project(map[string]string{twinName: string(twin), "config/nginx.conf.sigil": "x", "apps/shop/x": ""}), o)
		same(t, told(found), "")
		if first == nil || second == nil {
			t.Fatal("there is no App")
		}
		same(t, second, first)
		table := rootBlock()
		for _, path := range table.paths("") {
			covered := slices.ContainsFunc(slices.Collect(maps.Keys(second.said.candidates)), func(key string) bool { return matchPath(path, key) })
			if !covered {
				t.Errorf("everything.json does not say %s", path)
			}
		}
	}
	o := Options{Getenv: getenv}
	first, found := LoadServers(project(map[string]string{manifestName: native}), o)
	same(t, told(found), "")
	second, _ := LoadServers(project(map[string]string{twinName: string(twin)}), o)
	same(t, second, first)
	if len(first) != 1 || len(first[0].Plugins) != 1 || len(first[0].Keys) != 1 || first[0].Domains == nil || first[0].Config["A"] != "1" {
		t.Errorf("%+v", first)
	}
}

// matchPath says whether a dotted key is one of a path with * in it.
func matchPath(path, key string) bool {
	words, parts := strings.Split(path, "."), strings.Split(key, ".")
	if len(words) != len(parts) {
		return false
	}
	for i := range words {
		if words[i] != "*" && words[i] != parts[i] {
			return false
		}
	}
	return true
}

// Every property of the schema is known to the reader, and every key of the reader's
// table is a property of the schema.
func TestSchemaKeys(t *testing.T) {
	_, doc := compiled(t)
	var walk func(s map[string]any, path []string)
	seen := map[string]bool{}
	walk = func(s map[string]any, path []string) {
		properties, _ := s["properties"].(map[string]any)
		for name, inner := range properties {
			if name == "//" || name == "$schema" {
				continue
			}
			below := append(slices.Clone(path), name)
			key := strings.Join(below, ".")
			seen[key] = true
			// A wrong value is asked for, so that the reader speaks of the key at all.
			text := any([]any{[]any{}})
			for _, word := range slices.Backward(below) {
				text = map[string]any{word: text}
			}
			written, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			_, _, found := readTwin(written)
			if !found.Failed() || strings.Contains(told(found), "not known") {
				t.Errorf("the reader of %s: %s", written, told(found))
			}
			described := inner.(map[string]any)
			if _, leaf := described["properties"]; leaf || described["additionalProperties"] != nil {
				walk(described, below)
			}
		}
		if inner, ok := s["additionalProperties"].(map[string]any); ok && inner["properties"] != nil {
			walk(inner, append(slices.Clone(path), "web"))
		}
	}
	walk(doc, nil)
	table := rootBlock()
	for _, path := range table.paths("") {
		if strings.HasPrefix(path, "nginx.") || strings.HasPrefix(path, "config.") {
			continue // keys of a map: the schema names them as such
		}
		key := strings.TrimSuffix(strings.Replace(path, ".*.", ".web.", 1), ".*")
		if key = strings.Replace(key, "host.", "host.web.", 1); !seen[key] && key != "host" {
			t.Errorf("the schema has no %s", key)
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d properties were looked at", len(seen))
	}
}

func TestReference(t *testing.T) {
	table := rootBlock()
	entries := Reference()
	for _, e := range entries {
		if e.Doc == "" || !strings.HasSuffix(e.Doc, ".") {
			t.Errorf("%s says %q", e.Key, e.Doc)
		}
	}
	if len(entries) < len(table.paths(""))-len(nginxProperties()) {
		t.Errorf("%d entries", len(entries))
	}
}

func TestTwinMistakes(t *testing.T) {
	for _, test := range []struct{ text, told string }{
		{`{"app": "x",}`, "advice: dokku.hcl.json:1:12: JSON has no comma after the last entry; other readers of JSON do not take it"},
		{"{\"app\": \"x\",\n \"app\": \"y\"}", "dokku.hcl.json:2:2: the key app stands twice in one object; keep one of the two"},
		{"{\n  \"build\": {\"builder\": \"packs\"}\n}", "dokku.hcl.json:2:24: builder is packs; did you mean pack?"},
		{`{"config": {"A": "${env(\"NO\")}"}}`, "dokku.hcl.json:1:18: env: NO is not set in the environment; set it for dokku-push, or write the value"},
		{`{"config": {"A": "${1 + 1}"}}`, "dokku.hcl.json:1:18: there is no arithmetic in dokku.hcl; write the result, or the text in double quotes"},
		{`{"config": {"A": "${"}}`, "dokku.hcl.json:1:18: there is no value; write one: text in double quotes, a number, true, false, [ … ] or { … }"},
		{`{"config": {"A": 1e99999}}`, "dokku.hcl.json:1:18: the number is out of range; write it in double quotes if it is meant as text"},
		{`{"host": {"address": "x"}}`, "dokku.hcl.json:1:22: host is no block; write an object: { … }"},
		{`{"host": "x"}`, "dokku.hcl.json:1:10: host has one name; write \"host\": { \"NAME\": { … } }"},
		{`{"host": {"a": {"address": "x"}, "b": {"address": "y"}}}`, "dokku.hcl.json:1:34: host stands twice; write one block with everything in it"},
		{`[1]`, "dokku.hcl.json:1:1: the file is no block; write an object: { … }"},
		{`{"environment": {"p": {"app": "X"}}}`, "dokku.hcl.json:1:31: app names no app: app name X holds more than lower-case letters, digits, hyphens and dots; write x"},
	} {
		app, found := Load(project(map[string]string{twinName: test.text}), Options{})
		sound(t, found)
		same(t, told(found), test.told)
		if app == nil == strings.HasPrefix(test.told, "advice") {
			t.Errorf("%s: %v", test.text, app)
		}
	}
	_, found := Load(project(map[string]string{twinName: "{}", manifestName: ""}), Options{})
	same(t, told(found), "dokku.hcl.json: there is a dokku.hcl, too; keep one of the two, or name one with --manifest")
	app, found := Load(project(map[string]string{"deploy/a.json": `{"app": "b"}`, manifestName: `app = "c"`}), Options{File: "deploy/a.json"})
	if app == nil || app.Name != "b" {
		t.Error(told(found))
	}
}

func FuzzTwin(f *testing.F) {
	for _, text := range []string{`{"app": "${env(\"STAGE\")}"}`, `{"config": {"A": "%{if true}x%{endif}", "//": 1}}`, `{"environment": {"a": {"host": {"b": {}}}}}`, `{"build": {"args": {"A": -1.5e3}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		app, _, found := readTwin(text)
		sound(t, found)
		if app == nil && !found.Failed() {
			t.Fatalf("%q: neither an App nor a mistake", text)
		}
	})
}
