package hooks

import (
	"os"
	"strings"
	"testing"
)

// TestPage: docs/plugins.md knows every trigger that is fired and every argument that is
// taken.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/plugins.md")
	must(t, err)
	for _, name := range fired {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the page does not name the trigger %s", name)
		}
	}
	for _, one := range takenArguments() {
		for _, name := range strings.Fields(one.names) {
			if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+" ") {
				t.Errorf("the page does not name %s", name)
			}
		}
	}
}
