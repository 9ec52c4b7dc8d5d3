package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// told prints diagnostics as a person sees them, advice marked.
func told(found Diagnostics) string {
	var lines []string
	for _, d := range found {
		line := d.String()
		if d.Severity == Advice {
			line = "advice: " + line
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// sound fails unless every diagnostic has what a person needs: a place with the
// line that stands there, and one printable line of text.
func sound(t *testing.T, found Diagnostics) {
	t.Helper()
	for _, d := range found {
		if d.File == "" || d.Message == "" || strings.ContainsAny(d.String(), "\r\n\x1b\x00") {
			t.Errorf("not a diagnostic for people: %#v", d)
		}
		if d.Line > 0 && (d.Column < 1 || d.Column > len([]rune(d.Source))+1 && !strings.HasSuffix(d.Source, "…")) {
			t.Errorf("column %d is not in the line %q: %s", d.Column, d.Source, d)
		}
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(App{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
