package scaffold

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

var update = flag.Bool("update", false, "write what is wanted of the trees anew")

// sample is a tree of testdata/trees: how to make it and what is to come of it.
type sample struct {
	file    string
	archive *txtar.Archive
	options Options
	top     string // the repository's folder
}

// openSample writes the tree of a txtar file. Its comment says what files cannot: a
// folder's name, options, git's branch and remotes.
func openSample(t *testing.T, file string) *sample {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &sample{file: file, archive: archive}
	said := map[string][]string{}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		said[key] = append(said[key], value)
	}
	first := func(key string) string { return append(said[key], "")[0] }
	s.top = filepath.Join(t.TempDir(), first("folder"))
	s.options = Options{Dir: filepath.Join(s.top, first("project")), App: first("app"), Host: first("host"), CI: first("ci"), Version: first("version"), Getenv: os.LookupEnv}
	put(t, s.top, "", "")
	for _, one := range archive.Files {
		if !strings.HasPrefix(one.Name, "want/") {
			put(t, s.top, one.Name, string(one.Data))
		}
	}
	if len(said["remote"])+len(said["branch"]) > 0 {
		gitDo(t, s.top, "init", "-q")
		if branch := first("branch"); branch != "" {
			put(t, s.top, ".git/HEAD", "ref: refs/heads/"+branch+"\n")
		}
		for _, remote := range said["remote"] {
			name, url, _ := strings.Cut(remote, " ")
			gitDo(t, s.top, "config", "remote."+name+".url", url)
		}
	}
	if first("commit") != "" {
		gitDo(t, s.top, "add", ".")
	}
	return s
}

// put writes a file, or makes the folder where name is empty.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	folder := path
	if name != "" {
		folder = filepath.Dir(path)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if name == "" {
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func gitDo(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func drafted(t *testing.T, o Options) *Draft {
	t.Helper()
	draft, err := Look(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return draft
}

// said is a draft as text.
func said(draft *Draft) string {
	var text strings.Builder
	for _, g := range draft.Guesses {
		fmt.Fprintf(&text, "%s = %s (%s)\n", g.What, g.Value, g.From)
	}
	for _, sentence := range draft.Missing {
		fmt.Fprintf(&text, "to do: %s\n", sentence)
	}
	return text.String()
}

// TestTrees: what is guessed of each tree and written, that it loads, that nothing that
// was there is touched, and that no secret is in any of it.
func TestTrees(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	files, err := filepath.Glob(filepath.Join("testdata", "trees", "*.txtar"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d trees: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := openSample(t, file)
			before := contents(t, s.top)
			draft := drafted(t, s.options)
			got := []txtar.File{{Name: "want/said", Data: []byte(said(draft))}}
			for _, one := range draft.Files {
				path := filepath.Join(one.Dir, one.Name)
				outcome, err := one.Write(false)
				if err != nil {
					t.Fatal(err)
				}
				if _, was := before[path]; was != (outcome == Kept) {
					t.Errorf("%s was there before: %t; outcome %q", one.Name, was, outcome)
				}
				if outcome == Written {
					name, _ := filepath.Rel(s.top, path)
					got = append(got, txtar.File{Name: "want/" + name, Data: []byte(one.Text)})
				}
			}
			s.compare(t, got)
			after := contents(t, s.top)
			for path, text := range before {
				if after[path] != text {
					t.Errorf("%s is changed", path)
				}
			}
			if all := said(draft) + fmt.Sprint(draft.Files); strings.Contains(all, "do-not-copy") {
				t.Errorf("a secret is in it:\n%s", all)
			}
			if _, found := manifest.Load(os.DirFS(s.options.Dir), manifest.Options{}); found.Failed() {
				t.Errorf("what was written has mistakes:\n%v", found)
			}
			for _, one := range drafted(t, s.options).Files {
				if outcome, err := one.Write(false); outcome != Kept || err != nil {
					t.Errorf("%s a second time: %q, %v", one.Name, outcome, err)
				}
			}
		})
	}
}

// compare holds what came of a tree against what its file wants.
func (s *sample) compare(t *testing.T, got []txtar.File) {
	t.Helper()
	var tree, want []txtar.File
	for _, one := range s.archive.Files {
		if strings.HasPrefix(one.Name, "want/") {
			want = append(want, one)
		} else {
			tree = append(tree, one)
		}
	}
	if *update {
		text := txtar.Format(&txtar.Archive{Comment: s.archive.Comment, Files: append(tree, got...)})
		if err := os.WriteFile(s.file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text := func(files []txtar.File) string { return string(txtar.Format(&txtar.Archive{Files: files})) }
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("-want +got; go test ./push/scaffold -run Trees -update writes it anew:\n%s", diff)
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestForce: with force files are replaced, and nothing is learnt from what goes.
func TestForce(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "dokku.hcl", "app = \"former\"\n")
	put(t, dir, "Dockerfile", "FROM scratch\n")
	draft := drafted(t, Options{Dir: dir, App: "fresh", CI: None, Force: true})
	if outcome, err := draft.Files[0].Write(true); err != nil || outcome != Replaced {
		t.Fatalf("%q, %v", outcome, err)
	}
	app, found := manifest.Load(os.DirFS(dir), manifest.Options{})
	if found.Failed() || app.Name != "fresh" {
		t.Errorf("%+v\n%v", app, found)
	}
}

// TestAgain: a dokku.hcl that is kept names the host, whether DOKKU_HOST says the same or
// nothing; another host than its own is to be put somewhere.
func TestAgain(t *testing.T) {
	for host, missing := range map[string]bool{"": false, "dokku@example.com": false, "dokku@example.org": true} {
		dir := t.TempDir()
		put(t, dir, "dokku.hcl", "host \"production\" {\n  address = \"dokku@example.com\"\n}\n")
		put(t, dir, "Dockerfile", "FROM scratch\n")
		if all := said(drafted(t, Options{Dir: dir, App: "shop", Host: host, CI: GitHub})); strings.Contains(all, "does not name the host") != missing {
			t.Errorf("--host %q:\n%s", host, all)
		}
	}
}

// TestLinks: what is not a plain file or folder of the tree is neither read nor written.
func TestLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	put(t, outside, "package.json", `{"name": "outside"}`)
	for link, target := range map[string]string{"package.json": outside + "/package.json", ".github": outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "app.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	draft := drafted(t, Options{Dir: dir, CI: GitHub})
	if all := said(draft); strings.Contains(all, "outside") {
		t.Errorf("a link out of the tree was followed:\n%s", all)
	}
	workflow := draft.Files[1]
	if _, err := workflow.Write(true); api.AsError(err) == nil || api.AsError(err).Code != api.Usage {
		t.Errorf("writing through a link: %v", err)
	}
	if found := contents(t, outside); len(found) != 1 {
		t.Errorf("written outside: %v", found)
	}
}

// TestUsage: what a flag says is refused with what to write.
func TestUsage(t *testing.T) {
	for _, o := range []Options{{App: "My App"}, {App: "global"}, {Host: "-oProxyCommand=x"}, {Host: "a b"}, {Host: "h\"\n"}, {CI: "jenkins"}} {
		o.Dir = t.TempDir()
		_, err := Look(t.Context(), o)
		problem, ok := errors.AsType[*api.Error](err)
		if !ok || problem.Code != api.Usage {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestAppName(t *testing.T) {
	for name, want := range map[string]string{
		"shop": "shop", "@acme/Web_Shop": "web-shop", "The Shop!": "the-shop", "a--b": "a-b", "-x-": "x", "1st": "1st",
		"dokku": "dokku-app", "tls": "tls-app", "☃": "", "": "", ".": "", "/": "", "docs.example.com": "docs-example-com",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62), strings.Repeat("ab", 50): strings.Repeat("ab", 50)[:63],
	} {
		got := appName(name)
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if got != "" && manifest.AppName(got) != nil {
			t.Errorf("%q: %v", name, manifest.AppName(got))
		}
	}
}

func TestParseRemote(t *testing.T) {
	for text, want := range map[string]string{
		"dokku@host:app":                      "dokku@host app",
		"dokku@host.example.com:app.git":      "dokku@host.example.com app",
		"dokku@[::1]:app":                     "dokku@[::1] app",
		"ssh://dokku@host/app":                "dokku@host app",
		"ssh://dokku@host:3022/app/":          "dokku@host:3022 app",
		"ssh://dokku:word@[2001:db8::1]:22/a": "dokku@[2001:db8::1]:22 a",
		"git@host:app":                        "", "ssh://root@host/app": "", "https://dokku@host/app": "", "dokku@host": "", "dokku@:app": "", "dokku@host:": "",
		"dokku@host:a/b": "", "dokku@-o:app": "", "dokku@ho st:app": "", "ssh://dokku@host:x/app": "", "dokku@host:App": "", "dokku@[::1:app": "", "dokku@[1.2.3.4]:app": "", "ssh://dokku@host:65536/app": "", "": "",
	} {
		address, app, ok := parseRemote(text)
		got := address + " " + app
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestDownloads: CI installs the version that wrote the workflow, if that is a release.
func TestDownloads(t *testing.T) {
	for version, want := range map[string]string{"v1.2.3": "download/v1.2.3", "dev": "latest/download", "v1.2.3-4-gabc-dirty": "latest/download", "": "latest/download"} {
		if got := downloads(version); got != releases+want {
			t.Errorf("%q: %s", version, got)
		}
	}
}

// TestPlain: a name is quoted only if no text around it can take it for its own.
func TestPlain(t *testing.T) {
	got := plainKeys(map[string]any{"web": 1, "${x}": 1, "a\nb": 1, "\"": 1, "": 1, "worker-2": 1, strings.Repeat("a", 81): 1})
	if diff := cmp.Diff([]string{"web", "worker-2"}, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]bool{">=20 <23": true, "^18 || 20.x": true, "20\n": false, "${env(\"X\")}": false, "": false, "lts/*": false} {
		if got := isVersion(text); got != want {
			t.Errorf("version %q: %t", text, got)
		}
	}
}
