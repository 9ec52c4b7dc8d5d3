package push

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// atOnce is how many apps are built and deployed at a time: a build alone can keep a
// machine busy, and each has a connection of its own to the host.
const atOnce = 4

// Member is one app of a project.
type Member struct {
	Block   string // the label of its app block; empty: the project has no blocks
	Name    string // on the host
	Skipped string // why nothing is to be done for it; empty: it is its turn
}

// Outcome is what became of a member.
type Outcome struct {
	Member
	Err  error
	Took time.Duration
}

// Apps lists the app blocks of the project's dokku.hcl; none where it has none.
func Apps(o Options) ([]string, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	return manifest.Apps(os.DirFS(dir), o.ManifestOptions()), nil
}

// oneApp refuses a project of several apps where none of them was named.
func oneApp(o Options, dir string) error {
	apps := manifest.Apps(os.DirFS(dir), o.ManifestOptions())
	if o.App != "" || len(apps) < 2 {
		return nil
	}
	return api.Errorf(api.Usage, "choose the app", "dokku.hcl describes several: %s", strings.Join(apps, ", ")).
		WithHint("name one with --app; push, plan and build take --all, too")
}

// Members lists the apps of a project, or the one that Options.App names, for Each. With a
// git ref those are skipped of which no file has changed since. Every mistake in any of them
// is an error before anything begins.
func Members(ctx context.Context, o Options, since string) ([]Member, error) {
	blocks, err := Apps(o)
	if err != nil {
		return nil, err
	}
	if o.App != "" || len(blocks) == 0 {
		blocks = []string{o.App}
	}
	var members []Member
	var projects []*Project
	for _, block := range blocks {
		one := o
		one.App, one.Report = block, func(api.Event) {} // advice is told when its turn comes
		project, err := Load(one)
		if err != nil {
			return nil, err
		}
		former := slices.IndexFunc(members, func(m Member) bool { return m.Name == project.Name })
		if former >= 0 {
			return nil, api.Errorf(api.InvalidManifest, "read dokku.hcl", "the apps %s and %s are both called %s", members[former].Block, block, project.Name).
				WithHint("give one of them another name: app = \"…\" in its block")
		}
		projects = append(projects, project)
		members = append(members, Member{Block: block, Name: project.Name})
	}
	if since == "" {
		return members, nil
	}
	history, err := historySince(ctx, o, since)
	if err != nil {
		return nil, err
	}
	for i, project := range projects {
		changed, err := history.changed(ctx, project)
		if err != nil {
			return nil, err
		}
		if len(changed) == 0 {
			members[i].Skipped = "none of its files has changed since " + since
		}
	}
	return members, nil
}

// Each does work for the members, some at a time, each with options of its own whose
// events carry the app's name. What fails for one stops no other. The outcomes are in the
// members' order.
func Each(ctx context.Context, o Options, members []Member, work func(context.Context, Member, Options) error) []Outcome {
	outcomes := make([]Outcome, len(members))
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	o.Remote.Passphrase = inTurn(o.Remote.Passphrase)
	for i, member := range members {
		outcomes[i].Member = member
		one := o
		one.App = member.Block
		if member.Block == "" {
			one.App = o.App
		}
		one.Report = func(event api.Event) {
			event.App = member.Name
			o.Report(event)
		}
		if member.Skipped != "" {
			one.Report(output("skipped", member.Skipped))
			continue
		}
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			start := time.Now()
			err := context.Cause(ctx)
			if err == nil {
				err = work(ctx, member, one)
			} else {
				err = api.Errorf(api.Cancelled, "begin", "cancelled before its turn came")
			}
			outcomes[i].Err, outcomes[i].Took = err, time.Since(start)
		})
	}
	all.Wait()
	return outcomes
}

// inTurn asks for one passphrase at a time, and for that of a key only once.
func inTurn(ask func(string) (string, error)) func(string) (string, error) {
	if ask == nil {
		return nil
	}
	var mu sync.Mutex
	known := map[string]string{}
	return func(file string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if text, told := known[file]; told {
			return text, nil
		}
		text, err := ask(file)
		if err == nil {
			known[file] = text
		}
		return text, err
	}
}
