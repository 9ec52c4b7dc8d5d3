package manifest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// page is docs/dokku-hcl.md, made from the table that reads the file.
func page() []byte {
	var text bytes.Buffer
	text.WriteString("# dokku.hcl\n\nAll that dokku.hcl can say, and dokku.hcl.json as well. Made from the table that reads it: `DOKKU_PUSH_UPDATE=1 go test ./manifest -run Reference`.\n" +
		"`environment \"NAME\" { … }` may hold any of an app's blocks and overrides them. Several apps: each in an `app \"NAME\" { … }`, which may hold the same, environments of its own, too; what stands outside holds for all,\n" +
		"and is overridden by the app's block, then the environment's, then the environment's in the app's. Its Procfile, app.json and the like are in `build.dir`, else `build.context`. Functions: `env(\"X\")`, `file(\"path\")` inside the project, `upper`, `lower`, `trimspace` and the like.\n\n" +
		"| key | what it says | else | example |\n|---|---|---|---|\n")
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + cell(s) + "`"
	}
	for _, entry := range Reference() {
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", entry.Key, cell(entry.Doc), cell(entry.Default), code(entry.Example))
	}
	return text.Bytes()
}

func TestReferenceIsWritten(t *testing.T) {
	const path = "../docs/dokku-hcl.md"
	if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
		if err := os.WriteFile(path, page(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(written, page()) {
		t.Errorf("%s is not what the table says (%v): DOKKU_PUSH_UPDATE=1 go test ./manifest -run Reference", path, err)
	}
}
