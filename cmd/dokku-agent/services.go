package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/plugin"
	exec "github.com/dokku-push/dokku-push/internal/run"
)

// services are what plugins run beside the apps. Their commands are run by the entry
// program, as a process of its own, so that user-auth is asked and the plugin finds
// everything that it finds when a person gives the command.
type services struct{ walk walk }

// Installed tells whether a plugin is enabled and not the core's.
func (s services) Installed(name string) bool {
	enabled, err := s.walk.Enabled()
	return err == nil && slices.Contains(enabled, name) && !slices.Contains(plugin.CoreNames(), name)
}

// Has tells whether the plugin has a file for the command.
func (s services) Has(command string) bool {
	name, _, _ := strings.Cut(command, ":")
	of, file := s.walk.Subcommand(command)
	return file != "" && of == name
}

// Run runs `dokku COMMAND …`. What the call that this process is part of was told by flags
// is not meant for it.
func (s services) Run(ctx context.Context, argv []string, streams agent.Streams) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's program: %w", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"DOKKU_GLOBAL_FLAGS", "DOKKU_APP_NAME", "DOKKU_COMMAND", "SSH_ORIGINAL_COMMAND"}, name)
	})
	command := exec.Cmd{Argv: append([]string{self, "dokku"}, argv...), Env: env, Stdin: streams.In, Stdout: streams.Out, Stderr: streams.Err}
	return command.Run(ctx)
}
