package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/entry"
	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/serve"
	"github.com/dokku-push/dokku-push/api"
)

// program is one run of the agent.
type program struct {
	ctx     context.Context
	self    []string
	in, out *os.File
	err     io.Writer
}

const usageText = `Usage: dokku-agent COMMAND

    install [--traffic map|reload] [--domain NAME]
                                     make this machine a host (as root)
    keys add NAME [FILE]             let a public key deploy; keys remove NAME, keys list
    domain NAME ...                  apps answer at APP.NAME
    apply                            make this host what a server block says (as root; dokku-push
                                     host apply sends it on standard input)
    serve --root DIR                 run an embedded host: ssh, nginx and state under DIR
    watch                            keep traffic and containers together (the systemd service)
    recover [APP ...]                finish or undo what a killed deploy has left, start what did
                                     not come back, lead traffic to it
    dokku COMMAND ...                what the name dokku does: Dokku's commands
    version

Over ssh the agent answers Dokku's commands and dokku-push.
`

func (p *program) usage() int {
	fmt.Fprint(p.err, usageText)
	return 64
}

func (p *program) printVersion() int {
	fmt.Fprintf(p.out, "dokku-agent %s (protocol %d)\n", version, api.Protocol)
	return 0
}

// fail prints an error and what to do, and returns its exit code.
func (p *program) fail(err error) int {
	problem := api.AsError(err)
	fmt.Fprintf(p.err, "dokku-agent: %s\n", problem)
	if problem.Hint != "" {
		fmt.Fprintf(p.err, "  %s\n", problem.Hint)
	}
	return api.Exit(err)
}

// dokku is a call of the entry program: over ssh or on the host.
func (p *program) dokku(args []string) int {
	original := os.Getenv("SSH_ORIGINAL_COMMAND")
	_ = os.Unsetenv("SSH_ORIGINAL_COMMAND") // fails never for a valid name
	places := placesFromEnvironment()
	if err := entry.ReadRC(p.ctx, places.Root, isReal(places)); err != nil {
		fmt.Fprintf(p.err, " !     %v\n", err)
		return 1
	}
	if code, done := p.asDokku(args, original); done {
		return code
	}
	parts, err := connect(placesFromEnvironment())
	if err != nil {
		return p.fail(err)
	}
	defer parts.close()
	if entry.Asked(args, original) == "git-receive-pack" {
		signal.Ignore(syscall.SIGHUP) // what was pushed is built whoever listens
	}
	submit := submit(parts.host)
	call := &entry.Entry{Host: parts.host, Submit: submit, Builder: parts.core.Builder, Plugins: parts.walk.now, In: p.in, Out: p.out, Err: p.err,
		HTTP: func(ctx context.Context, by agent.Caller) error {
			server := &serve.Server{Host: parts.host, Store: parts.store, By: by, Submit: submit}
			return server.ServeConn(ctx, serve.Stdio{In: serve.Unblock(p.in), Out: serve.Unblock(p.out)})
		}}
	return call.Run(p.ctx, args, original)
}

// submit starts `dokku-agent deploy` in a session of its own.
func submit(host *agent.Host) func(context.Context, agent.Change) error {
	return func(_ context.Context, change agent.Change) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the agent's program: %w", err)
		}
		text, err := json.Marshal(change)
		if err != nil {
			return fmt.Errorf("start the deploy process: %w", err)
		}
		env := append(os.Environ(), entry.RequestVariable+"="+change.Request,
			"DOKKU_ROOT="+host.Places.Root, "DOKKU_LIB_ROOT="+host.Places.Lib, "DOKKU_LOGS_DIR="+host.Places.Logs)
		return serve.Detach([]string{self, "deploy"}, env, text)
	}
}

// deploy is the deploy process: it reads its change, carries it out, retires what
// was replaced, and ends. Nobody reads what it prints; the journal is its voice.
func (p *program) deploy() int {
	signal.Ignore(syscall.SIGHUP)
	var change agent.Change
	if err := json.NewDecoder(io.LimitReader(p.in, 2*api.MaxDocument)).Decode(&change); err != nil {
		return p.fail(fmt.Errorf("read the change: %w", err))
	}
	parts, err := connect(placesFromEnvironment())
	if err != nil {
		return p.fail(err)
	}
	defer parts.close()
	verdict, err := parts.host.Apply(agent.Nested(p.ctx, ""), change)
	if err != nil {
		return p.fail(err)
	}
	if verdict.Error != nil {
		return api.Exit(verdict.Error)
	}
	return 0
}

// recover does at once what the watch does at boot: it finishes or undoes what killed
// processes have left, starts what did not come back and leads traffic to it.
func (p *program) recover(apps []string) int {
	parts, err := connect(placesFromEnvironment())
	if err != nil {
		return p.fail(err)
	}
	defer parts.close()
	var failures []error
	if len(apps) == 0 {
		if apps, err = parts.host.Settings.Apps(); err != nil {
			return p.fail(err)
		}
		failures = append(failures, parts.host.Ledger.SweepGone())
	}
	failures = append(failures, parts.host.Ensure(p.ctx))
	for _, app := range apps {
		failures = append(failures, parts.host.Exists(app), parts.host.Mend(p.ctx, app, true))
	}
	if err := errors.Join(failures...); err != nil {
		return p.fail(err)
	}
	return 0
}

// isReal tells a real host's places from an embedded host's.
func isReal(places agent.Places) bool {
	return places.Root == install.Places().Root && places.Lib == install.Places().Lib
}

// readConfig reads how the host was set up: a real one where only root can write it, an
// embedded one among its own files.
func readConfig(places agent.Places) (agent.HostConfig, error) {
	if isReal(places) {
		return install.ReadConfig()
	}
	var config agent.HostConfig
	text, err := os.ReadFile(places.HostConfig())
	if errors.Is(err, fs.ErrNotExist) {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "there is none in %s", places.HostConfig()).
			WithHint("run `dokku-agent install` as root once, or `dokku-agent serve --root DIR`")
	}
	if err != nil {
		return config, fmt.Errorf("read the host's configuration: %w", err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return config, api.Errorf(api.Configuration, "read the host's configuration", "%s: %w", places.HostConfig(), err)
	}
	return config, nil
}
