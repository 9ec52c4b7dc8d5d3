package main

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// monorepo has two sites that are built without an engine, and one that cannot be.
var monorepo = map[string]string{
	"dokku.hcl": `host "production" { address = "dokku@example.com" }
build {
  builder = "static"
  static { base = "scratch" }
}
app "web" {
  build {
    dir = "apps/web"
  }
}
app "api" {
  build {
    dir = "apps/api"
    static { dir = "apps/nowhere" }
  }
}
app "docs" {
  build { context = "docs" }
}
`,
	"apps/web/Procfile": "web: ./server $PORT\n", "apps/web/index.html": "web\n", "apps/api/Procfile": "web: ./api $PORT\nworker: ./work\n", "docs/index.html": "docs\n",
}

func TestBuildAll(t *testing.T) {
	notInCI(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "code")
	tree(t, dir, monorepo)
	one := at(t, dir, "build", "--app", "web")
	if one.exit != 0 || !strings.HasPrefix(one.out, "sha256:") {
		t.Fatalf("one app: %+v", one)
	}
	if none := at(t, dir, "build"); none.exit != 64 || !strings.Contains(none.err, "web, api, docs") || !strings.Contains(none.err, "--all") {
		t.Errorf("no app: %+v", none)
	}
	all := at(t, dir, "build", "--all")
	if all.exit != 20 {
		t.Errorf("exit %d", all.exit)
	}
	lines := strings.Split(strings.TrimSpace(all.out), "\n")
	if len(lines) != 2 || lines[0] != "web "+strings.TrimSpace(one.out) || !strings.HasPrefix(lines[1], "docs sha256:") {
		t.Errorf("what was built: %q, and alone %q", lines, one.out)
	}
	for _, text := range []string{"web  | -----> Build web with static", "docs | -----> Build docs", "api  |  !     Build api", " !     api:\n", "apps/nowhere", "APP ", "api   failed"} {
		if !strings.Contains(all.err, text) {
			t.Errorf("it does not say %q:\n%s", text, all.err)
		}
	}
	events := at(t, dir, "build", "--all", "--log-format", "json")
	told := map[string]bool{}
	for line := range strings.Lines(events.out) {
		var event api.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if event.Verdict != nil {
			told[event.App] = event.Verdict.OK
		}
	}
	if diff := cmp.Diff(map[string]bool{"web": true, "api": false, "docs": true}, told); diff != "" || events.exit != 20 || events.err != "" {
		t.Errorf("exit %d, %q, -want +got:\n%s", events.exit, events.err, diff)
	}
}

func TestBuildChanged(t *testing.T) {
	notInCI(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "code")
	files := maps.Clone(monorepo)
	files["apps/nowhere/x"] = "api\n"
	files["dokku.hcl"] = strings.ReplaceAll(files["dokku.hcl"], `dir = "apps/web"`, `dir = "apps/web"
    watch = ["libs"]`)
	files["dokku.hcl"] = strings.ReplaceAll(files["dokku.hcl"], `dir = "apps/api"`, `dir = "apps/api"
    watch = ["apps/nowhere"]`)
	tree(t, dir, files)
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "first"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	tree(t, dir, map[string]string{"libs/x": "shared\n"})
	got := at(t, dir, "build", "--changed-since", "HEAD")
	if got.exit != 0 || !strings.HasPrefix(got.out, "web sha256:") || strings.Count(got.out, "\n") != 1 {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"docs |        skipped: none of its files has changed since HEAD", "docs  skipped", "api   skipped"} {
		if !strings.Contains(got.err, text) {
			t.Errorf("it does not say %q:\n%s", text, got.err)
		}
	}
	got = at(t, dir, "build", "--changed-since", "nowhere")
	if got.exit != 64 || got.out != "" || !strings.Contains(got.err, "nowhere") {
		t.Errorf("%+v", got)
	}
	got = at(t, dir, "build", "--changed-since", "HEAD", "--app", "docs")
	if got.exit != 0 || got.out != "" || !strings.Contains(got.err, "docs  skipped") || strings.Contains(got.err, "web") {
		t.Errorf("%+v", got)
	}
}

func TestSeveralUsage(t *testing.T) {
	notInCI(t)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"push", "--all", "--app", "web"}, "--all is for every app"},
		{[]string{"push", "--all", "--plan", "x"}, "--plan is the plan of one app"},
		{[]string{"push", "--all", "--image", "x"}, "--image is the image of one app"},
		{[]string{"plan", "--all", "-o", "x"}, "are for one app"},
		{[]string{"build", "--changed-since", "HEAD"}, "git repository"},
		{[]string{"plan"}, "web, api, docs"},
		{[]string{"status"}, "web, api, docs"},
	} {
		if got := in(t, monorepo, test.args...); got.exit != 64 || got.out != "" || !strings.Contains(got.err, test.says) {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
}

func TestCheckSeveral(t *testing.T) {
	notInCI(t)
	files := maps.Clone(monorepo)
	got := in(t, files, "check")
	want := `web (dokku.hcl) goes to dokku@example.com. It is built with static: named in dokku.hcl. It runs web.
api (dokku.hcl) goes to dokku@example.com. It is built with static: named in dokku.hcl. It runs web, worker.
docs (dokku.hcl) goes to dokku@example.com. It is built with static: named in dokku.hcl. It runs web, the image's own command: there is no Procfile in docs.
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.exit != 0 {
		t.Errorf("exit %d %s, -want +got:\n%s", got.exit, got.err, diff)
	}
	files["dokku.hcl"] += "app \"odd\" {\n  domain = []\n}\n"
	files["apps/api/Procfile"] = "nothing\n"
	got = in(t, files, "check")
	if got.exit != 65 || strings.Count(got.out, "app.domain is not known") != 1 || !strings.Contains(got.out, "apps/api/Procfile:1:1") || !strings.Contains(got.out, "2 errors") {
		t.Errorf("%+v", got)
	}
}

func TestExplainSeveral(t *testing.T) {
	notInCI(t)
	got := in(t, monorepo, "config", "explain", "build.dir")
	want := "web: build.dir = apps/web\n  from dokku.hcl:8:5 app web\n  over default: the context\n" +
		"api: build.dir = apps/api\n  from dokku.hcl:13:5 app api\n  over default: the context\ndocs: build.dir = the context\n  from default\n"
	if diff := cmp.Diff(want, got.out); diff != "" || got.exit != 0 {
		t.Errorf("exit %d %s, -want +got:\n%s", got.exit, got.err, diff)
	}
	got = in(t, monorepo, "config", "explain", "build.dir", "--format", "json")
	if got.exit != 0 || strings.Count(got.out, "\n") != 3 || !strings.HasPrefix(got.out, `{"app":"web","key":"build.dir",`) {
		t.Errorf("%+v", got)
	}
	got = in(t, monorepo, "config", "explain", "build.dir", "--app", "api")
	if got.exit != 0 || !strings.HasPrefix(got.out, "build.dir = apps/api\n") {
		t.Errorf("%+v", got)
	}
}

// TestWorse: one exit code for several failures.
func TestWorse(t *testing.T) {
	for _, test := range []struct {
		codes []int
		want  int
	}{{[]int{20}, 20}, {[]int{20, 20}, 20}, {[]int{20, 24}, 1}, {[]int{20, 24, 20}, 1}, {[]int{29, 20}, 29}, {[]int{20, 29}, 29}} {
		exit := 0
		for _, code := range test.codes {
			exit = worse(exit, code)
		}
		if exit != test.want {
			t.Errorf("%v: %d, want %d", test.codes, exit, test.want)
		}
	}
}

// TestBuildAnswers: what build can print and write of an image.
func TestBuildAnswers(t *testing.T) {
	notInCI(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "code")
	tree(t, dir, map[string]string{"index.html": "x\n", "dokku.hcl": "image { platforms = [\"linux/amd64\", \"linux/arm64/v8\"] }\nbuild {\n  builder = \"static\"\n  static {\n    base = \"scratch\"\n    make = \"echo $GOARCH >$OUT/server\"\n  }\n}\n"})
	id, digest := at(t, dir, "build"), at(t, dir, "build", "--print-digest")
	if id.exit != 0 || digest.exit != 0 || id.out == digest.out || !strings.HasPrefix(digest.out, "sha256:") || len(digest.out) != len(id.out) {
		t.Errorf("%+v, %+v", id, digest)
	}
	if again := at(t, dir, "build", "--print-digest"); again.out != digest.out {
		t.Errorf("%q, then %q", digest.out, again.out)
	}
	out := filepath.Join(t.TempDir(), "layout")
	written := at(t, dir, "build", "--oci", out)
	if written.exit != 0 || !strings.HasPrefix(written.out, "sha256:") || strings.Count(written.err, "-----> Build ") != 2 || strings.Contains(written.err, "only linux") {
		t.Errorf("%+v", written)
	}
	if again := at(t, dir, "build", "--oci", out); again.out != written.out {
		t.Errorf("%q, then %q", written.out, again.out)
	}
	for _, test := range []struct {
		exit int
		says string
		args []string
	}{
		{64, "something else", []string{"--oci", dir}},
		{64, "--oci goes with no other", []string{"--oci", out, "-o", "x.tar"}},
		{22, "the image carries none", []string{"--sbom", filepath.Join(t.TempDir(), "sbom")}},
		{64, "are for one app", []string{"--all", "--oci", out}},
	} {
		if got := at(t, dir, append([]string{"build"}, test.args...)...); got.exit != test.exit || got.out != "" || !strings.Contains(got.err, test.says) {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
	// A host takes its platform's image of the layout.
	if used := at(t, dir, "build", "--image", out); used.exit != 0 || !strings.HasPrefix(used.out, "sha256:") {
		t.Errorf("%+v", used)
	}
}

// TestInitSeveral: a dokku.hcl with several apps is kept, and is no mistake.
func TestInitSeveral(t *testing.T) {
	notInCI(t)
	if got := in(t, monorepo, "init", "--ci", "none"); got.exit != 0 || !strings.Contains(got.out, "dokku.hcl: it is there already") {
		t.Errorf("%+v", got)
	}
}
