package manifest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bare are words that only a library or a stack trace says.
var bare = []string{"hcl:", "json:", "hujson", "cty", "hclsyntax", "toml:", "goroutine", "panic", "runtime error", "map[", "%!", "interface {}", "*manifest", "manifest.", "strconv", "regexp", "0x"}

// Each folder is a project with mistakes, and want.txt is what is told of it.
func TestBroken(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join("testdata", "broken", "*"))
	if err != nil || len(folders) < 20 {
		t.Fatalf("%d folders: %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			app, found := Load(os.DirFS(folder), Options{})
			sound(t, found)
			if app != nil || !found.Failed() {
				t.Error("it is accepted")
			}
			got := plain(found)
			golden := filepath.Join(folder, "want.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, string(want))
			for _, d := range found {
				if d.Severity == Mistake && d.Hint == "" {
					t.Errorf("no hint: %s", d)
				}
				for _, word := range bare {
					if strings.Contains(strings.ToLower(d.Message+" "+d.Hint), word) {
						t.Errorf("it says %q: %s", word, d)
					}
				}
			}
		})
	}
}

// plain prints diagnostics with their lines, as a terminal without colours does.
func plain(found Diagnostics) string {
	var text strings.Builder
	for _, d := range found {
		text.WriteString(d.Severity.String() + ": " + d.String() + "\n")
		if d.Line > 0 {
			text.WriteString("  | " + strings.ReplaceAll(d.Source, "\t", " ") + "\n  | " + strings.Repeat(" ", d.Column-1) + "^\n")
		}
	}
	return text.String()
}
