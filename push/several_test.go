package push

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

const severalApps = `
app "web" {
  build {
    dir   = "apps/web"
    watch = ["libs/**", "go.mod"]
  }
}
app "api" {
  build { context = "apps/api" }
}
app "docs" {
  build {
    builder = "static"
    context = "docs"
  }
}
app "all" {
  build { dir = "apps/all" }
}
`

// several is a repository whose project, in the folder code, has four apps.
func several(t *testing.T) (dir string) {
	t.Helper()
	dir, _ = repository(t)
	for _, app := range []string{"web", "api", "all"} {
		put(t, dir, "code/apps/"+app+"/Dockerfile", "FROM scratch\n")
	}
	put(t, dir, "code/docs/index.html", "hello\n")
	put(t, dir, "code/libs/deep/a.go", "package a\n")
	put(t, dir, "code/dokku.hcl", severalApps)
	gitIn(t, dir, "add", ".")
	gitIn(t, dir, "commit", "-q", "-m", "apps")
	return dir
}

func severalOptions(dir string) Options {
	return Options{Dir: filepath.Join(dir, "code"), Getenv: variables(nil), Report: func(api.Event) {}}
}

// built are the members that are not skipped.
func built(t *testing.T, o Options, since string) string {
	t.Helper()
	members, err := Members(t.Context(), o, since)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range members {
		if m.Skipped == "" {
			names = append(names, m.Name)
		} else if !strings.Contains(m.Skipped, since) {
			t.Errorf("%s is skipped for %q", m.Name, m.Skipped)
		}
	}
	return strings.Join(names, " ")
}

func TestChangedSince(t *testing.T) {
	dir := several(t)
	o := severalOptions(dir)
	expect := func(what, want string) {
		t.Helper()
		if got := built(t, o, "HEAD"); got != want {
			t.Errorf("%s: %q is built, want %q", what, got, want)
		}
	}
	if got := built(t, o, ""); got != "web api docs all" {
		t.Errorf("without a ref: %q", got)
	}
	expect("nothing changed", "")
	put(t, dir, "notes", "outside of the project\n")
	expect("a file outside of the project", "")
	put(t, dir, "code/apps/api/new.go", "never added\n")
	expect("a file that was never added", "api all")
	gitIn(t, dir, "add", ".")
	expect("a staged file", "api all")
	gitIn(t, dir, "commit", "-q", "-m", "api")
	if got := built(t, o, "HEAD~1"); got != "api all" {
		t.Errorf("a commit: %q", got)
	}
	expect("after the commit", "")
	put(t, dir, "code/libs/deep/a.go", "package b\n")
	expect("a watched file", "web all")
	gitIn(t, dir, "commit", "-qam", "libs")
	if err := os.Remove(filepath.Join(dir, "code/docs/index.html")); err != nil {
		t.Fatal(err)
	}
	expect("a file that is gone", "docs all")
	gitIn(t, dir, "commit", "-qam", "docs")
	put(t, dir, "code/go.mod", "module x\n")
	expect("a watched file in the project's folder", "web all")
	put(t, dir, "code/dokku.hcl", severalApps+"# a comment\n")
	expect("dokku.hcl", "web api docs all")
	if got := built(t, o, strings.Repeat("0", 40)); got != "web api docs all" {
		t.Errorf("what GitHub says before a first commit: %q", got)
	}
	o.App = "docs"
	if got := built(t, o, "HEAD"); got != "docs" {
		t.Errorf("one app: %q", got)
	}
}

func TestChangedSinceRefusals(t *testing.T) {
	dir := several(t)
	refused := func(o Options, ref string, says ...string) {
		t.Helper()
		_, err := Members(t.Context(), o, ref)
		text := api.AsError(err).Error() + " " + api.AsError(err).Hint
		for _, word := range says {
			if api.Exit(err) != 64 || !strings.Contains(text, word) {
				t.Errorf("%s: exit %d, %s", ref, api.Exit(err), text)
			}
		}
	}
	o := severalOptions(dir)
	refused(o, "nowhere", `"nowhere"`, "git fetch")
	refused(o, "--all", `"--all"`)
	refused(o, "HEAD:code/dokku.hcl", "HEAD:code/dokku.hcl")
	shallow := filepath.Join(t.TempDir(), "clone")
	gitIn(t, dir, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	refused(severalOptions(shallow), "HEAD~1", "HEAD~1", "shallow", "fetch-depth: 0")
	bare := t.TempDir()
	put(t, bare, "code/Dockerfile", "FROM scratch\n")
	refused(severalOptions(bare), "HEAD", "git repository", "--all")
}

func TestMembersRefusals(t *testing.T) {
	for _, test := range []struct {
		hcl, app string
		exit     int
		says     string
	}{
		{"app \"a\" {\n  app = \"c\"\n}\napp \"b\" {\n  app = \"c\"\n}\n", "", 65, "the apps a and b are both called c"},
		{"app \"a\" {}\napp \"a\" {}\n", "", 65, "app a stands twice"},
		{"app \"a\" {\n  build { dir = \"../x\" }\n}\n", "", 65, "out of the project"},
		{"app \"a\" {\n  build { dir = \"link\" }\n}\n", "", 65, "out of the project"},
		{"app \"a\" {}\napp \"b\" {\n  domain = []\n}\n", "", 65, "did you mean domains?"},
		{"app \"a\" {}\napp \"b\" {}\n", "c", 65, "there is no app c"},
	} {
		dir := t.TempDir()
		put(t, dir, "code/dokku.hcl", test.hcl)
		if err := os.Symlink(t.TempDir(), filepath.Join(dir, "code/link")); err != nil {
			t.Fatal(err)
		}
		o := severalOptions(dir)
		o.App = test.app
		_, err := Members(t.Context(), o, "")
		if api.Exit(err) != test.exit || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: exit %d, %v", test.hcl, api.Exit(err), err)
		}
	}
	dir := several(t)
	if _, err := Load(severalOptions(dir)); api.Exit(err) != 64 || !strings.Contains(err.Error(), "web, api, docs, all") || !strings.Contains(api.AsError(err).Hint, "--all") {
		t.Errorf("no app is named: %v", err)
	}
}

// TestEach: every member has its turn, whatever becomes of the others, with its own events.
func TestEach(t *testing.T) {
	var mu sync.Mutex
	told := map[string]string{}
	o := Options{Report: func(e api.Event) {
		mu.Lock()
		defer mu.Unlock()
		told[e.App] += e.Output.Text
	}}
	var members []Member
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		members = append(members, Member{Block: name, Name: name + "-staging"})
	}
	members[2].Skipped = "nothing to do"
	running, most, closed := 0, 0, false
	full := make(chan struct{}) // closed when as many run as may
	outcomes := Each(t.Context(), o, members, func(_ context.Context, m Member, o Options) error {
		mu.Lock()
		running++
		if most = max(most, running); most == atOnce && !closed {
			closed = true
			close(full)
		}
		mu.Unlock()
		select { // nobody ends before
		case <-full:
		case <-time.After(time.Minute):
		}
		o.Report(output("x", o.App))
		mu.Lock()
		running--
		mu.Unlock()
		if m.Block == "b" {
			return errors.New("b is broken")
		}
		return nil
	})
	if diff := cmp.Diff(map[string]string{"a-staging": "a", "b-staging": "b", "c-staging": "nothing to do", "d-staging": "d", "e-staging": "e", "f-staging": "f"}, told); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, o := range outcomes {
		if o.Name != members[i].Name || (o.Err != nil) != (o.Block == "b") {
			t.Errorf("%+v", o)
		}
	}
	if most != atOnce {
		t.Errorf("%d at once", most)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range Each(ctx, o, members[:1], func(context.Context, Member, Options) error { return errors.New("begun") }) {
		if api.AsError(o.Err).Code != api.Cancelled {
			t.Errorf("a push that was cancelled before: %v", o.Err)
		}
	}
}

// TestPassphraseOnce: a key that opens for one app is not asked for again.
func TestPassphraseOnce(t *testing.T) {
	asked := 0
	ask := inTurn(func(file string) (string, error) {
		asked++
		if asked == 1 {
			return "", errors.New("no terminal")
		}
		return "secret of " + file, nil
	})
	_, first := ask("k")
	for range 3 {
		if text, err := ask("k"); err != nil || text != "secret of k" {
			t.Errorf("%q, %v", text, err)
		}
	}
	if first == nil || asked != 2 || inTurn(nil) != nil {
		t.Errorf("asked %d times, first %v", asked, first)
	}
}
