package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

// createByProgram creates a container by the docker program. Values of the env are
// handed over in the program's environment or its standard input and never in its argv,
// which all users of the host can read.
func (e *Engine) createByProgram(ctx context.Context, spec agent.ContainerSpec) (string, error) {
	file, err := envFile(spec.Env)
	if err != nil {
		return "", fmt.Errorf("create the container %s: %w", spec.Name, err)
	}
	var out, problems bytes.Buffer
	command := run.Cmd{Argv: append([]string{"docker"}, createArgs(spec, file != "")...), Env: e.programEnv(spec.Env),
		Stdin: strings.NewReader(file), Stdout: &out, Stderr: &problems, Limit: 64 << 10, Grace: 10 * time.Second}
	if err := command.Run(ctx); err != nil {
		if exit, ok := errors.AsType[*run.ExitError](err); ok && exit.Cause == nil {
			err = errors.New(strings.TrimSpace(problems.String()))
		}
		return "", api.Errorf(api.Precondition, "create the container "+spec.Name, "%w", err).
			WithHint("the docker options of the app and its plugins: %s", strings.Join(spec.Args, " "))
	}
	words := strings.Fields(out.String())
	if len(words) == 0 {
		return "", fmt.Errorf("create the container %s: the docker program has printed no id", spec.Name)
	}
	id := words[len(words)-1]
	// A word among the options that belongs to none is taken for the image.
	made, err := e.Inspect(ctx, id)
	if err == nil && (made.Image != spec.Image || made.Name != spec.Name) {
		err = api.Errorf(api.Precondition, "create the container "+spec.Name, "the docker options hold a word that is no option: %s", strings.Join(spec.Args, " "))
	}
	if err != nil {
		return "", errors.Join(err, e.Remove(context.WithoutCancel(ctx), id))
	}
	return id, nil
}

// createArgs is the argv after the program's name. What Args may overrule stands
// before them, what it may not comes after. envIn tells that standard input is an env file.
func createArgs(spec agent.ContainerSpec, envIn bool) []string {
	argv := []string{"container", "create", "--pull", "never"}
	if spec.Init {
		argv = append(argv, "--init")
	}
	if spec.Restart != "" {
		argv = append(argv, "--restart", spec.Restart)
	}
	if spec.Memory > 0 {
		argv = append(argv, "--memory", strconv.FormatInt(spec.Memory, 10)+"b")
	}
	if spec.NanoCPUs > 0 {
		argv = append(argv, "--cpus", strconv.FormatFloat(float64(spec.NanoCPUs)/1e9, 'f', -1, 64))
	}
	if spec.Network != "" {
		argv = append(argv, "--network", spec.Network)
		for _, alias := range spec.Aliases {
			argv = append(argv, "--network-alias", alias)
		}
	}
	for _, arg := range spec.Args {
		if arg != "-d" && arg != "--detach" { // of `docker run`; create has not and needs not
			argv = append(argv, arg)
		}
	}
	argv = append(argv, "--name", spec.Name)
	if spec.TTY {
		argv = append(argv, "--tty")
	}
	if spec.Stdin {
		argv = append(argv, "--interactive")
	}
	if envIn {
		argv = append(argv, "--env-file", "/dev/stdin")
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		if !heeded(name) {
			argv = append(argv, "--env", name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(spec.Labels)) {
		argv = append(argv, "--label", key+"="+spec.Labels[key])
	}
	entrypoint, command := commandOf(spec)
	if len(entrypoint) > 0 {
		argv = append(argv, "--entrypoint", entrypoint[0])
	}
	return append(append(argv, spec.Image), command...)
}

// heeded are variables that the docker program, its libraries or its loader listen
// to themselves: an app's DOCKER_HOST must not choose the engine, nor its LD_PRELOAD
// run code on the host.
func heeded(name string) bool {
	upper := strings.ToUpper(name)
	for _, prefix := range []string{"DOCKER_", "LD_", "GO", "XDG_", "OTEL_", "SSL_CERT_", "GLIBC_", "MALLOC_", "BUILDKIT_", "BUILDX_"} {
		if strings.HasPrefix(upper, prefix) {
			return true
		}
	}
	return strings.HasSuffix(upper, "_PROXY") || slices.Contains([]string{"PATH", "HOME", "TMPDIR", "USER", "SSH_AUTH_SOCK", "RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES", "RESOLV_HOST_CONF"}, upper)
}

// envFile is what an env file says of those that the program would heed: it is in no folder,
// so that nothing of it stays should this process be killed. Empty: there are none.
func envFile(env map[string]string) (string, error) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !heeded(name) {
			continue
		}
		value := env[name]
		if strings.ContainsAny(value, "\r\n") || !utf8.ValidString(value) || len(value) > 60000 {
			return "", api.Errorf(api.Configuration, "hand over the env", "the value of %s must be one line of text, because the app has docker options", name)
		}
		text.WriteString(name + "=" + value + "\n")
	}
	return text.String(), nil
}

// programEnv is the docker program's environment: where the engine is, and the values
// of the container's env. A config file of the user, which could add proxies to the
// container, is not looked at.
func (e *Engine) programEnv(env map[string]string) []string {
	own := []string{"DOCKER_HOST=" + e.api.DaemonHost(), "DOCKER_CONFIG=/nonexistent"}
	for _, name := range []string{"PATH", "HOME", client.EnvOverrideCertPath, client.EnvTLSVerify, client.EnvOverrideAPIVersion} {
		if value, ok := os.LookupEnv(name); ok {
			own = append(own, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !heeded(name) {
			own = append(own, name+"="+env[name])
		}
	}
	return own
}
