package main

import (
	"slices"
	"strings"
	"testing"
)

// TestImportRefused: what is not said, and files that are in the way, are told before any
// host is asked.
func TestImportRefused(t *testing.T) {
	notInCI(t)
	const here = "app = \"former\"\n"
	for args, want := range map[string]string{
		"":                          "import takes --app NAME, --server NAME or --all",
		"--all --app shop":          "it goes with no --app and no -o -",
		"--all -o -":                "it goes with no --app and no -o -",
		"--app shop":                "dokku.hcl is there already",
		"--server here":             "hosts.hcl is there already",
		"--app shop --server here":  "dokku.hcl is there already",
		"--app shop -o other.hcl":   "other.hcl is there already",
		"--app shop word":           "import takes no arguments",
		"--app shop -o fresh.hcl":   "127.0.0.1:1",
		"--server here -o new.hcl":  "127.0.0.1:1",
		"--app shop -o - --plain A": "127.0.0.1:1",
		"--app shop --force":        "127.0.0.1:1",
	} {
		got := in(t, map[string]string{"dokku.hcl": here, "hosts.hcl": here, "other.hcl": here},
			slices.Concat([]string{"import", "--host", "dokku@127.0.0.1:1"}, strings.Fields(args))...)
		if got.exit == 0 || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("import %s: it does not say %q: %+v", args, want, got)
		}
	}
}
