// Package command is Dokku's commands, a file a noun, with Dokku's output. Each is a
// few lines over the agent's operations; what a command means for a release is
// decided there.
package command

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// Call is one command as it was called.
type Call struct {
	Host  *agent.Host
	Args  []string // without the command word and --app
	App   string   // --app
	By    agent.Caller
	Quiet bool
	Force bool
	// Submit starts the deploy process of a change.
	Submit func(ctx context.Context, change agent.Change) error
	// Builder builds what arrives by git; nil: this host cannot.
	Builder receive.Builder
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
}

// Command is one row of the table.
type Command struct {
	Name  string
	Usage string // its arguments
	Help  string
	Do    func(ctx context.Context, call *Call) error
}

// Exit is an exit code that was not caused by an error of ours, as that of `run`.
type Exit struct{ Code int }

func (e *Exit) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// flag takes a flag out of the arguments and tells whether it was there.
func (c *Call) flag(names ...string) bool {
	before := len(c.Args)
	c.Args = slices.DeleteFunc(slices.Clone(c.Args), func(word string) bool { return slices.Contains(names, word) })
	return len(c.Args) < before
}

// app takes the app from --app or the first argument and verifies that it exists and
// that the caller may see it.
func (c *Call) app(ctx context.Context) (string, error) {
	return c.appSeen(ctx, c.Host.Visible)
}

// appSeen is app, where seen says which apps the caller may name.
func (c *Call) appSeen(ctx context.Context, seen func(context.Context, agent.Caller, []string) ([]string, error)) (string, error) {
	name := c.App
	if name == "" {
		if len(c.Args) == 0 {
			return "", api.Errorf(api.Usage, "", "Please specify an app to run the command on")
		}
		name, c.Args = c.Args[0], c.Args[1:]
	} else if len(c.Args) > 0 && c.Args[0] == name {
		c.Args = c.Args[1:] // named twice (PLUGIN-CONTRACT 5.6)
	}
	if err := c.Host.Exists(name); err != nil {
		return "", err
	}
	visible, err := seen(ctx, c.By, []string{name})
	if err != nil {
		return "", err
	}
	if len(visible) == 0 {
		return "", agent.NoSuchApp(name)
	}
	return name, nil
}

// say prints a line of Dokku's first kind.
func (c *Call) say(format string, args ...any) {
	fmt.Fprintf(c.Out, "-----> "+format+"\n", args...)
}

// warn prints what is no failure.
func (c *Call) warn(format string, args ...any) {
	fmt.Fprintf(c.Err, " !     "+format+"\n", args...)
}

// apply starts a change's deploy process and shows what it says, until its verdict.
// Inside a trigger of a deploy of the same app nothing is started: that deploy has
// the settings already, or another one follows it (DESIGN 6, Nested calls).
func (c *Call) apply(ctx context.Context, change agent.Change) error {
	_, err := c.applied(ctx, change)
	return err
}

// applied is apply, and tells whether there was anything to change.
func (c *Call) applied(ctx context.Context, change agent.Change) (changed bool, err error) {
	if c.Host.InsideDeploy(ctx, change.App) {
		if change.Image != "" { // nothing has noted it
			return false, api.Errorf(api.Locked, "", "%s is being deployed: another image cannot be deployed within that", change.App).
				WithHint("call this when the deploy is over, or name the image by deployed-app-image-repo and deployed-app-image-tag")
		}
		return true, c.queue(ctx, change)
	}
	if err := c.submit(ctx, &change); err != nil {
		return false, err
	}
	verdict, err := c.Host.Follow(ctx, change.App, change.Request, 0, func(event api.Event) error { return c.show(event) })
	if err != nil {
		return false, err
	}
	if verdict.Error != nil {
		c.showFailure(verdict.Error)
		return false, verdict.Error
	}
	if change.Kind == agent.Tag && !verdict.Changed {
		return false, nil
	}
	fmt.Fprintf(c.Out, "=====> Application deployed:\n")
	for _, url := range verdict.URLs {
		fmt.Fprintf(c.Out, "       %s\n", url)
	}
	fmt.Fprintln(c.Out)
	return verdict.Changed, nil
}

// submit starts a change as a request of its own.
func (c *Call) submit(ctx context.Context, change *agent.Change) error {
	request, err := api.NewRequest()
	if err != nil {
		return err
	}
	change.Request, change.By = request, c.By
	return c.Submit(ctx, *change)
}

// queue is for a plugin whose command comes within a deploy: no second one is started
// within it, and perhaps one after it.
func (c *Call) queue(ctx context.Context, change agent.Change) error {
	start, later, err := c.Host.Queue(ctx, &change)
	if err == nil && start {
		err = c.submit(ctx, &change)
	}
	if err != nil {
		return err
	}
	what := "no second deploy is started"
	if later {
		what = "it is deployed once more when that is over"
	}
	fmt.Fprintf(c.Err, " !     %s is being deployed; the settings are saved and %s\n", change.App, what)
	return nil
}

// show prints one event in Dokku's form.
func (c *Call) show(event api.Event) error {
	var err error
	switch {
	case event.Step != nil && event.Step.Status == api.StepStarted:
		_, err = fmt.Fprintf(c.Out, "-----> %s\n", event.Step.Title)
	case event.Step != nil && event.Step.Status == api.StepUndone:
		_, err = fmt.Fprintf(c.Out, "-----> Undone: %s\n", event.Step.Title)
	case event.Output != nil:
		_, err = fmt.Fprintf(c.Out, "       %s: %s\n", event.Output.Source, event.Output.Text)
	case event.Warning != "":
		_, err = fmt.Fprintf(c.Err, " !     %s\n", event.Warning)
	}
	return err
}

// showFailure prints what a container had to say before it failed.
func (c *Call) showFailure(problem *api.Error) {
	if problem.Failure == nil {
		return
	}
	f := problem.Failure
	fmt.Fprintf(c.Err, "=====> Start of %s container output\n", f.Container)
	for _, line := range f.LastLines {
		fmt.Fprintf(c.Err, "       %s\n", line)
	}
	fmt.Fprintf(c.Err, "=====> End of %s container output (exit code %d, out of memory: %t)\n", f.Container, f.ExitCode, f.OOMKilled)
}
