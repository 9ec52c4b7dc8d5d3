package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// bench is an app on a host, to be changed under load and broken while it changes.
type bench struct {
	*testkit.Host
	t        *testing.T
	dir, app string
	engine   *client.Client
	edits    int
	shown    string            // what the sources say
	texts    map[string]string // what an image says, by its id
	last     *api.AppState     // how the last change left the app; nil: nobody has looked
	cmd      *exec.Cmd         // the change that runs
	posts    int64             // that clients who never replay one have sent
	lost     int64             // of them
}

func newBench(t *testing.T, h *testkit.Host) *bench {
	t.Helper()
	b := &bench{Host: h, t: t, dir: testkit.CopyApp(t, "hello"), app: h.App(t, "faults"), engine: testkit.Engine(t), shown: "Hello, world", texts: map[string]string{}}
	if err := os.WriteFile(filepath.Join(b.dir, "app.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // so that there is one to go back to
		b.edit()
		pushed(t, h.Push(t, b.dir, "--app", b.app))
		b.learn(b.settled(t, b.app), b.shown)
	}
	return b
}

func (b *bench) edit() {
	b.edits++
	text := fmt.Sprintf("This is release %d of them", b.edits)
	testkit.Edit(b.t, b.dir, "www/cgi-bin/index.cgi", b.shown, text)
	b.shown = text
}

// learn remembers a state of the app, and what its newest image says.
func (b *bench) learn(state api.AppState, text string) {
	if run := state.Releases[len(state.Releases)-1].Run; b.texts[run] == "" {
		b.texts[run] = text
	}
	b.last = &state
}

// settled is an app's state once nothing goes on any more: two looks see the same.
func (b *bench) settled(t *testing.T, app string) api.AppState {
	t.Helper()
	former := ""
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(150 * time.Millisecond) {
		now := status(t, b.Host, b.dir, app)
		if now.Hash == former && now.Unfinished == "" && now.Lock == nil {
			return now
		}
		if former = now.Hash; time.Now().After(deadline) {
			t.Fatalf("the state of %s does not settle: %+v", app, now)
		}
	}
}

// The changes that are broken.
const (
	first    = "first"
	redeploy = "redeploy"
	scale    = "scale"
	rollback = "rollback"
	destroy  = "destroy"
)

// change prepares a change: what carries it out, and what the app says after it.
func (b *bench) change(kind string, now api.AppState) (cmd *exec.Cmd, text string) {
	live := b.says(now)
	switch kind {
	case destroy:
		return b.DokkuCommand(b.t, "apps:destroy", b.app, "--force"), b.shown
	case scale:
		return b.DokkuCommand(b.t, "ps:scale", b.app, fmt.Sprintf("web=%d", 3-now.Scale["web"])), live
	case rollback:
		run := now.Releases[len(now.Releases)-1].Run
		for _, release := range slices.Backward(now.Releases) {
			if release.Run != run {
				return b.Command(b.t, b.dir, "rollback", fmt.Sprintf("v%d", release.Version), "--app", b.app), b.texts[release.Run]
			}
		}
		b.t.Fatal("there is no other release")
	}
	b.edit()
	return b.Command(b.t, b.dir, "--app", b.app), b.shown
}

func (b *bench) says(state api.AppState) string {
	return b.texts[state.Releases[len(state.Releases)-1].Run]
}

func (b *bench) places() agent.Places {
	return agent.Places{Root: filepath.Join(b.Root, "home"), Lib: filepath.Join(b.Root, "lib")}
}

func (b *bench) journals(app string) []string {
	paths, err := filepath.Glob(b.places().Journal(app, "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return paths
}

// entries are what a journal says so far of the steps of its request: marks and events.
func entries(path string) (pid int, said []string, verdict *api.Verdict) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var entry agent.Entry
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue
		}
		switch {
		case entry.Begin != nil:
			pid = entry.Begin.PID
		case entry.Mark != nil:
			said = append(said, entry.Mark.Step+" "+entry.Mark.State)
		case entry.Event != nil && entry.Event.Step != nil:
			said = append(said, entry.Event.Step.Name+" "+string(entry.Event.Step.Status))
		case entry.Event != nil && entry.Event.Verdict != nil:
			said, verdict = append(said, "verdict"), entry.Event.Verdict
		}
	}
	return pid, said, verdict
}

// watch waits for a new journal of an app and calls f again and again until it is
// content or the change is over.
func watch[T any](b *bench, app string, known []string, over <-chan T, f func(journal string) bool) (journal string) {
	for {
		if journal == "" {
			for _, path := range b.journals(app) {
				if !slices.Contains(known, path) {
					journal = path
				}
			}
		}
		if journal != "" && f(journal) {
			return journal
		}
		select {
		case <-over:
			return journal
		case <-time.After(time.Millisecond):
		}
	}
}

// run starts a change and does something to it while clients are busy with the app.
func (b *bench) run(t *testing.T, kind, what string, meddle func(app string, known []string, over <-chan struct{}) (journal string)) {
	t.Helper()
	b.t = t
	if b.last == nil {
		b.learn(b.settled(t, b.app), b.shown)
	}
	before := *b.last
	app, live := b.app, b.says(before)
	if kind == first || kind == destroy {
		b.app = b.App(t, "faulty")
		defer func() { b.app = app }()
	}
	if kind == destroy {
		b.edit()
		pushed(t, b.Push(t, b.dir, "--app", b.app))
	}
	cmd, text := b.change(kind, before)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, b.cmd = &said, &said, cmd
	workers := reloads(t, b.Host)
	load := b.load(kind, app, live, text)
	known := b.journals(b.app)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(over)
	}()
	journal := meddle(b.app, known, over)
	select {
	case <-over:
	case <-time.After(4 * time.Minute):
		_ = cmd.Process.Kill()
		t.Fatalf("%s, %s: the client does not end:\n%s", kind, what, said.String())
	}
	b.gone(t, journal)
	switch kind {
	case first:
		b.firstOutcome(t, what, journal, text)
	case destroy:
		b.destroyOutcome(t, what, text)
	default:
		b.last = nil
		b.outcome(t, kind+", "+what, before, text, said.String(), journal)
	}
	load.end()
	b.judge(t, kind, what, load, workers != reloads(t, b.Host))
}

// gone waits until the process of a deploy is no more, which retires and prunes after its
// verdict.
func (b *bench) gone(t *testing.T, journal string) {
	t.Helper()
	pid, _, _ := entries(journal)
	for deadline := time.Now().Add(4 * time.Minute); pid > 0 && syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the process of %s does not end", journal)
		}
	}
}

// judge looks at what the clients saw. Where nginx has reloaded, a POST that nobody replays
// may be lost (FEASIBILITY H): those are counted.
func (b *bench) judge(t *testing.T, kind, what string, load *busy, reloaded bool) {
	t.Helper()
	lost := load.lostPosts.Load()
	b.posts, b.lost = b.posts+load.posts.Load(), b.lost+lost
	if reloaded && lost > 0 {
		t.Logf("%s, %s: %d of %d POSTs were lost that nobody replays, in a reload of nginx", kind, what, lost, load.posts.Load())
	} else if lost > 0 {
		t.Errorf("%s, %s: %d of %d POSTs were lost, and nginx had nothing to reload", kind, what, lost, load.posts.Load())
	}
	if gets := load.lostGets.Load(); gets > 0 {
		t.Errorf("%s, %s: %d of %d GETs failed", kind, what, gets, load.gets.Load())
	}
	if t.Failed() {
		load.reasons.Range(func(reason, _ any) bool { t.Log(reason); return true })
	}
	if strange := load.strange.Load(); strange != nil {
		t.Errorf("%s, %s: neither release answered: %s", kind, what, *strange)
	}
	if load.gets.Load() == 0 || load.posts.Load() == 0 {
		t.Errorf("%s, %s: nobody asked", kind, what)
	}
}

// load starts two clients that keep asking the app that is there: one with GET, one with
// a POST that nobody replays.
func (b *bench) load(kind, app, live, text string) *busy {
	ctx, stop := context.WithCancel(context.Background())
	load := &busy{stop: stop, postTo: "/cgi-bin/index.cgi"}
	texts := []string{live}
	if kind != first && kind != destroy {
		texts = append(texts, text)
	}
	for _, post := range []bool{false, true} {
		load.wait.Go(func() { load.client(ctx, "http://"+b.HTTP, app+".localhost", post, texts) })
	}
	return load
}
