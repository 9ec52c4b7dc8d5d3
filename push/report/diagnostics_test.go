package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/manifest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// diagnosed are the inputs of the golden files of the same names.
var diagnosed = map[string]manifest.Diagnostics{
	"none": nil,
	"usual": {
		{File: "Procfile", Line: 2, Column: 1, Source: "no colon here", Message: "the line is no process", Hint: "write name: command, such as web: ./server"},
		{File: "dokku.hcl", Line: 4, Column: 13, Source: `  builder = "magic"`, Message: "builder is magic", Hint: "known here: dockerfile, static"},
		{Severity: manifest.Advice, File: "app.json", Line: 12, Column: 5, Source: "    // later", Message: "JSON has no comments", Hint: "Dokku takes them, Heroku does not"},
	},
	"advice": {{Severity: manifest.Advice, File: "Procfile", Message: "it declares no process"}},
	"whole":  {{File: "dokku.hcl", Message: "the file is larger than 1024 KiB", Hint: "keep large values out of it"}},
	"columns": {
		{File: "tabs", Line: 1, Column: 4, Source: "\ta\t=\tb", Message: "below =, behind two tabs"},
		{File: "wide", Line: 2, Column: 4, Source: "世界 = 1", Message: "below ="},
		{File: "emoji", Line: 3, Column: 3, Source: "🚀 = 1", Message: "below ="},
		{File: "accents", Line: 4, Column: 4, Source: "e\u0301a=1", Message: "below ="},
		{File: "accent", Line: 5, Column: 2, Source: "e\u0301=1", Message: "below the letter under the accent"},
		{File: "end", Line: 6, Column: 4, Source: "web", Message: "behind the last letter"},
		{File: "beyond", Line: 7, Column: 900, Source: "cut…", Message: "the line was cut before the column"},
	},
	"controls": {
		{File: "Pro\x1b[31mcfile", Line: 123456, Column: 7, Source: "web: \x1b[2J\x07\x00\x7f\u009b\u202e\u00a0x", Message: "a \x1b]0;title\x07 in\nit", Hint: "take\rit out"},
	},
	"github": {
		{File: "a,b:c%.hcl", Line: 1, Column: 0, Source: "x", Message: "100% wrong: a, b", Hint: "::error::write 50%"},
	},
	"long": {
		{File: "left", Line: 1, Column: 2, Source: strings.Repeat("0123456789", 30), Message: "at the left"},
		{File: "middle", Line: 1, Column: 151, Source: strings.Repeat("0123456789", 30), Message: "below 0"},
		{File: "right", Line: 1, Column: 300, Source: strings.Repeat("0123456789", 30), Message: "below the last 9"},
		{File: "wide", Line: 1, Column: 100, Source: strings.Repeat("世", 200), Message: "in the middle"},
	},
}

// TestDiagnosticsGolden: every renderer on every input, in one file an input.
func TestDiagnosticsGolden(t *testing.T) {
	for name, found := range diagnosed {
		t.Run(name, func(t *testing.T) {
			var archive txtar.Archive
			render := func(as string, err error, text string) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				archive.Files = append(archive.Files, txtar.File{Name: as, Data: []byte(text)})
			}
			var text, narrow, color, github, document strings.Builder
			render("text", DiagnosticsText(&text, found, DiagnosticStyle{}), text.String())
			render("narrow", DiagnosticsText(&narrow, found, DiagnosticStyle{Width: 60}), narrow.String())
			err := DiagnosticsText(&color, found, DiagnosticStyle{Color: true})
			render("color", err, strings.ReplaceAll(color.String(), "\x1b", "ESC"))
			render("github", DiagnosticsGitHub(&github, found, "/work/repo/sub", "/work/repo"), github.String())
			render("json", DiagnosticsJSON(&document, found), document.String())
			golden(t, filepath.Join("testdata", "diagnostics", name+".txtar"), txtar.Format(&archive))
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "diagnostics", "*.txtar"))
	if err != nil || len(files) != len(diagnosed) {
		t.Errorf("%d golden files for %d inputs: %v", len(files), len(diagnosed), err)
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); go test ./push/report -run Golden -update writes it anew:\n%s", file, diff)
	}
}

// TestDiagnosticsUnseen: whatever stands in a file, no renderer without colour writes
// anything but lines of printable text, and JSON gives back what was there.
func TestDiagnosticsUnseen(t *testing.T) {
	var all strings.Builder
	for c := rune(0); c < 0x3000; c++ {
		all.WriteRune(c)
	}
	all.WriteString("\U000e0001\xff")
	text := all.String()
	found := manifest.Diagnostics{{File: text, Line: 1, Column: 30, Source: text, Message: text, Hint: text}}
	var human, github, document strings.Builder
	for _, err := range []error{DiagnosticsText(&human, found, DiagnosticStyle{Width: 80}), DiagnosticsGitHub(&github, found, "/r", "/r"), DiagnosticsJSON(&document, found)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, got := range map[string]string{"text": human.String(), "github": github.String(), "json": document.String()} {
		if i := strings.IndexFunc(got, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) }); i >= 0 {
			t.Errorf("%s writes %q", name, got[i:i+4])
		}
	}
	if n := strings.Count(github.String(), "\n"); n != 1 {
		t.Errorf("one annotation is %d lines", n)
	}
	var back struct{ Diagnostics []struct{ Source string } }
	if err := json.Unmarshal([]byte(document.String()), &back); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(text, "\ufffd"); back.Diagnostics[0].Source != want {
		t.Error("JSON does not give back the source line")
	}
}

// TestGitHubOutside: what was said in no file is named in the message, for GitHub shows no
// place that it cannot find.
func TestGitHubOutside(t *testing.T) {
	for name, want := range map[string]string{
		"the input builder": "::error title=dokku-push%3A mistake::the input builder: is x%0Awrite y\n", "--builder": "::error title=dokku-push%3A mistake::--builder: is x%0Awrite y\n",
		"$DOKKU_HOST": "::error title=dokku-push%3A mistake::$DOKKU_HOST: is x%0Awrite y\n", "Procfile": "::error file=Procfile,title=dokku-push%3A mistake::is x%0Awrite y\n",
	} {
		var said strings.Builder
		if err := DiagnosticsGitHub(&said, manifest.Diagnostics{{File: name, Message: "is x", Hint: "write y"}}, "/r", "/r"); err != nil || said.String() != want {
			t.Errorf("%s: %q, %v", name, said.String(), err)
		}
	}
}

// TestGitHubEscapes: no text ends an annotation, or a property of one, early.
func TestGitHubEscapes(t *testing.T) {
	const text = "50%, a:b\r\n%0A"
	if got, want := data(text), "50%25, a:b%0D%0A%250A"; got != want {
		t.Errorf("data: %q, want %q", got, want)
	}
	if got, want := property(text), "50%25%2C a%3Ab%0D%0A%250A"; got != want {
		t.Errorf("property: %q, want %q", got, want)
	}
	for _, test := range [][4]string{ // workspace, dir, file, want
		{"/r", "/r", "Procfile", "Procfile"},
		{"/r", "/r/apps/web", "deploy/dokku.hcl", "apps/web/deploy/dokku.hcl"},
		{"/r/", "/r", "Procfile", "Procfile"},
		{"/other", "/r", "Procfile", "/r/Procfile"},
		{"/r", "/rest", "Procfile", "/rest/Procfile"},
		{"", "/r", "Procfile", "Procfile"},
	} {
		if got := fileIn(test[0], test[1], test[2]); got != test[3] {
			t.Errorf("%v: %s", test, got)
		}
	}
}

func TestColor(t *testing.T) {
	for _, test := range []struct {
		env      map[string]string
		terminal bool
		want     bool
	}{
		{nil, true, true},
		{nil, false, false},
		{map[string]string{"NO_COLOR": "1"}, true, false},
		{map[string]string{"NO_COLOR": ""}, true, true},
		{map[string]string{"TERM": "dumb"}, true, false},
		{map[string]string{"CLICOLOR_FORCE": "1"}, false, true},
		{map[string]string{"CLICOLOR_FORCE": "0"}, false, false},
		{map[string]string{"FORCE_COLOR": "1", "NO_COLOR": "1"}, true, false},
	} {
		got := Color(test.terminal, func(name string) (string, bool) { v, ok := test.env[name]; return v, ok })
		if got != test.want {
			t.Errorf("%v on a terminal %t: %t, want %t", test.env, test.terminal, got, test.want)
		}
	}
}

// FuzzExcerpt: whatever a line is, what is shown of it fits, prints, and has the caret in
// or right behind it.
func FuzzExcerpt(f *testing.F) {
	f.Add("a\tb", 1, 20)
	f.Add("世界\x1b[2J"+strings.Repeat("é", 80), 70, 30)
	f.Fuzz(func(t *testing.T, line string, at, room int) {
		if at < 0 || at > 1000 || room != 0 && (room < 20 || room > 500) || len(line) > 2000 {
			return
		}
		text, caret := excerpt(line, at, room)
		wide := span(cells(text))
		if caret < 0 || caret > wide || room > 0 && wide > room {
			t.Errorf("%q at %d in %d: %q, %d wide, caret %d", line, at, room, text, wide, caret)
		}
		if i := strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
			t.Errorf("%q: %q does not print", line, text[i:])
		}
	})
}
