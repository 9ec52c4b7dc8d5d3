package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// Prepared is a push up to the moment at which the host is asked to change something.
type Prepared struct {
	Project  *Project
	Plan     api.Plan
	options  Options
	host     *Connection
	image    *build.Image
	document api.ReleaseDocument
	signed   *api.Signed // nil: nobody asked for a signature
}

// Close ends the connection, and gives back what the app was built in.
func (p *Prepared) Close() error { return errors.Join(p.Project.Close(), p.host.Conn.Close()) }

// Prepare loads the project, connects, builds, and asks the host what the release would
// change. Nothing has changed on the host when it returns.
func Prepare(ctx context.Context, o Options) (*Prepared, error) {
	if o.Untrusted {
		o.Signing = Signing{}
	}
	if err := o.Signing.check(); err != nil {
		return nil, err
	}
	if o.Plan != "" { // a build is long; compare reads it again
		if _, err := ReadPlan(o.Plan); err != nil {
			return nil, err
		}
	}
	project, err := Load(o)
	if err != nil {
		return nil, err
	}
	if o.Untrusted && project.Name != o.App {
		return nil, api.Errorf(api.Usage, "name the app", "whose plan is asked for is not for this tree to say").WithHint("name the app itself: --app")
	}
	target, err := Target(o, project.App)
	if err != nil {
		return nil, err
	}
	p := &Prepared{Project: project, options: o}
	err = o.step("connect", "Connect to "+target.Target, func() (string, error) {
		p.host, err = Connect(ctx, target)
		if err != nil {
			return "", err
		}
		hello := p.host.Hello
		return fmt.Sprintf("agent %s, %s/%s, traffic by %s", hello.Version, hello.OS, hello.Arch, hello.Traffic), nil
	})
	if err != nil {
		return nil, err
	}
	if err := p.plan(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// plan builds the image and asks what its release would change.
func (p *Prepared) plan(ctx context.Context) error {
	o := p.options
	// Who may not deploy the app learns it before a build, not after.
	state, err := p.host.App(ctx, p.Project.Name)
	if err != nil {
		return err
	}
	// Nobody may have been there any more to hear how the last one ended.
	if last := state.Last; last != nil && last.Verdict != nil && last.Verdict.Error != nil {
		o.Report(output("before", "the last request, "+last.Request+" of "+last.Started.UTC().Format(time.RFC3339)+": "+ended(*last.Verdict)))
	}
	if p.image, err = Build(ctx, o, p.Project, p.host.Hello.OS, p.host.Hello.Arch); err != nil {
		return err
	}
	if p.document, err = documentOf(o, p.Project, p.image); err != nil {
		return err
	}
	if p.signed, err = p.sign(ctx); err != nil {
		return err
	}
	request := api.PlanRequest{Document: p.document, Signed: p.signed}
	if config, err := p.image.ConfigFile(); err == nil {
		for port := range config.Config.ExposedPorts {
			request.Exposed = append(request.Exposed, port)
		}
		slices.Sort(request.Exposed)
	}
	if p.Plan, err = p.host.Plan(ctx, p.Project.Name, request); err != nil {
		return err
	}
	p.Plan.Decided, p.Plan.Environment = p.Project.decided, o.Environment
	p.Plan.Changes = slices.DeleteFunc(p.Plan.Changes, p.Project.unseen)
	if refused := p.Plan.Refused; refused != nil {
		p.Plan.Warnings = append(p.Plan.Warnings, "the host would refuse this: "+refused.Error())
	}
	if p.readsImage() && !p.Plan.Empty() {
		p.Plan.Warnings = append(p.Plan.Warnings, "files of the image are read on the host: a Procfile, app.json or nginx.conf.sigil in its WORKDIR, /app or /workspace may change more than is shown")
	}
	if p.Plan.Empty() || p.registry() != "" {
		return nil
	}
	ship, err := transferTo(o, p.host).Lacking(ctx, p.Project.Name, p.image)
	if err != nil {
		return err
	}
	p.Plan.Ship = &ship
	if free := p.host.Hello.Free; free > 0 && free < 2*ship.Bytes+api.ReservedDisk {
		p.Plan.Warnings = append(p.Plan.Warnings, fmt.Sprintf("disk: %d MiB are free where the host keeps images, and %d MiB of layers are to be sent", free>>20, ship.Bytes>>20))
	}
	return nil
}

// ended is how a request ended that did not go well.
func ended(v api.Verdict) string {
	said, _, _ := strings.Cut(v.Error.Error(), "\n")
	switch {
	case v.OK:
		return fmt.Sprintf("v%d is live, but: %s", v.Release, said)
	case v.Error.Code == api.UndoFailed:
		return "failed, and needs a person: " + said
	}
	return "failed, undone: " + said
}

// readsImage tells that the host will look into the image for files that nobody here
// has: it was built elsewhere.
func (p *Prepared) readsImage() bool {
	if p.document.Builder != "image" || p.document.Procfile != "" && p.document.AppJSON != "" && p.document.NginxTemplate != "" {
		return false
	}
	config, err := p.image.ConfigFile()
	return err == nil && config.Config.Labels[api.LabelBuilder] == ""
}

func (p *Prepared) registry() string {
	return firstOf(p.options.Registry, p.Project.App.Image.Registry)
}

// Apply ships and deploys what was planned. With Options.Plan it first compares with
// the plan that was looked at, and has the host do the same.
func (p *Prepared) Apply(ctx context.Context) (api.Verdict, error) {
	if p.options.Untrusted {
		return api.Verdict{}, api.Errorf(api.Refused, "deploy", "this tree is planned and not deployed: it is of somebody who may not")
	}
	if p.options.Plan != "" {
		if err := p.compare(p.options.Plan); err != nil {
			return api.Verdict{}, err
		}
	}
	p.options.Report(api.Event{Type: api.EventPlan, Time: time.Now(), Plan: &p.Plan})
	if p.Plan.Empty() && p.Plan.Busy == "" { // else the host says what it is when that one is over
		verdict := api.Verdict{OK: true, Release: p.Plan.Current, Built: p.image.ID, Run: p.image.ID, URLs: p.Plan.URLs}
		p.options.Report(api.Event{Type: api.EventVerdict, Time: time.Now(), Verdict: &verdict})
		return verdict, nil
	}
	if p.Plan.Refused != nil { // before a layer is sent
		return api.Verdict{}, p.Plan.Refused
	}
	return p.release(ctx)
}

// ReadPlan reads a plan that `plan -o` wrote.
func ReadPlan(path string) (api.Plan, error) {
	var plan api.Plan
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &plan)
	}
	if err == nil && (plan.App == "" || plan.State == "" || plan.Document == "") {
		err = errors.New("it is not a plan that dokku-push plan -o wrote")
	}
	if err != nil {
		return plan, api.Errorf(api.Usage, "read the plan "+path, "%w", err).WithHint("write one with dokku-push plan -o %s", path)
	}
	return plan, nil
}

// compare refuses when the plan that was looked at is not the one that would be carried
// out now, and says what moved.
func (p *Prepared) compare(path string) error {
	seen, err := ReadPlan(path)
	if err != nil {
		return err
	}
	if moved := Moved(seen, p.Plan); len(moved) > 0 {
		return api.Errorf(api.StalePlan, "compare with "+path, "%s", strings.Join(moved, "\n")).
			WithHint("look at a new plan: dokku-push plan -o %s", path)
	}
	return nil
}

// Moved says what is different between a plan that was looked at and the one of now.
// It is empty when both ask for the same change of the same state, and the same would run:
// a plugin that was installed meanwhile is no state of the app.
func Moved(seen, now api.Plan) []string {
	var moved []string
	say := func(format string, args ...any) { moved = append(moved, fmt.Sprintf(format, args...)) }
	if seen.App != now.App {
		say("the plan is for the app %s, this is %s", seen.App, now.App)
		return moved
	}
	if seen.State != now.State {
		say("the host has changed since the plan was made")
	}
	if seen.Document != now.Document {
		say("what is to be deployed has changed since the plan was made")
	}
	if seen.Current != now.Current {
		say("v%d is live now, not v%d", now.Current, seen.Current)
	}
	key := func(c api.PlanChange) string { return c.Kind + " " + c.Name + " " + c.Note }
	movedAmong(seen.Changes, now.Changes, key, api.PlanChange.String, say)
	movedAmong(seen.Runs, now.Runs, func(r api.PlannedRun) string { return r.Kind + " " + r.Name }, api.PlannedRun.String, say)
	if len(moved) == 0 && seen.Nginx != now.Nginx {
		say("the app's nginx file would become another one")
	}
	return moved
}

// movedAmong says which of the planned things there were not, are no more, or are others.
func movedAmong[T any](seen, now []T, key, text func(T) string, say func(string, ...any)) {
	before, after := map[string]string{}, map[string]string{}
	for _, one := range seen {
		before[key(one)] = text(one)
	}
	for _, one := range now {
		after[key(one)] = text(one)
		former, was := before[key(one)]
		switch {
		case !was:
			say("not in the plan: %s", text(one))
		case former != text(one):
			say("planned: %s; now: %s", former, text(one))
		}
	}
	for _, one := range seen {
		if _, still := after[key(one)]; !still {
			say("no longer to do: %s", text(one))
		}
	}
}
