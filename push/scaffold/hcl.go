package scaffold

import (
	"fmt"
	"slices"
	"strings"
)

// manifest writes dokku.hcl: what was found, and above each setting where. Whatever stands
// in quotes has a form without quotes, backslashes, ${ and %{.
func (l *look) manifest() string {
	var text strings.Builder
	text.WriteString("# Written by dokku-push init, from what it found in this tree. Correct what it guessed\n" +
		"# wrong; `dokku-push check` says whether the file is sound.\n")
	fmt.Fprintf(&text, "\n# %s\napp = \"%s\"\n", l.app.from, l.app.value)
	if l.host.value != "" {
		fmt.Fprintf(&text, "\n# %s\nhost \"production\" {\n  address = \"%s\"\n}\n", l.host.from, l.host.value)
	}
	l.buildBlock(&text)
	var rest []string
	for _, g := range l.draft.Guesses {
		elsewhere := slices.Contains([]string{"app", "host", "ci", "branch"}, g.What) || g.What == "builder" && l.buildFrom != ""
		if !elsewhere {
			rest = append(rest, fmt.Sprintf("# %s: %s (%s)\n", g.What, g.Value, g.From))
		}
	}
	if len(rest) > 0 {
		text.WriteString("\n# Also found; none of it needs a line here:\n" + strings.Join(rest, ""))
	}
	return text.String()
}

// buildBlock writes a build block where the builder would not choose the same by itself.
func (l *look) buildBlock(text *strings.Builder) {
	if l.buildFrom == "" || l.kept != "" {
		return
	}
	fmt.Fprintf(text, "\n# %s\nbuild {\n", l.buildFrom)
	if file := l.build.Dockerfile.Path; file != "" {
		fmt.Fprintf(text, "  dockerfile {\n    path = \"%s\"\n  }\n", file)
	}
	if static := l.build.Static; static.Base != "" {
		fmt.Fprintf(text, "  builder = \"static\"\n  static {\n    base = \"%s\"\n    dir  = \"%s\"\n    dest = \"%s\"\n  }\n", static.Base, static.Dir, static.Dest)
	}
	text.WriteString("}\n")
}
