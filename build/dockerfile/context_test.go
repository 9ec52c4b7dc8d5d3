package dockerfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The docker program itself makes the context, in a process whose home is new.
func TestContextHost(t *testing.T) {
	if os.Getenv("DKP_CONTEXT_CHILD") != "" {
		_, _ = os.Stdout.WriteString("host=" + contextHost() + "\n")
		return
	}
	dir := filepath.Join(t.TempDir(), "docker")
	run := func(env []string, name string, args ...string) string {
		t.Helper()
		command := exec.Command(name, args...)
		command.Env = append(os.Environ(), append([]string{"DOCKER_CONFIG=" + dir, "DOCKER_HOST=", "DOCKER_CONTEXT="}, env...)...)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	self := func(env ...string) string {
		return run(append(env, "DKP_CONTEXT_CHILD=1"), os.Args[0], "-test.run=^TestContextHost$")
	}
	run(nil, "docker", "context", "create", "one", "--docker", "host=unix:///one.sock")
	run(nil, "docker", "context", "create", "two", "--docker", "host=unix:///two.sock")
	run(nil, "docker", "context", "use", "one")
	for _, test := range []struct{ env, want string }{
		{"A=b", "host=unix:///one.sock\nPASS\n"},
		{"DOCKER_CONTEXT=two", "host=unix:///two.sock\nPASS\n"},
		{"DOCKER_CONTEXT=default", "host=\nPASS\n"},
		{"DOCKER_HOST=unix:///x.sock", "host=\nPASS\n"},
	} {
		if got := self(test.env); got != test.want {
			t.Errorf("%s: got %q, want %q", test.env, got, test.want)
		}
	}
}
