package shim

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// world is a core that is laid out, with a program behind it that writes down what it is
// asked and answers what the test says.
type world struct {
	dir     string // $DOKKU_LIB_ROOT
	root    string // $DOKKU_ROOT
	asked   string // what the program was asked, a line each: <argument>...|what stdin held|
	bin     string // a folder that is first on PATH
	program string
}

// fake is the program: it notes its arguments and what stdin holds, NULs as a ;.
const fake = `#!/usr/bin/env bash
{
  printf '<%s>' "$@"
  input="$(tr '\0' ';')"
  [[ -z $input ]] || printf '|%s|' "${input//$'\n'/,}"
  printf '\n'
} >>"$FAKE_ASKED"
[[ -z ${FAKE_OUT:-} ]] || printf '%s\n' "$FAKE_OUT"
exit "${FAKE_CODE:-0}"
`

func newWorld(t *testing.T) world {
	t.Helper()
	base := t.TempDir()
	w := world{dir: filepath.Join(base, "lib"), root: filepath.Join(base, "root"), asked: filepath.Join(base, "asked"),
		bin: filepath.Join(base, "bin"), program: filepath.Join(base, "bin", "agent")}
	must(t, os.MkdirAll(w.bin, 0o755))
	must(t, os.MkdirAll(w.root, 0o755))
	must(t, os.MkdirAll(w.dir, 0o755))
	must(t, os.WriteFile(w.program, []byte(fake), 0o755))
	must(t, Write(w.dir, w.program))
	return w
}

// env is what plugins are promised (PLUGIN-CONTRACT 2.2).
func (w world) env(more ...string) []string {
	plugins, core := filepath.Join(w.dir, "plugins"), filepath.Join(w.dir, "core-plugins")
	return append([]string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + w.root, "LC_ALL=C.UTF-8",
		"DOKKU_ROOT=" + w.root, "DOKKU_LIB_ROOT=" + w.dir, "DOKKU_API_VERSION=1",
		"PLUGIN_PATH=" + plugins, "PLUGIN_AVAILABLE_PATH=" + plugins + "/available", "PLUGIN_ENABLED_PATH=" + plugins + "/enabled",
		"PLUGIN_CORE_PATH=" + core, "PLUGIN_CORE_AVAILABLE_PATH=" + core + "/available", "PLUGIN_CORE_ENABLED_PATH=" + core + "/enabled",
		"FAKE_ASKED=" + w.asked}, more...)
}

// result is what a script did.
type result struct {
	Out, Err string
	Code     int
	Asked    string
}

// run runs a bash script as a plugin does.
func (w world) run(t *testing.T, script, stdin string, more ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(t, os.WriteFile(w.asked, nil, 0o644))
	file := filepath.Join(w.bin, "plugin")
	must(t, os.WriteFile(file, []byte("#!/usr/bin/env bash\nset -eo pipefail; [[ $DOKKU_TRACE ]] && set -x\n"+script+"\n"), 0o755))
	command := exec.CommandContext(ctx, file)
	command.Env, command.Dir = w.env(more...), w.root
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok && exit.ExitCode() < 0 {
		t.Fatalf("the script was killed: %v\n%s", err, stderr.String())
	}
	asked, err := os.ReadFile(w.asked)
	must(t, err)
	return result{Out: stdout.String(), Err: stderr.String(), Code: command.ProcessState.ExitCode(), Asked: string(asked)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
