package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// pluginOf is a git repository with one of testdata/plugins in it, as its author would
// publish it.
func pluginOf(t *testing.T, name string) (url string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dokku-"+name)
	must(t, exec.Command("cp", "-a", filepath.Join(testkit.Root(t), "testdata", "plugins", name), dir))
	for _, args := range [][]string{{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"},
		{"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message=x"}} {
		must(t, exec.Command("git", append([]string{"-C", dir}, args...)...))
	}
	return "file://" + dir
}

// inShell runs a program as a shell on the host would: Dokku's names on the PATH, its
// folders in the environment.
func inShell(t *testing.T, h *testkit.Host, program string, args ...string) testkit.Result {
	t.Helper()
	lib := filepath.Join(h.Root, "lib")
	_, port, _ := strings.Cut(h.HTTP, ":")
	cmd := exec.Command(program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(lib, "data", "agent", "bin")+":"+os.Getenv("PATH"), "DOKKU_ROOT="+filepath.Join(h.Root, "home"),
		"DOKKU_LIB_ROOT="+lib, "DOKKU_LOGS_DIR="+filepath.Join(h.Root, "log"), "HTTP_PORT="+port, "DOCKER_BUILDKIT=0")
	return testkit.Run(t, cmd)
}

// wellKnown installs a plugin that knows nothing of this project, from a git repository, and
// runs the tests that its author wrote.
func wellKnown(t *testing.T, name string) {
	t.Parallel()
	soundPlugin(t, filepath.Join(testkit.Root(t), "testdata", "plugins", name))
	h := testkit.Serve(t, testkit.ServeOptions{})
	if said := dokku(t, h, 0, "plugin:install", pluginOf(t, name)).Stdout; !strings.Contains(said, "Plugin "+name+" enabled") {
		t.Errorf("plugin:install says %q", said)
	}
	tests := filepath.Join(h.Root, "lib", "plugins", "available", name, "tests", "run")
	if r := inShell(t, h, tests, h.App(t, name), h.App(t, name+"-copy"), h.App(t, name+"-moved")); r.Exit != 0 || !strings.Contains(r.Stdout, name+" works\n") {
		t.Errorf("the tests of %s: exit %d after %s\n%s%s", name, r.Exit, r.Took, r.Stdout, r.Stderr)
	}
	dokku(t, h, 0, "plugin:uninstall", name)
}

// TestKeeper: a database kind of plugin.
func TestKeeper(t *testing.T) { wellKnown(t, "keeper") }

// TestSigner: a certificates kind.
func TestSigner(t *testing.T) { wellKnown(t, "signer") }

// TestGatekeeper: a maintenance and authentication kind.
func TestGatekeeper(t *testing.T) { wellKnown(t, "gatekeeper") }

// soundPlugin: shellcheck finds nothing in a plugin's scripts, and no line of it knows this
// project.
func soundPlugin(t *testing.T, dir string) {
	t.Helper()
	args := []string{"-x"}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasPrefix(string(text), "#!") {
			args = append(args, path)
		}
		for _, word := range []string{"dokku-push", "dokku_push", "dokku-agent", "DOKKU_SHIM"} {
			if strings.Contains(strings.ToLower(string(text)), strings.ToLower(word)) {
				t.Errorf("%s knows of %s", path, word)
			}
		}
		return err
	})
	if err != nil || len(args) < 10 {
		t.Fatalf("%s has %d scripts, %v", dir, len(args)-1, err)
	}
	if said, err := exec.Command("shellcheck", args...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, said)
	}
}
