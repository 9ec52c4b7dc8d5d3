package push

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// repository is a git repository with one commit on the branch trunk.
func repository(t *testing.T) (dir, head string) {
	t.Helper()
	dir = t.TempDir()
	for name, value := range map[string]string{"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
		"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"} {
		t.Setenv(name, value)
	}
	put(t, dir, "app/Procfile", "web: ./server\n")
	put(t, dir, "notes", "one\n")
	gitIn(t, dir, "init", "-q", "-b", "trunk")
	gitIn(t, dir, "add", ".")
	gitIn(t, dir, "commit", "-q", "-m", "first")
	return dir, gitIn(t, dir, "rev-parse", "HEAD")
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func from(t *testing.T, what, dir string, environment map[string]string, want api.Source) {
	t.Helper()
	got := SourceOf(dir, variables(environment))
	got.Author = "" // TestAuthor
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSourceOfGit(t *testing.T) {
	dir, head := repository(t)
	app := filepath.Join(dir, "app")
	clean := api.Source{Revision: head, Branch: "trunk"}
	from(t, "a clean tree", dir, nil, clean)
	from(t, "a folder in it", app, nil, clean)

	put(t, dir, "new", "never added\n")
	from(t, "an untracked file", dir, nil, clean)
	put(t, dir, "notes", "two\n")
	from(t, "a changed file", dir, nil, api.Source{Revision: head, Branch: "trunk", Dirty: true})
	from(t, "a file changed elsewhere", app, nil, clean)
	gitIn(t, dir, "add", "notes")
	from(t, "a staged change", dir, nil, api.Source{Revision: head, Branch: "trunk", Dirty: true})
	gitIn(t, dir, "commit", "-q", "-m", "second")
	from(t, "after the commit", dir, nil, api.Source{Revision: gitIn(t, dir, "rev-parse", "HEAD"), Branch: "trunk"})

	gitIn(t, dir, "checkout", "-q", "--detach", head)
	from(t, "a detached head", dir, nil, api.Source{Revision: head})
}

func TestSourceOfNoGit(t *testing.T) {
	from(t, "no repository", t.TempDir(), nil, api.Source{})
	dir := t.TempDir()
	gitIn(t, dir, "init", "-q")
	from(t, "no commit", dir, nil, api.Source{})
	dir, _ = repository(t)
	t.Setenv("PATH", t.TempDir())
	from(t, "no git", dir, nil, api.Source{})
}

func TestSourceOfCI(t *testing.T) {
	dir, head := repository(t)
	other := strings.Repeat("1f", 20)
	from(t, "GitHub, a branch", dir, map[string]string{"GITHUB_SHA": other, "GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"},
		api.Source{Revision: other, Branch: "main", RunURL: "https://github.com/o/r/actions/runs/7"})
	from(t, "GitHub, a pull request", dir, map[string]string{"GITHUB_SHA": other, "GITHUB_HEAD_REF": "topic", "GITHUB_REF_NAME": "7/merge"},
		api.Source{Revision: other, Branch: "topic"})
	from(t, "GitLab, detached", dir, map[string]string{"CI_COMMIT_SHA": other, "CI_COMMIT_REF_NAME": "topic", "CI_JOB_URL": "https://gitlab/j/1"},
		api.Source{Revision: other, Branch: "topic", RunURL: "https://gitlab/j/1"})
	from(t, "an id of SHA-256", dir, map[string]string{"CI_COMMIT": strings.Repeat("a", 64), "CI_BRANCH": "b"}, api.Source{Revision: strings.Repeat("a", 64), Branch: "b"})
	from(t, "the first name wins", dir, map[string]string{"CI_COMMIT": other, "GITHUB_SHA": head, "CI_BRANCH_NAME": "one", "TRAVIS_BRANCH": "two"},
		api.Source{Revision: other, Branch: "one"})
	from(t, "a branch alone", dir, map[string]string{"CI_BRANCH": "b"}, api.Source{Revision: head, Branch: "b"})
	put(t, dir, "notes", "changed\n")
	from(t, "a step of CI changed a file", dir, map[string]string{"CI_COMMIT": head, "CI_BRANCH": "b"}, api.Source{Revision: head, Branch: "b", Dirty: true})
	for _, text := range []string{"v1.2", "main", other[:12], strings.ToUpper(other), other + "\n--x", strings.Repeat("g", 40)} {
		if got := SourceOf(dir, variables(map[string]string{"CI_COMMIT": text})); got.Revision != "" && got.Revision != head {
			t.Errorf("%q is taken for a commit: %+v", text, got)
		}
	}
}

// TestSourceOfEmptyVariables: CI systems set what they have nothing to say for, too.
func TestSourceOfEmptyVariables(t *testing.T) {
	dir, head := repository(t)
	empty := map[string]string{"GITHUB_SERVER_URL": "", "GITHUB_REPOSITORY": "", "GITHUB_RUN_ID": ""}
	for _, names := range [][]string{commitNames, branchNames, runNames} {
		for _, name := range names {
			empty[name] = ""
		}
	}
	from(t, "empty variables", dir, empty, api.Source{Revision: head, Branch: "trunk"})
}

// TestAuthor: who wrote the commit, in one line of plain text, if it is known here.
func TestAuthor(t *testing.T) {
	dir, head := repository(t)
	if got := SourceOf(dir, variables(nil)).Author; got != "t <t@example.com>" {
		t.Errorf("%q", got)
	}
	if got := SourceOf(dir, variables(map[string]string{"CI_COMMIT": strings.Repeat("1f", 20)})).Author; got != "" {
		t.Errorf("of a commit that is not here: %q", got)
	}
	t.Setenv("GIT_AUTHOR_NAME", "A\x1b[2J\tB"+strings.Repeat("x", 300))
	put(t, dir, "notes", "two\n")
	gitIn(t, dir, "commit", "-qam", "second")
	got := SourceOf(dir, variables(nil)).Author
	if !strings.HasPrefix(got, "A[2JBxxx") || len(got) != maxAuthor {
		t.Errorf("%q", got)
	}
	if got := SourceOf(dir, variables(map[string]string{"CI_COMMIT": head})).Author; got != "t <t@example.com>" {
		t.Errorf("of the commit that CI names: %q", got)
	}
}

// TestSourceDate: an engine is told of no time that nobody has named; a BuildKit daemon is
// told the commit's, if the tree is the commit's.
func TestSourceDate(t *testing.T) {
	dir, head := repository(t)
	committed := gitIn(t, dir, "log", "-1", "--format=%ct")
	daemon := map[string]string{"BUILDKIT_HOST": "unix:///x"}
	for _, test := range []struct {
		source      api.Source
		environment map[string]string
		want        string
	}{
		{api.Source{Revision: head}, nil, ""},
		{api.Source{Revision: head}, daemon, committed},
		{api.Source{Revision: head, Dirty: true}, daemon, ""},
		{api.Source{}, daemon, ""},
		{api.Source{Revision: strings.Repeat("1f", 20)}, daemon, ""},
		{api.Source{Revision: head, Dirty: true}, map[string]string{"SOURCE_DATE_EPOCH": "17"}, "17"},
	} {
		if got := sourceDate(dir, test.source, variables(test.environment)); got != test.want {
			t.Errorf("%+v, %v: %q, want %q", test.source, test.environment, got, test.want)
		}
	}
}

// TestOneTreeOneImage: two clones of a commit, on two days, by a person and by two runs of
// CI on two branches, are one image; a changed tree is another and says so.
func TestOneTreeOneImage(t *testing.T) {
	origin, _ := repository(t)
	put(t, origin, "app/dokku.hcl", "app = \"one\"\nbuild {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n  }\n}\n")
	gitIn(t, origin, "add", ".")
	gitIn(t, origin, "commit", "-q", "-m", "app")
	head := gitIn(t, origin, "rev-parse", "HEAD")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var ids []string
	build := func(dir string, environment map[string]string) map[string]string {
		t.Helper()
		o := Options{Dir: filepath.Join(dir, "app"), Getenv: variables(environment), Report: func(api.Event) {}}
		project, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		defer project.Close()
		image, err := Build(t.Context(), o, project, "linux", "amd64")
		if err != nil {
			t.Fatal(err)
		}
		digest, err := image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, image.ID+" "+digest.String())
		return config.Config.Labels
	}
	day := time.Now()
	for _, environment := range []map[string]string{
		nil,
		{"GITHUB_SHA": head, "GITHUB_REF_NAME": "main", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"},
		{"CI_COMMIT_SHA": head, "CI_COMMIT_REF_NAME": "topic", "CI_JOB_URL": "https://gitlab/j/1"},
	} {
		clone := filepath.Join(t.TempDir(), "clone")
		gitIn(t, origin, "clone", "-q", "file://"+origin, clone)
		day = day.Add(-24 * time.Hour)
		if err := os.Chtimes(filepath.Join(clone, "app", "Procfile"), day, day); err != nil {
			t.Fatal(err)
		}
		labels := build(clone, environment)
		if ids[len(ids)-1] != ids[0] || labels[api.LabelRevision] != head || labels[api.LabelAuthors] != "t <t@example.com>" || labels[api.LabelDirty] != "" {
			t.Errorf("%v: %q, before %q; labels %v", environment, ids[len(ids)-1], ids[0], labels)
		}
		put(t, clone, "app/Procfile", "web: ./other\n")
		if labels := build(clone, environment); ids[len(ids)-1] == ids[0] || labels[api.LabelDirty] != "true" {
			t.Errorf("a changed tree: %q, labels %v", ids[len(ids)-1], labels)
		}
	}
}
