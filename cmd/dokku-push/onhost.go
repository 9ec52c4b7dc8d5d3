package main

import (
	"context"
	"encoding/json"
	"io"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
)

// hostFlag is for the agent of a host, which has this program build what was pushed there
// by git. It is in no help: people push.
func onHostFlag(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.onHost, "on-host", false, "build for the agent of this host: an api.HostBuild on stdin, a release document on stdout")
	_ = flags.MarkHidden("on-host") // fails only for a flag that is not there
}

// niceness leaves the processor to the apps that run beside a build.
const niceness = 10

// buildOnHost answers the agent.
func (c *client) buildOnHost(ctx context.Context) error {
	var asked api.HostBuild
	in := json.NewDecoder(io.LimitReader(c.in, api.MaxDocument))
	in.DisallowUnknownFields()
	if err := in.Decode(&asked); err != nil {
		return api.Errorf(api.WrongProtocol, "read what to build", "%w", err).WithHint("dokku-push and dokku-agent may be of different versions")
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness) // one that is refused builds all the same
	document, err := push.BuildOnHost(ctx, c.options, asked)
	if err != nil {
		return err
	}
	return json.NewEncoder(c.out).Encode(document)
}
