package docker

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

var _ agent.Registries = (*Engine)(nil)

// Login lets the docker program check a password with a registry and keep it in its own
// config file. The password goes over its standard input.
func (e *Engine) Login(ctx context.Context, server, user, password string) error {
	said, err := e.program(ctx, password, "login", "--username", user, "--password-stdin", server)
	if err != nil {
		said = strings.ReplaceAll(said, password, "…")
		return api.Errorf(api.Precondition, "log in to "+server, "%s", said).WithHint("is the password right, and can this host reach %s?", server)
	}
	return nil
}

// Logout lets the docker program forget a password. One that it does not know is no error.
func (e *Engine) Logout(ctx context.Context, server string) error {
	if said, err := e.program(ctx, "", "logout", server); err != nil {
		return api.Errorf(api.Precondition, "log out of "+server, "%s", said)
	}
	return nil
}

// program runs the docker program as its user, with that user's config; said is the last
// line of what it says.
func (e *Engine) program(ctx context.Context, input string, args ...string) (said string, err error) {
	var out bytes.Buffer
	command := run.Cmd{Argv: append([]string{"docker"}, args...), Env: append(os.Environ(), "DOCKER_HOST="+e.api.DaemonHost()),
		Stdin: strings.NewReader(input), Stdout: &out, Stderr: &out, Limit: 64 << 10, Grace: 5 * time.Second}
	err = command.Run(ctx)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	said = lines[len(lines)-1]
	if exit, ok := errors.AsType[*run.ExitError](err); err != nil && (!ok || exit.Cause != nil || said == "") {
		said = err.Error()
	}
	return said, err
}
