package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// schemas are what the client prints as JSON, by the names that `dokku-push schema` knows.
func schemas() map[string]func() (*jsonschema.Schema, error) {
	return map[string]func() (*jsonschema.Schema, error){
		"event":       schemaOf[api.Event]("one line of --log-format json"),
		"plan":        schemaOf[api.Plan]("what plan --json prints and plan -o writes"),
		"status":      schemaOf[api.AppState]("what status --log-format json prints"),
		"releases":    schemaOf[[]api.Release]("what releases --log-format json prints"),
		"drift":       schemaOf[api.Drift]("what drift --format json prints"),
		"doctor":      schemaOf[api.Diagnosis]("what doctor --format json prints"),
		"check":       schemaOf[diagnosticsDocument]("what check --format json prints"),
		"result":      schemaOf[resultDocument]("what --result FILE of push, plan, rollback and promote writes"),
		"explanation": schemaOf[manifest.Explanation]("what config explain --format json prints"),
	}
}

func schemaOf[T any](about string) func() (*jsonschema.Schema, error) {
	return func() (*jsonschema.Schema, error) {
		schema, err := jsonschema.For[T](nil)
		if err != nil {
			return nil, err
		}
		schema.Description = about
		return schema, nil
	}
}

// Schemas lists the names that Schema knows, sorted.
func Schemas() []string {
	return slices.Sorted(maps.Keys(schemas()))
}

// Schema is the JSON Schema (draft 2020-12) of a kind of JSON output, made from the
// very types that are printed. "manifest" is that of dokku.hcl.json.
func Schema(name string) ([]byte, error) {
	if name == "manifest" {
		return manifest.Schema()
	}
	infer, known := schemas()[name]
	if !known {
		return nil, api.Errorf(api.Usage, "", "there is no schema %q", name).WithHint("there are: manifest, %s", strings.Join(Schemas(), ", "))
	}
	schema, err := infer()
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", name, err)
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema of %s: %w", name, err)
	}
	return append(text, '\n'), nil
}
