package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/triggers"
)

// recorder writes down what a trigger gets: its arguments, where it runs, and whether its
// stdin is at its end.
const recorder = `printf '%s' "${0##*/}" >>"$RECORD"
printf ' [%s]' "$@" >>"$RECORD"
[[ "$PWD" -ef "$TREE" ]] || [[ -f tree-marker ]] || printf ' not in the tree' >>"$RECORD"
[[ -z "$(cat)" ]] || printf ' stdin' >>"$RECORD"
printf '\n' >>"$RECORD"`

func (w *world) recorders(name string) {
	w.write("tree-marker", "", 0o644)
	for _, trigger := range fired {
		w.plugin(name, trigger, recorder)
	}
}

// TestTriggers: every trigger in its order, with its arguments (PLUGIN-CONTRACT 4.1, 4.4),
// in the copy, with nothing to read.
func TestTriggers(t *testing.T) {
	rev := strings.Repeat("ab", 20)
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a Dockerfile": {map[string]string{"Dockerfile": "FROM scratch\n"}, []string{
			"post-extract [shop] [TREE] [" + rev + "]", "builder-detect [shop] [TREE]", "pre-receive-app [shop] [dockerfile] [TREE] [" + rev + "]",
			"pre-build-dockerfile [shop]", "pre-build [dockerfile] [shop] [TREE]", "docker-args-build [shop] [dockerfile]", "docker-args-process-build [shop] [dockerfile]",
			"post-build-dockerfile [shop]", "post-build [dockerfile] [shop] [TREE]"}},
		"buildpacks": {map[string]string{"go.mod": "module shop\n"}, []string{
			"post-extract [shop] [TREE] [" + rev + "]", "builder-detect [shop] [TREE]", "pre-receive-app [shop] [pack] [TREE] [" + rev + "]",
			"pre-build-buildpack [shop] [TREE]", "pre-build [pack] [shop] [TREE]",
			"builder-create-dokku-image [pack] [shop] [TREE] [heroku/builder:24]", "builder-dokku-image [pack] [shop] [TREE] [heroku/builder:24]", "docker-args-build [shop] [pack]", "docker-args-process-build [shop] [pack]",
			"post-build-buildpack [shop] [TREE]", "post-build [pack] [shop] [TREE]"}},
		"plain files": {map[string]string{"dokku.hcl": "build {\n  builder = \"static\"\n}\n"}, []string{
			"post-extract [shop] [TREE] [" + rev + "]", "builder-detect [shop] [TREE]", "pre-receive-app [shop] [dockerfile] [TREE] [" + rev + "]",
			"pre-build-dockerfile [shop]", "pre-build [dockerfile] [shop] [TREE]", "docker-args-build [shop] [dockerfile]", "docker-args-process-build [shop] [dockerfile]",
			"post-build-dockerfile [shop]", "post-build [dockerfile] [shop] [TREE]"}},
		"an image": {map[string]string{"dokku.hcl": "build {\n  builder = \"image\"\n  image = \"busybox\"\n}\n"}, []string{
			"post-extract [shop] [TREE] [" + rev + "]", "pre-receive-app [shop] [dockerfile] [TREE] [" + rev + "]"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.files)
			w.recorders("recorder")
			request, err := w.build()
			must(t, err)
			got := w.record()
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], request.Dir, "TREE")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if request.Dir == w.dir {
				t.Error("they worked on the project itself")
			}
		})
	}
}

// TestCatalogue: what is fired here is what the catalogue has for the build side.
func TestCatalogue(t *testing.T) {
	for _, name := range fired {
		if one, known := triggers.Lookup(name); !known || one.Side != triggers.Build {
			t.Errorf("%s: known %t, side %q", name, known, one.Side)
		}
	}
	for _, one := range triggers.All() {
		if one.Side == triggers.Build && !slices.Contains(fired[:], one.Name) {
			t.Errorf("%s is of the build side, and never fired", one.Name)
		}
	}
}

// TestEnvironment: the variables of PLUGIN-CONTRACT 2.2 are there and lead to what is
// there; the caller's stay; the key to the host is not among them.
func TestEnvironment(t *testing.T) {
	t.Setenv("DOKKU_SSH_KEY", "key-canary")
	t.Setenv("BASH_ENV", "/nowhere")
	t.Setenv("DOKKU_DISTRO", "plan9")
	t.Setenv("MINE", "stays")
	t.Setenv("PLUGIN_PATH", "/somewhere/else")
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("env", "post-extract", `env -0 | sort -z | tr '\0' '\n' >"$RECORD"
for folder in "$DOKKU_ROOT/shop" "$PLUGIN_PATH" "$PLUGIN_AVAILABLE_PATH/env" "$PLUGIN_ENABLED_PATH/env" "$PLUGIN_CORE_PATH" "$DOKKU_LOGS_DIR"; do
  [[ -d $folder ]] || echo "missing $folder" >>"$RECORD"
done
for file in "$PLUGIN_CORE_AVAILABLE_PATH/common/functions" "$PLUGIN_AVAILABLE_PATH/config/functions" "$PLUGIN_CORE_ENABLED_PATH/common/property-functions" "$PLUGIN_ENABLED_PATH/common/functions"; do
  [[ -f $file ]] || echo "missing $file" >>"$RECORD"
done`)
	_, err := w.build()
	must(t, err)
	env := map[string]string{}
	for _, line := range w.record() {
		key, value, _ := strings.Cut(line, "=")
		env[key] = value
		if strings.HasPrefix(line, "missing ") || strings.Contains(line, "key-canary") {
			t.Error(line)
		}
	}
	for _, name := range strings.Fields(`DOKKU_ROOT DOKKU_HOST_ROOT DOKKU_LIB_ROOT PLUGIN_PATH PLUGIN_AVAILABLE_PATH PLUGIN_ENABLED_PATH PLUGIN_CORE_PATH
		PLUGIN_CORE_AVAILABLE_PATH PLUGIN_CORE_ENABLED_PATH DOKKU_SYSTEM_USER DOKKU_SYSTEM_GROUP DOKKU_API_VERSION DOKKU_NOT_IMPLEMENTED_EXIT DOKKU_VALID_EXIT
		DOKKU_PID DOCKER_BIN DOKKU_LOGS_DIR DOKKU_LOGS_HOST_DIR DOKKU_EVENTS_LOGFILE DOKKU_IMAGE DOKKU_CNB_BUILDER DOKKU_CONTAINER_LABEL DOKKU_GLOBAL_RUN_ARGS
		DOKKU_GLOBAL_BUILD_ARGS SSH_USER SSH_NAME DOKKU_COMMAND SELF SELF_EXECUTABLE`) {
		if env[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
	for name, want := range map[string]string{"DOKKU_DISTRO": "plan9", "MINE": "stays", "DOKKU_API_VERSION": "1", "DOKKU_NOT_IMPLEMENTED_EXIT": "10", "BASH_ENV": "", "DOKKU_APP_NAME": ""} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
}

// TestFailure: a trigger that fails ends the build as one that failed, and says which
// plugin and trigger and with which code. What comes after it does not run.
func TestFailure(t *testing.T) {
	for _, trigger := range fired {
		t.Run(trigger, func(t *testing.T) {
			files := map[string]string{"Dockerfile": "FROM scratch\n"}
			if strings.HasSuffix(trigger, "-buildpack") || strings.HasSuffix(trigger, "dokku-image") {
				files = map[string]string{"go.mod": "module shop\n"}
			}
			w := newWorld(t, files)
			w.plugin("first", trigger, "echo 'no, because'\nexit 7")
			w.recorders("second")
			_, err := w.build()
			problem := api.AsError(err)
			if problem == nil || problem.Code != api.BuildFailed || api.Exit(err) != 20 {
				t.Fatalf("%v", err)
			}
			if want := "the plugin first failed in its trigger " + trigger + ": exit code 7"; !strings.Contains(problem.Error(), want) {
				t.Errorf("it says %q, want %q", problem, want)
			}
			shown := !slices.Contains([]string{"builder-detect", "builder-create-dokku-image", "builder-dokku-image", "docker-args-build", "docker-args-process-build"}, trigger) // those answer on stdout
			if shown != slices.Contains(w.printed, "no, because") {
				t.Errorf("printed: %q", w.printed)
			}
			if got := w.record(); slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, trigger+" ") }) {
				t.Errorf("the walk went on: %q", got)
			}
		})
	}
}

// TestBuilderImage: plugins make and name the image in which buildpacks build; where none
// does, it stays what the project says.
func TestBuilderImage(t *testing.T) {
	for name, test := range map[string]struct {
		make, take string // scripts; empty: the plugin has none
		want       string
	}{
		"named": {"", "echo \"named-from-$4\"", "named-from-example/builder"},
		"made":  {"echo made-for-$2", "", "made-for-shop"},
		"both":  {"echo made-for-$2", "echo \"named-from-$4\"", "named-from-made-for-shop"},
		"none":  {"", ":", "example/builder"},
		"prose": {"", "echo it is example/builder", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, map[string]string{"go.mod": "module shop\n", "dokku.hcl": "build {\n  pack {\n    builder = \"example/builder\"\n  }\n}\n"})
			for trigger, script := range map[string]string{"builder-create-dokku-image": test.make, "builder-dokku-image": test.take} {
				if script != "" {
					w.plugin("base", trigger, "true\n"+script)
				}
			}
			request, err := w.build()
			if test.want == "" {
				if problem := api.AsError(err); problem == nil || problem.Code != api.BuildFailed || !strings.Contains(problem.Error(), "no image") {
					t.Errorf("an answer that is no image: %v", err)
				}
				return
			}
			must(t, err)
			if got := build.PackBuilder(request.App); got != test.want {
				t.Errorf("buildpacks build in %q, want %q", got, test.want)
			}
		})
	}
}

// TestSilentFailure: an empty script as documents show it exits with 1 because of its first
// line, as it does on a host; the hint says so.
func TestSilentFailure(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("empty", "pre-build-dockerfile", "# nothing yet")
	_, err := w.build()
	if problem := api.AsError(err); problem == nil || !strings.Contains(problem.Hint, "exits with 1 when the test is false") {
		t.Errorf("%v", err)
	}
}

// TestCancelled: who stops a build stops its plugins.
func TestCancelled(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("slow", "post-extract", `echo begun >"$RECORD"; sleep 600`)
	room := w.open()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(w.record()) == 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	_, err := room.Extract(ctx)
	cancel()
	if problem := api.AsError(err); problem == nil || problem.Code != api.Cancelled {
		t.Errorf("%v", err)
	}
}

// TestNobody: without a plugin that ships such a trigger nothing is copied, and the build
// is that of the project itself.
func TestNobody(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": "docker_options {\n  build = [\"--build-arg A=1\"]\n}\n"})
	w.plugin("host-only", "post-deploy", "exit 1")
	w.write(Folder+"/idle/post-extract", "exit 1\n", 0o644)
	before := picture(t, w.dir)
	request, err := w.build()
	must(t, err)
	if request.Dir != w.dir || request.App.Build.Args["A"] != "1" {
		t.Errorf("it would build %s with %v", request.Dir, request.App.Build.Args)
	}
	if _, err := os.Stat(w.options.CacheDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	if diff := cmp.Diff(before, picture(t, w.dir)); diff != "" {
		t.Error(diff)
	}
	if want := "Trigger 'post-extract' is not executable, skipping plugin (idle)"; !slices.Contains(w.printed, want) {
		t.Errorf("printed: %q", w.printed)
	}
}

// TestTreeUntouched: what plugins change is what is built and what the manifest is read
// from; the project stays as it is, the plugin's own folder included, and the copy goes.
func TestTreeUntouched(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "Procfile": "web: serve\n", "src/a": "one\n", "gone": "x\n", "linked": "x\n"})
	must(t, os.Symlink("src/a", filepath.Join(w.dir, "link")))
	must(t, os.Link(filepath.Join(w.dir, "src/a"), filepath.Join(w.dir, "hard")))
	w.plugin("busy", "post-extract", `cd "$2"
echo 'worker: work' >>Procfile
echo two >>src/a; echo three >>hard; rm gone; mkdir -m 0555 -p closed/in; ln -sf nowhere link
touch "$PLUGIN_AVAILABLE_PATH/busy/state"; chmod 0600 src`)
	w.plugin("busy", "pre-build", `echo more >>"$3/src/a"`)
	before := picture(t, w.dir)
	request, err := w.build()
	must(t, err)
	if got, err := os.ReadFile(filepath.Join(request.Dir, "src/a")); err != nil && os.Geteuid() == 0 || err == nil && string(got) != "one\ntwo\nmore\n" {
		t.Errorf("the builder gets %q: %v", got, err)
	}
	if command, ok := request.App.Procfile.Command("worker"); !ok || command != "work" || request.App.ProcfileText != "web: serve\nworker: work\n" {
		t.Errorf("the manifest has not what the plugin wrote: %q", request.App.ProcfileText)
	}
	if diff := cmp.Diff(before, picture(t, w.dir)); diff != "" {
		t.Errorf("the project has changed (-before +after):\n%s", diff)
	}
	must(t, w.room.Close())
	must(t, w.room.Close())
	if left := picture(t, w.options.CacheDir); len(left) != 2 { // the folder, and this app's place
		t.Errorf("left behind: %v", left)
	}
}

// TestOnePlace: two builds of one app of one folder come one after the other, in the same
// place; those of two apps do not wait.
func TestOnePlace(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("any", "post-extract", "true")
	first := w.open()
	o := w.options
	o.Name = "other"
	other, err := Open(t.Context(), o)
	must(t, err)
	must(t, other.Close())

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o = w.options
	o.Output = func(line string) {
		if strings.HasPrefix(line, "waiting for another build of shop") {
			cancel()
		}
	}
	if _, err := Open(ctx, o); api.AsError(err) == nil || api.AsError(err).Code != api.Cancelled {
		t.Fatalf("two builds have one place: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(first.Dir(), "left"), nil, 0o644)) // as one that is killed leaves it
	first.release()
	second := w.open()
	if _, err := os.Stat(filepath.Join(second.Dir(), "left")); second.Dir() != first.Dir() || err == nil {
		t.Errorf("the second build has %s, the first had %s; what was left: %v", second.Dir(), first.Dir(), err)
	}
	must(t, second.Close())
	first.release = nil
}

// TestBrokenByPlugin: a manifest that a plugin broke is refused with its place.
func TestBrokenByPlugin(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n"})
	w.plugin("bad", "post-extract", `echo 'no colon here' >Procfile`)
	_, err := w.build()
	if api.Exit(err) != 65 || !strings.Contains(fmt.Sprint(err), "Procfile:1:1") {
		t.Errorf("%v", err)
	}
}

// TestSecretsDoNotShow: what a plugin prints is shown without the values of secrets.
func TestSecretsDoNotShow(t *testing.T) {
	t.Setenv("TOKEN", "token-canary")
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": "secrets = [\"TOKEN\"]\n"})
	w.plugin("loud", "post-extract", "source \"$PLUGIN_AVAILABLE_PATH/config/functions\"\n[[ $(config_get shop TOKEN) == \"$TOKEN\" ]]\necho \"it is $TOKEN\"; echo \"and $TOKEN\" >&2\nprintf 'no newline'")
	room := w.open()
	_, err := room.Extract(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"it is [secret]", "and [secret]", "no newline"}, w.printed); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(filepath.Join(room.base, factsFile))
	if err != nil || strings.Contains(string(text), "canary") {
		t.Errorf("a secret is on the disk: %s %v", text, err)
	}
}
