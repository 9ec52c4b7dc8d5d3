package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

func (c *client) push(ctx context.Context) error {
	if c.dryRun {
		return c.plan(ctx)
	}
	c.options.Dir = c.folder()
	if c.several() {
		return c.pushEach(ctx)
	}
	app := c.options.App
	verdict, err := push.Push(ctx, c.options)
	if err != nil {
		return c.noVerdict(err)
	}
	if project, err := push.Load(quiet(c.options)); err == nil {
		app = project.Name
	}
	return c.verdict(verdict, app)
}

// quiet reports nothing: for a second look at a project.
func quiet(o push.Options) push.Options {
	o.Report = func(api.Event) {}
	return o
}

func (c *client) status(ctx context.Context) error {
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	state, err := connection.App(ctx, app)
	if err != nil {
		return err
	}
	if c.logFormat == "json" {
		return json.NewEncoder(c.out).Encode(state)
	}
	if !state.Exists {
		return noApp(app)
	}
	c.printStatus(state)
	return nil
}

func noApp(app string) error {
	return &api.Error{Code: api.NotFound, Message: fmt.Sprintf("there is no app %s on this host", app)}
}

// printStatus tells people of an app.
func (c *client) printStatus(state api.AppState) {
	out := c.answer()
	fmt.Fprintf(out, "app:       %s\n", state.App)
	if state.Current != 0 {
		fmt.Fprintf(out, "release:   v%d\n", state.Current)
	}
	for _, release := range state.Releases {
		if release.Version == state.Current {
			c.printHooks("hooks:     ", release)
		}
	}
	for _, url := range state.URLs {
		fmt.Fprintf(out, "url:       %s\n", url)
	}
	for _, one := range state.Containers {
		fmt.Fprintf(out, "container: %-20s %-10s %s\n", one.Name, one.Status, short(one.Image))
	}
	if state.Lock != nil {
		fmt.Fprintf(out, "lock:      held by %s\n", state.Lock)
	}
	if last := state.Last; last != nil {
		fmt.Fprintf(out, "last:      request %s of %s: %s\n", last.Request, last.Started.Format(time.RFC3339), outcome(last.Verdict))
	}
}

// outcome is a verdict in a few words.
func outcome(v *api.Verdict) string {
	switch {
	case v == nil:
		return "still running"
	case !v.OK && v.Error != nil && v.Error.Code == api.UndoFailed:
		return "failed, and needs a person: " + v.Error.Error()
	case !v.OK && v.Error != nil:
		return "failed, undone: " + v.Error.Error()
	case v.Error != nil:
		return fmt.Sprintf("v%d is live, but: %s", v.Release, v.Error)
	case !v.Changed:
		return fmt.Sprintf("nothing to do, v%d ran already", v.Release)
	}
	return fmt.Sprintf("v%d is live", v.Release)
}

func (c *client) releases(ctx context.Context) error {
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	state, err := connection.App(ctx, app)
	if err != nil {
		return err
	}
	if c.logFormat == "json" {
		return json.NewEncoder(c.out).Encode(state.Releases)
	}
	if !state.Exists {
		return noApp(app)
	}
	return c.printReleases(state)
}

// printReleases tells people of an app's releases.
func (c *client) printReleases(state api.AppState) error {
	table := tabwriter.NewWriter(c.answer(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RELEASE\tKIND\tIMAGE\tREVISION\tBY\tWHEN\tTOOK\tSIGNED BY")
	for _, r := range state.Releases {
		mark := ""
		if r.Version == state.Current {
			mark = " *"
		}
		kind := r.Kind
		if r.RollbackOf != 0 {
			kind += " to v" + strconv.Itoa(r.RollbackOf)
		}
		if r.Image != "" {
			kind += " " + r.Image
		}
		if r.PromotedFrom != "" {
			kind += " of " + r.PromotedFrom
		}
		revision := r.Source.Revision[:min(10, len(r.Source.Revision))]
		if r.Source.Dirty {
			revision += "+"
		}
		fmt.Fprintf(table, "v%d%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Version, mark, kind, short(r.Run), revision, r.By,
			r.Finished.Format(time.RFC3339), r.Finished.Sub(r.Started).Round(time.Millisecond), signer(r.Signature))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range state.Releases {
		c.printHooks(fmt.Sprintf("v%d: ", r.Version), r)
	}
	return nil
}

// printHooks tells of a release's hooks that did not go well, a line each.
func (c *client) printHooks(before string, r api.Release) {
	out := c.answer()
	for _, hook := range r.Hooks {
		if hook.Error != "" {
			fmt.Fprintf(out, "%shook %s failed: %s\n", before, hook.Name, hook.Error)
		}
	}
	if r.HooksPending {
		fmt.Fprintf(out, "%swhat runs after the deploy has not ended, or was cut off\n", before)
	}
}

// signer is who signed a release: a name where the host knew the key.
func signer(s *api.Signature) string {
	switch {
	case s == nil:
		return "-"
	case s.Verified:
		return s.Signer + " " + s.Key
	}
	return s.Key + " (not verified)"
}

func (c *client) rollback(ctx context.Context) error {
	request := api.RollbackRequest{LockWait: int(c.options.LockWait.Seconds())}
	if len(c.args) > 0 {
		n, err := strconv.Atoi(strings.TrimPrefix(c.args[0], "v"))
		if err != nil || n < 1 {
			return api.Errorf(api.Usage, "", "%q is no release", c.args[0]).WithHint("dokku-push releases lists them: v1, v2 …")
		}
		request.Release = n
	}
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	id, err := api.NewRequest()
	if err != nil {
		return err
	}
	verdict, err := connection.Rollback(ctx, app, id, request, c.options.Report)
	if err != nil {
		return c.noVerdict(err)
	}
	c.story.revision = c.revisionOf(ctx, connection, app, verdict)
	return c.verdict(verdict, app)
}

// promote runs the image of one app under another one's settings: what was tested is
// what goes live.
func (c *client) promote(ctx context.Context) error {
	if len(c.args) != 2 {
		return api.Errorf(api.Usage, "", "promote takes two apps, not %q", c.args).WithHint("dokku-push promote staging production")
	}
	c.options.App = c.args[1]
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	verdict, err := push.Promote(ctx, connection, c.options, c.args[0], app)
	if err != nil {
		return c.noVerdict(err)
	}
	c.story.revision = c.revisionOf(ctx, connection, app, verdict)
	return c.verdict(verdict, app)
}

// revisionOf is the commit that a release is of, for CI: not the job's own, where nothing
// was built. Empty: it is not known.
func (c *client) revisionOf(ctx context.Context, connection *push.Connection, app string, verdict api.Verdict) string {
	if !c.inCI() || !verdict.OK {
		return ""
	}
	state, err := connection.App(ctx, app)
	if err != nil {
		return "" // what was asked for is done
	}
	for _, release := range state.Releases {
		if release.Version == verdict.Release {
			return release.Source.Revision
		}
	}
	return ""
}

// noVerdict ends the events of a request that the host has not judged, so that who
// reads them finds a verdict last, whatever happens. It returns err.
func (c *client) noVerdict(err error) error {
	c.options.Report(api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: &api.Verdict{Error: api.AsError(err)}})
	return err
}

func (c *client) logs(ctx context.Context) error {
	args := slices.Clone(c.args)
	if c.follow {
		args = append(args, "-t")
	}
	return c.remoteCommand(ctx, "logs", args)
}

func (c *client) runOnce(ctx context.Context) error { return c.remoteCommand(ctx, "run", c.args) }

// remoteCommand runs one of the agent's commands for the app and exits as it does.
func (c *client) remoteCommand(ctx context.Context, command string, args []string) error {
	connection, app, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer connection.Conn.Close()
	in := c.in
	if file, ok := in.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			in = nil // a terminal is not sent: there is no pty on the other side
		}
	}
	out := c.out
	if command == "logs" && c.story.github != nil { // what a command prints is data; a log is for people
		inert := report.Inert(c.out)
		defer inert.Close()
		out = inert
	}
	exit, err := connection.Conn.Run(ctx, append([]string{command, app}, args...), in, out, c.err, remote.RunOptions{})
	if err != nil {
		return err
	}
	if exit != 0 {
		return &exitError{code: exit}
	}
	return nil
}
