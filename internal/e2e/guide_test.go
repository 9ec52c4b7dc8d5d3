package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestGuide: what docs/plugins.md says about asking the core is so on a host, and the
// skeleton of `plugin new` works there as its own test says.
func TestGuide(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app, fresh := testkit.CopyApp(t, "hello"), h.App(t, "guide"), h.App(t, "fresh")
	pushed(t, h.Push(t, dir, "--app", app))

	work := t.TempDir()
	if r := h.Push(t, work, "plugin", "new", "clock"); r.Exit != 0 {
		t.Fatalf("plugin new: %+v", r)
	}
	skeleton := filepath.Join(work, "dokku-clock")
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"}, {"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message=x"}} {
		must(t, exec.Command("git", append([]string{"-C", skeleton}, args...)...))
	}
	dokku(t, h, 0, "plugin:install", "file://"+skeleton)
	if r := inShell(t, h, "env", "DOKKU_HOST_TEST="+app, filepath.Join(skeleton, "tests", "run")); r.Exit != 0 || r.Stdout != "clock works\n" {
		t.Errorf("the skeleton on a host: %+v", r)
	}

	text, err := os.ReadFile(filepath.Join(testkit.Root(t), "triggers", "examples", "asked.txt"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", filepath.Join(work, "key"), "-out", filepath.Join(work, "crt"),
		"-subj", "/CN="+app+".localhost", "-addext", "subjectAltName=DNS:"+app+".localhost", "-days", "2"))
	var script strings.Builder
	script.WriteString("export PLUGIN_PATH=\"$DOKKU_LIB_ROOT/plugins\"\n")
	for name, value := range map[string]string{"APP": app, "NEW": fresh, "CRT": filepath.Join(work, "crt"), "KEY": filepath.Join(work, "key"), "TREE": dir} {
		fmt.Fprintf(&script, "%s=%s\n", name, value)
	}
	script.WriteString("CONTAINER=\"$(docker inspect --format '{{.Id}}' \"$APP.web.1\")\"\n" + `asks() { # PATTERN TRIGGER ARGUMENT...
  local out code=0 want="$1"
  shift
  out="$(plugn trigger "$@" </dev/null 2>/dev/null)" || code=$?
  [[ $code == 0 ]] || out="[exit $code]"
  # shellcheck disable=SC2053 # it is a pattern
  [[ $out == $want || $want == "[exit $code]" ]] || echo "plugn trigger $*: «$out», want «$want»"
}
`)
	calls := 0
	for line := range strings.Lines(string(text)) {
		words, want, found := strings.Cut(strings.TrimSpace(line), "=>")
		if want = strings.TrimSpace(want); !found || strings.HasPrefix(line, "#") || want == "[with git]" {
			continue
		}
		calls++
		fmt.Fprintf(&script, "asks \"%s\" %s\n", want, words)
	}
	if r := inShell(t, h, "bash", "-c", script.String()); r.Exit != 0 || r.Stdout != "" || calls < 60 {
		t.Errorf("%d calls, exit %d:\n%s%s", calls, r.Exit, r.Stdout, r.Stderr)
	}
}
