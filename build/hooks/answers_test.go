package hooks

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/triggers/shim"
)

const sources = `source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"
source "$PLUGIN_AVAILABLE_PATH/config/functions"
source "$PLUGIN_CORE_AVAILABLE_PATH/common/property-functions"
`

// asker is a room in which scripts ask, as a trigger of a plugin does.
type asker struct{ room *Room }

func newAsker(t *testing.T, hcl string) asker {
	t.Helper()
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": hcl})
	w.plugin("any", "post-extract", "true")
	return asker{w.open()}
}

// said runs a script and returns what it printed, a | for each line's end, and its exit
// code. Nothing is kept of the scripts before.
func (a asker) said(t *testing.T, script string) (string, int) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(a.room.lib(), "config")))
	command := exec.CommandContext(t.Context(), "bash", "-c", "set -eo pipefail; [[ $DOKKU_TRACE ]] && set -x\n"+sources+script)
	command.Env, command.Dir = a.room.walk.Env, a.room.Dir()
	out, err := command.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSuffix(string(out), "\n"), "\n", "|"), command.ProcessState.ExitCode()
}

// TestFunctions: what the shell files answer where an image is built.
func TestFunctions(t *testing.T) {
	t.Setenv("TOKEN", "it's")
	asks := newAsker(t, "config {\n  A = \"1\"\n  LONG_KEY = \"two\\nlines\"\n}\nsecrets = [\"TOKEN\", \"UNSET\"]\n")
	for script, want := range map[string]string{
		// common/functions
		`verify_app_name shop; echo yes`:                                                                  "yes",
		`(verify_app_name other) || echo $?`:                                                              " !     App other does not exist|20",
		`(verify_app_name "") || echo $?`:                                                                 " !     Please specify an app to run the command on|20",
		`is_valid_app_name shop && ! is_valid_app_name "No App" 2>/dev/null; echo $?`:                     "0",
		`is_valid_app_name --old a_b && echo yes`:                                                         "yes",
		`dokku_apps; dokku_version; get_app_scheduler shop; get_app_image_repo shop`:                      "shop|1.2.3|docker-local|dokku/shop",
		`get_app_image_name shop ""; echo "$IMAGE_REPO"`:                                                  "dokku/shop:latest|dokku/shop",
		`fn-plugn-trigger-exists post-extract && ! fn-plugn-trigger-exists nothing; echo $?`:              "0",
		`dokku_log_info1 one; dokku_log_verbose two; (dokku_log_fail three) || echo $?`:                   "-----> one|       two| !     three|1",
		`"$PLUGIN_CORE_AVAILABLE_PATH/common/common" --quiet verify-app-name shop && echo fine`:           "fine",
		`[[ "$(plugn trigger config-get shop A)" == 1 && -z "$(plugn trigger nobody-has-it)" ]]; echo $?`: "0",
		`plugn trigger app-exists shop; plugn trigger scheduler-detect shop`:                              "docker-local",
		// config/functions
		`config_get shop A; config_get --quoted shop TOKEN; config_get shop UNSET || echo unset`: `1|'it'\''s'|unset`,
		`config_get --global A || echo unset; config_keys shop`:                                  "unset|A|LONG_KEY|TOKEN",
		`config_all shop`: `=====> shop env vars|A:         1|LONG_KEY:  two\nlines|TOKEN:     it's`,
		`unset TOKEN; config_export app shop --format shell`:                        "A='1' LONG_KEY='two|lines'",
		`config_export app shop --format=json --merged`:                             `{"A":"1","LONG_KEY":"two\nlines","TOKEN":"it's"}`,
		`eval "$(config_export app shop)"; echo "$A-$TOKEN"`:                        "1-it's",
		`(config_get other A) || echo $?`:                                           " !     App other does not exist|20",
		`"$PLUGIN_AVAILABLE_PATH/config/subcommands/show" config:show shop | wc -l`: "4",
		// common/property-functions, for the time of the build
		`fn-plugin-property-setup p; fn-plugin-property-write p shop k "a  b"; fn-plugin-property-get p shop k`:                                                                             "a  b",
		`fn-plugin-property-get p shop k default; fn-plugin-property-get p shop k; fn-plugin-property-exists p shop k || echo none`:                                                         "default|none",
		`fn-plugin-property-write p --global k v; fn-plugin-property-delete p --global k; fn-plugin-property-delete p --global k; fn-plugin-property-get p --global k gone`:                 "gone",
		`fn-plugin-property-write p shop x 1; fn-plugin-property-write p shop y 2; fn-plugin-property-get-all p shop; fn-plugin-property-get-all-by-prefix p shop y`:                        "x 1|y 2|y 2",
		`fn-plugin-property-write p shop x 1; fn-plugin-property-clone p shop new; fn-plugin-property-destroy p shop; fn-plugin-property-get p new x; fn-plugin-property-get p shop x gone`: "1|gone",
		`fn-plugin-property-list-add p shop l b; fn-plugin-property-list-add p shop l a 0; fn-plugin-property-list-get p shop l; fn-plugin-property-list-length p shop l`:                   "a|b|2",
		`for v in a b ab; do fn-plugin-property-list-add p shop l $v; done; fn-plugin-property-list-remove p shop l b; fn-plugin-property-list-set p shop l 0 z; fn-plugin-property-list-get-by-index p shop l 0
fn-plugin-property-list-get-by-value p shop l ab && echo has; fn-plugin-property-list-remove-by-prefix p shop l a; fn-plugin-property-list-get p shop l`: "z|has|z",
		`fn-plugin-property-list-get-by-value p shop l no || echo $?`:                                         " !     no is not in the list|1",
		`"$PLUGIN_CORE_AVAILABLE_PATH/common/prop" lwrite p shop l a b; fn-plugin-property-list-get p shop l`: "a|b",
		`fn-plugin-property-write p ../shop k v || echo refused`:                                              ` !     "../shop" cannot be the name of a property, plugin or app|refused`,
	} {
		if got, code := asks.said(t, script); got != want || code != 0 {
			t.Errorf("%s\nprinted %q and ended with %d, want %q", script, got, code, want)
		}
	}
}

// TestNeedsHost: every function of the core is either answered or refused by its name, and
// a script that relies on one that is refused ends the build.
func TestNeedsHost(t *testing.T) {
	asks := newAsker(t, "")
	room := asks.room
	refused := 0
	for _, one := range shim.Functions() {
		var out, problems bytes.Buffer
		words := append(strings.Fields(one.Name), "shop", "a", "b", "c")
		code := Answer(words, []string{roomVariable + "=" + room.base}, Streams{In: strings.NewReader(""), Out: &out, Err: &problems})
		if strings.Contains(problems.String(), "needs a host") {
			refused++
			if code != 1 || out.Len() > 0 || !strings.HasPrefix(problems.String(), " !     "+one.Name) {
				t.Errorf("%s: %d, %q, %q", one.Name, code, out.String(), problems.String())
			}
		}
		if code == unknownFunction {
			t.Errorf("%s is not known", one.Name)
		}
	}
	if all := len(shim.Functions()); refused < all/3 || refused > all*2/3 {
		t.Errorf("%d of %d functions need a host", refused, all)
	}
	var problems bytes.Buffer
	if code := Answer([]string{"no_such_function"}, []string{roomVariable + "=" + room.base}, Streams{Out: &problems, Err: &problems}); code != 127 {
		t.Errorf("a function that is none: %d, %s", code, problems.String())
	}
	for script, name := range map[string]string{
		"config_set --no-restart shop A=1": "config set", "domains=$(dokku domains:report shop)": "dokku domains:report", "is_deployed shop": "is_deployed",
		`[[ "$(plugn trigger ports-get shop)" ]]` + "\nplugn trigger ports-get shop": "the trigger ports-get", `TAG="$(get_running_image_tag shop)"`: "get_running_image_tag",
		"get_app_image_name shop v1": "get_app_image_name with a tag",
	} {
		got, code := asks.said(t, script)
		if code != 1 || !strings.Contains(got, " !     "+name) || !strings.Contains(got, "needs a host, and this is where the image is built") {
			t.Errorf("%s: %q, %d", script, got, code)
		}
	}
}

// TestExamples: plugins as the documents of the mission show them (PLUGIN-CONTRACT 4.7): a
// process type more in the Procfile, a file more in the tree, and a build argument that is
// another one each time.
func TestExamples(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "Procfile": "web: serve\n"})
	w.plugin("examples", "post-extract", `source "$PLUGIN_CORE_AVAILABLE_PATH/common/functions"
APP="$1"; verify_app_name "$APP"
TMP_WORK_DIR="$2"
REV="$3"

pushd "$TMP_WORK_DIR" > /dev/null
touch Procfile
echo "ticker: tick" >> Procfile`)
	w.plugin("examples", "pre-receive-app", `APP="$1"; IMAGE_SOURCE_TYPE="$2"; TMP_WORK_DIR="$3"; REV="$4"
echo "$APP $IMAGE_SOURCE_TYPE" > "$TMP_WORK_DIR/was-here"`)
	w.plugin("examples", "docker-args-build", `bust() {
  declare desc="another argument each time"
  local STDIN=$(cat)
  local APP="$1" IMAGE_SOURCE_TYPE="$2"
  local output=""

  if [[ "$IMAGE_SOURCE_TYPE" == "dockerfile" ]]; then
    output=" --build-arg WHEN=$(date +%s)"
  fi
  echo -n "$STDIN$output"
}

bust "$@"`)
	request, err := w.build()
	must(t, err)
	if diff := cmp.Diff("web: serve\nticker: tick\n", request.App.ProcfileText); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(filepath.Join(request.Dir, "was-here")); err != nil || string(text) != "shop dockerfile\n" {
		t.Errorf("%q, %v", text, err)
	}
	if when := request.App.Build.Args["WHEN"]; len(when) < 10 || len(request.App.Build.Args) != 1 {
		t.Errorf("the build's arguments: %v", request.App.Build.Args)
	}
}
