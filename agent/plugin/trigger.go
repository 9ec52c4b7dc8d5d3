package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
	"github.com/dokku-push/dokku-push/triggers"
)

// triggerName is the name of a file beside plugin.toml.
var triggerName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

const opTrigger = "fire the trigger"

// CheckTrigger refuses what is no trigger's name: a path would lead out of the plugins.
func CheckTrigger(name string) error {
	if !triggerName.MatchString(name) {
		return api.Errorf(api.Usage, opTrigger, "%q is no trigger's name", name)
	}
	return nil
}

// Trigger walks all enabled plugins as the tree's owner: `plugin:trigger`. Root gives
// itself up for that by sudo, which keeps the environment.
func (m *Manager) Trigger(ctx context.Context, name string, args []string, in io.Reader) error {
	if err := CheckTrigger(name); err != nil {
		return err
	}
	info, err := os.Stat(m.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", opTrigger, err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if os.Geteuid() != 0 || owner == 0 {
		return m.Fire(ctx, name, args, agent.Streams{In: in, Out: m.Out, Err: m.Err})
	}
	plugn, err := exec.LookPath("plugn")
	if err != nil {
		return api.Errorf(api.Configuration, opTrigger, "%w", err).WithHint("run `dokku-agent install` again")
	}
	argv := append([]string{"sudo", "-u", "#" + strconv.Itoa(int(owner)), "-E", "-H", plugn, "trigger", name}, args...)
	command := run.Cmd{Argv: argv, Env: append(os.Environ(), "PLUGIN_PATH="+m.Path), Stdin: in, Stdout: m.Out, Stderr: m.Err}
	err = command.Run(ctx)
	if ended, ok := errors.AsType[*run.ExitError](err); ok {
		return &triggers.Exit{Code: ended.Code} // what failed has said so itself
	}
	return err
}
