package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is what a run of the program said.
type said struct {
	exit     int
	out, err string
}

// in runs the program in a folder with these files, without any setting of the caller's
// environment that it would read.
func in(t *testing.T, files map[string]string, args ...string) said {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "notes")
	tree(t, dir, files)
	return at(t, dir, args...)
}

func at(t *testing.T, dir string, args ...string) said {
	t.Helper()
	t.Chdir(dir)
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "DOKKU_") || strings.HasPrefix(name, "FORCE_COLOR") || strings.HasPrefix(name, "CLICOLOR") {
			t.Setenv(name, "")
		}
	}
	var out, err bytes.Buffer
	exit := run(t.Context(), args, strings.NewReader(""), &out, &err)
	return said{exit, out.String(), err.String()}
}

func tree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	sound = map[string]string{
		"Procfile":   "web: ./server $PORT\nworker: ./worker\nrelease: ./migrate\n",
		"Dockerfile": "FROM scratch\n",
		"dokku.hcl":  "host \"production\" {\n  address = \"dokku@example.com\"\n}\n",
	}
	broken = map[string]string{
		"Procfile":   "web: ./server $PORT\nno colon here\n",
		"Dockerfile": "FROM scratch\n",
		"dokku.hcl":  "app = \"notes\"\nbuild {\n\tbuilder = \"magic\"\n}\n",
		"app.json":   "{\n  // a comment\n}\n",
	}
)

func notInCI(t *testing.T) {
	t.Helper()
	t.Setenv("GITHUB_ACTIONS", "")
	t.Setenv("GITHUB_WORKSPACE", "")
}

func TestCheckValid(t *testing.T) {
	notInCI(t)
	got := in(t, sound, "check")
	want := said{0, "notes (the folder's name) goes to dokku@example.com. It is built with dockerfile: there is a Dockerfile. " +
		"It runs web, worker. The release task runs once in each release.\n", ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(said{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := in(t, map[string]string{"Dockerfile": "", "app.json": "{} // advice\n"}, "check", "--app", "other"); got.exit != 0 ||
		!strings.Contains(got.out, "app.json:1:4: warning: ") || !strings.Contains(got.out, "0 errors, 1 warning") ||
		!strings.Contains(got.out, "other (--app or DOKKU_APP) goes to no host yet") || !strings.Contains(got.out, "there is no Procfile") {
		t.Errorf("advice: %+v", got)
	}
}

func TestCheckMistakes(t *testing.T) {
	notInCI(t)
	got := in(t, broken, "check")
	for _, text := range []string{"Procfile:2:1: error: ", "    2 | no colon here\n      | ^\n", "dokku.hcl:3:12: error: ", "    3 |     builder = \"magic\"\n      |               ^\n",
		"app.json:2:3: warning: ", "2 errors, 1 warning\n"} {
		if !strings.Contains(got.out, text) {
			t.Errorf("it does not say %q:\n%s", text, got.out)
		}
	}
	if got.exit != 65 || got.err != "" || strings.Contains(got.out, "\x1b") {
		t.Errorf("%+v", got)
	}
	if got := in(t, map[string]string{"Procfile": "web: ./server $PORT\n"}, "check"); got.exit != 65 || !strings.Contains(got.out, "dokku.hcl: error: nothing says how to build this") {
		t.Errorf("a tree that nobody can build: %+v", got)
	}
	dir := filepath.Join(t.TempDir(), "My Notes")
	tree(t, dir, map[string]string{"Dockerfile": ""})
	if got := at(t, dir, "check"); got.exit != 65 || !strings.Contains(got.out, "the folder's name: ") || !strings.Contains(got.out, "write my-notes as app in dokku.hcl, or use --app") {
		t.Errorf("a folder that is no name: %+v", got)
	}
	if got := at(t, dir, "check", "--app", "notes"); got.exit != 0 {
		t.Errorf("with a name: %+v", got)
	}
}

func TestCheckFormats(t *testing.T) {
	notInCI(t)
	var document struct {
		Diagnostics []struct {
			File, Severity, Problem, Hint, Source string
			Line, Column                          int
		}
		Valid bool
	}
	for _, args := range [][]string{{"check", "--format", "json"}, {"check", "--log-format", "json"}} {
		got := in(t, broken, args...)
		if err := json.Unmarshal([]byte(got.out), &document); err != nil || got.exit != 65 || document.Valid || len(document.Diagnostics) != 3 {
			t.Errorf("%v: %v, %+v", args, err, got)
		}
	}
	if got := in(t, sound, "check", "--format", "json"); got.exit != 0 || got.out != "{\"diagnostics\":[],\"valid\":true}\n" {
		t.Errorf("JSON of a valid tree: %+v", got)
	}
	if got := in(t, sound, "check", "--format", "xml"); got.exit != 64 || !strings.Contains(got.err, "text, json or github") {
		t.Errorf("a format: %+v", got)
	}
	dir := filepath.Join(t.TempDir(), "repo")
	tree(t, filepath.Join(dir, "sub"), broken)
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_WORKSPACE", dir)
	got := at(t, dir, "check", "sub")
	for _, text := range []string{"::error file=sub/Procfile,line=2,col=1,title=", "::error file=sub/dokku.hcl,line=3,col=12,title=", "::warning file=sub/app.json,line=2,col=3,title="} {
		if !strings.Contains("\n"+got.out, "\n"+text) {
			t.Errorf("no %q in:\n%s", text, got.out)
		}
	}
	if got.exit != 65 {
		t.Errorf("annotations: exit %d", got.exit)
	}
	if got := at(t, dir, "check", "--log-format", "plain", "sub"); strings.Contains(got.out, "::error") || !strings.Contains(got.out, "Procfile:2:1: error") {
		t.Errorf("plain in GitHub's CI: %+v", got)
	}
}

func TestCheckUsage(t *testing.T) {
	notInCI(t)
	for _, args := range [][]string{{"check", "one", "two"}, {"check", "nowhere"}, {"init", "one", "two"}, {"init", "nowhere"}, {"init", "--ci", "jenkins"}, {"init", "--app", "Not A Name"}} {
		if got := in(t, sound, args...); got.exit != 64 || got.out != "" || got.err == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	help := in(t, nil, "help").out + in(t, nil, "help", "check").out + in(t, nil, "init", "--help").out
	for _, text := range []string{"check [DIR]", "init [DIR]", "--format", "--ci ", "--force"} {
		if !strings.Contains(help, text) {
			t.Errorf("help does not say %q", text)
		}
	}
}

// TestCheckEnvironment: the environment block that is asked for counts, and must be there.
func TestCheckEnvironment(t *testing.T) {
	notInCI(t)
	files := map[string]string{"Dockerfile": "", "dokku.hcl": "app = \"notes\"\nenvironment \"staging\" {\n  app = \"notes-staging\"\n}\n"}
	if got := in(t, files, "check", "--environment", "staging"); got.exit != 0 || !strings.HasPrefix(got.out, "notes-staging (dokku.hcl) goes to") || !strings.Contains(got.out, ", environment staging.") {
		t.Errorf("staging: %+v", got)
	}
	if got := in(t, files, "check"); got.exit != 0 || !strings.HasPrefix(got.out, "notes (dokku.hcl) goes to") {
		t.Errorf("no environment: %+v", got)
	}
	if got := in(t, files, "check", "--environment", "nowhere"); got.exit != 65 || !strings.Contains(got.out, "nowhere") {
		t.Errorf("an unknown environment: %+v", got)
	}
}
