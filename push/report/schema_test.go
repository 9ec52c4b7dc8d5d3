package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// docs is where the generated schemas are kept for people and editors.
const docs = "../../docs/schemas"

// TestSchemasAreWritten: docs/schemas is what the types say. DOKKU_PUSH_UPDATE=1 writes
// it anew.
func TestSchemasAreWritten(t *testing.T) {
	for _, name := range append([]string{"manifest"}, Schemas()...) {
		text, err := Schema(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(docs, name+".json")
		if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		written, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(written, text) {
			t.Errorf("%s is not what the types say (%v): DOKKU_PUSH_UPDATE=1 go test ./push/report", path, err)
		}
	}
	if _, err := Schema("nothing"); api.Exit(err) != 64 {
		t.Errorf("an unknown schema: %v", err)
	}
}

// resolved is a schema ready to judge.
func resolved(t *testing.T, name string) *jsonschema.Resolved {
	t.Helper()
	text, err := Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	judge, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return judge
}

// TestSchemasFit: what is printed fits its schema, and what is not of that kind does not.
func TestSchemasFit(t *testing.T) {
	var lines bytes.Buffer
	out := JSON(&lines)
	for _, event := range []api.Event{
		{Type: api.EventVersion, Version: &api.Version{Protocol: 1, Request: "request-1", App: "shop"}},
		{Type: api.EventStep, Step: &api.Step{Name: "build", Title: "Build", Status: api.StepDone, DurationMS: 7}},
		{Type: api.EventPlan, Plan: &api.Plan{App: "shop", State: "s", Document: "d", Changes: []api.PlanChange{{Kind: "config", Name: "A", Action: api.Add}}}},
		{Type: api.EventVerdict, Verdict: &api.Verdict{Error: &api.Error{Code: api.Unhealthy, Message: "no", Failure: &api.Failure{Container: "web.1"}}}},
	} {
		event.Time = time.Now()
		out.Event(event)
	}
	judge := resolved(t, "event")
	for line := range bytes.Lines(lines.Bytes()) {
		fits(t, judge, line, true)
	}
	fits(t, judge, []byte(`{"type":"step","time":"2026-11-21T10:00:00Z","step":{"name":7}}`), false)
	fits(t, judge, []byte(`{"type":"step","time":"2026-11-21T10:00:00Z","unknown":1}`), false)

	var document bytes.Buffer
	if err := DiagnosticsJSON(&document, manifest.Diagnostics{{File: "Procfile", Line: 1, Message: "wrong"}}); err != nil {
		t.Fatal(err)
	}
	fits(t, resolved(t, "check"), document.Bytes(), true)
	fits(t, resolved(t, "check"), []byte(`{"valid":"yes"}`), false)
}

func fits(t *testing.T, judge *jsonschema.Resolved, text []byte, want bool) {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	if err := judge.Validate(value); (err == nil) != want {
		t.Errorf("fits is %t, want %t (%v): %s", err == nil, want, err, text)
	}
}
