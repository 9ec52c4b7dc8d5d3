package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

var (
	faults    = flag.String("faults", "some", "which cells of the fault matrix to run: some (a seeded sample) or all")
	faultSeed = flag.Uint64("faultseed", 0, "seed of the sample; 0: another one each time")
)

// sample chooses n of all cells, or all of them.
func sample[T any](t *testing.T, all []T, n int) []T {
	t.Helper()
	if *faults == "all" || len(all) <= n {
		t.Logf("%d cells", len(all))
		return all
	}
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%d of %d cells, -faultseed %d", n, len(all), seed)
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all[:n]
}

// bench is an app on a host, to be changed under load and broken while it changes.
type bench struct {
	*testkit.Host
	t        *testing.T
	dir, app string
	engine   *client.Client
	edits    int
	shown    string            // what the sources say
	texts    map[string]string // what an image says, by its id
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
		b.learn()
	}
	return b
}

func (b *bench) edit() {
	b.edits++
	text := fmt.Sprintf("This is release %d of them", b.edits)
	testkit.Edit(b.t, b.dir, "www/cgi-bin/index.cgi", b.shown, text)
	b.shown = text
}

// learn returns the app's state, and remembers what its newest image says.
func (b *bench) learn() api.AppState {
	b.t.Helper()
	state := status(b.t, b.Host, b.dir, b.app)
	if run := state.Releases[len(state.Releases)-1].Run; b.texts[run] == "" {
		b.texts[run] = b.shown
	}
	return state
}

// The changes that are broken.
const (
	first    = "first"
	redeploy = "redeploy"
	scale    = "scale"
	rollback = "rollback"
)

// change prepares a change: what carries it out, and what the app says after it.
func (b *bench) change(kind string, now api.AppState) (cmd *exec.Cmd, text string) {
	live := b.says(now)
	switch kind {
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
	before := b.learn()
	hash := settled(t, b.Host, b.dir, b.app)
	app, live := b.app, b.says(before)
	if kind == first {
		b.app = b.App(t, "faulty")
		defer func() { b.app = app }()
	}
	cmd, text := b.change(kind, before)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
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
	case <-time.After(90 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("%s, %s: the client does not end:\n%s", kind, what, said.String())
	}
	if kind == first {
		b.firstOutcome(t, what, journal, text)
	} else {
		b.outcome(t, kind+", "+what, before, hash, text, said.String(), journal)
	}
	load.end()
	if lost := load.lostGets.Load(); lost > 0 {
		t.Errorf("%s, %s: %d of %d requests failed", kind, what, lost, load.gets.Load())
		load.reasons.Range(func(reason, _ any) bool { t.Log(reason); return true })
	}
	if strange := load.strange.Load(); strange != nil {
		t.Errorf("%s, %s: neither release answered: %s", kind, what, *strange)
	}
}

// load starts two clients that keep asking the app that is there.
func (b *bench) load(kind, app, live, text string) *busy {
	ctx, stop := context.WithCancel(context.Background())
	load := &busy{stop: stop}
	texts := []string{live}
	if kind != first {
		texts = append(texts, text)
	}
	for range 2 {
		load.wait.Go(func() { load.client(ctx, "http://"+b.HTTP, app+".localhost", false, texts) })
	}
	return load
}

// outcome looks at what became of a change: all of it, or nothing.
func (b *bench) outcome(t *testing.T, what string, before api.AppState, hash, text, said, journal string) {
	t.Helper()
	if retired := b.Dokku(t, "ps:retire", b.app); retired.Exit != 0 { // recovers too
		t.Errorf("%s: the recovery: %s%s", what, retired.Stdout, retired.Stderr)
	}
	now := settled(t, b.Host, b.dir, b.app)
	after := b.learnIf(text)
	_, _, verdict := entries(journal)
	switch {
	case after.Current == before.Current:
		if now != hash {
			t.Errorf("%s: it was undone, and the state is not as before:\n%s", what, said)
		}
		text = b.says(before)
		if journal != "" && (verdict == nil || verdict.OK) {
			t.Errorf("%s: it was undone, and its verdict is %+v", what, verdict)
		}
	case after.Current == before.Current+1:
		if verdict == nil || !verdict.OK || verdict.Release != after.Current {
			t.Errorf("%s: v%d is live, and its verdict is %+v", what, after.Current, verdict)
		}
	default:
		t.Errorf("%s: v%d was current, now v%d is", what, before.Current, after.Current)
	}
	answers(t, b.Host, b.app, "/", text)
	b.nothingLeft(t, what, after)
}

// learnIf is learn, where text is what a new image says.
func (b *bench) learnIf(text string) api.AppState {
	state := status(b.t, b.Host, b.dir, b.app)
	if run := state.Releases[len(state.Releases)-1].Run; b.texts[run] == "" {
		b.texts[run] = text
	}
	return state
}

// firstOutcome is outcome for an app that there was not.
func (b *bench) firstOutcome(t *testing.T, what, journal, text string) {
	t.Helper()
	b.Dokku(t, "ps:retire", b.app)
	state := status(t, b.Host, b.dir, b.app)
	_, _, verdict := entries(journal)
	if live := state.Current == 1; journal != "" && (verdict == nil || verdict.OK != live) {
		t.Errorf("first, %s: v%d is current, and the verdict is %+v", what, state.Current, verdict)
	}
	b.nothingLeft(t, "first, "+what, state)
	if state.Current == 0 {
		pushed(t, b.Push(t, b.dir, "--app", b.app))
	}
	answers(t, b.Host, b.app, "/", text)
	if gone := b.Dokku(t, "apps:destroy", b.app, "--force"); gone.Exit != 0 {
		t.Errorf("destroy %s: %s", b.app, gone.Stderr)
	}
}

// nothingLeft: the engine has the containers of the release and no other, and no
// temporary file is left.
func (b *bench) nothingLeft(t *testing.T, what string, state api.AppState) {
	t.Helper()
	var names []string
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		found, err := b.engine.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", "com.dokku.app-name="+b.app)})
		if err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, c := range found.Items {
			names = append(names, strings.TrimPrefix(strings.Join(c.Names, ","), "/"))
		}
		if len(names) == len(state.Containers) || time.Now().After(deadline) {
			break
		}
	}
	if len(names) != len(state.Containers) || state.Current > 0 && len(names) == 0 {
		t.Errorf("%s: the release has %d containers, the engine %q", what, len(state.Containers), names)
	}
	err := filepath.WalkDir(filepath.Join(b.Root, "lib"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.Contains(entry.Name(), ".new-") {
			t.Errorf("%s: %s is left", what, path)
		}
		return nil // what goes while one looks is no temporary file
	})
	if err != nil {
		t.Error(err)
	}
}

// faultCell is one place in a change, and what goes wrong there.
type faultCell struct {
	kind string
	how  string // killed, or what becomes of a call to the engine
	at   int
	name string
}

const killed = "killed"

// untouched carries out a change of each kind, and returns all places in it at which
// something can go wrong: what its journal says, and what it asks of the engine.
func untouched(t *testing.T, b *bench, faulty *faultyEngine, kinds []string) (cells []faultCell) {
	t.Helper()
	for _, kind := range kinds {
		var said []string
		b.run(t, kind, "untouched", func(app string, known []string, over <-chan struct{}) string {
			faulty.arm(0, "")
			journal := watch(b, app, known, over, func(string) bool { return false })
			return watch(b, app, known, time.After(10*time.Second), func(string) bool {
				_, said, _ = entries(journal)
				return slices.Contains(said, "retire done")
			})
		})
		for n, name := range said {
			cells = append(cells, faultCell{kind, killed, n + 1, name})
		}
		for n, name := range faulty.disarm() {
			for _, how := range []string{answers500, unanswered, hanging} {
				cells = append(cells, faultCell{kind, how, n + 1, name})
			}
		}
	}
	return cells
}

// TestFaults kills the deploy process at each mark of its journal, and lets each of its
// calls to the engine go wrong in each way, one at a time.
func TestFaults(t *testing.T) {
	faulty := newFaultyEngine(t)
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"DOCKER_HOST=" + faulty.address}})
	faulty.mu.Lock()
	faulty.spare = int32(h.PID())
	faulty.mu.Unlock()
	b := newBench(t, h)
	kinds := sample(t, []string{first, redeploy, scale, rollback}, 2)
	var kills, calls []faultCell
	for _, cell := range untouched(t, b, faulty, kinds) {
		if cell.how == killed {
			kills = append(kills, cell)
		} else {
			calls = append(calls, cell)
		}
	}
	if len(kills) < 20*len(kinds) || len(calls) < 30*len(kinds) {
		t.Fatalf("only %d places to be killed at, and %d calls that can go wrong", len(kills), len(calls))
	}
	for _, cell := range append(sample(t, kills, 4), sample(t, calls, 4)...) {
		t.Run(fmt.Sprintf("%s-%d-%s", cell.kind, cell.at, cell.how), func(t *testing.T) {
			b.run(t, cell.kind, cell.how+": "+cell.name, func(app string, known []string, over <-chan struct{}) string {
				if cell.how == killed {
					return b.kill(app, known, over, cell.at)
				}
				faulty.arm(cell.at, cell.how)
				defer faulty.disarm()
				return b.wait(app, known, over)
			})
		})
	}
}

// kill kills the deploy process as soon as its journal says as much.
func (b *bench) kill(app string, known []string, over <-chan struct{}, marks int) (journal string) {
	return watch(b, app, known, over, func(journal string) bool {
		pid, said, _ := entries(journal)
		if pid == 0 || len(said) < marks {
			return false
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			b.t.Logf("it was over before it could be killed: %v", err)
		}
		return true
	})
}

// wait waits for the end of a change. One that hangs is cancelled, and killed where
// that does not help.
func (b *bench) wait(app string, known []string, over <-chan struct{}) (journal string) {
	begun := time.Now()
	return watch(b, app, known, over, func(journal string) bool {
		pid, _, _ := entries(journal)
		if time.Since(begun) > 8*time.Second {
			_ = os.WriteFile(journal+".cancel", nil, 0o600)
		}
		if time.Since(begun) > 12*time.Second {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			return true
		}
		return false
	})
}

// TestFaultsNginx lets nginx refuse a new configuration, in its test and after it.
func TestFaultsNginx(t *testing.T) {
	bin := t.TempDir()
	refuse := filepath.Join(bin, "refuse")
	real, err := exec.LookPath("nginx")
	if err != nil {
		real = "/usr/sbin/nginx"
	}
	script := "#!/bin/sh\ncase \" $* \" in *' -t '*) if [ -e " + refuse + " ]; then echo 'nginx: [emerg] this was chosen to fail' >&2; exit 1; fi;; esac\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "nginx"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", "reload"}, Env: []string{"PATH=" + bin + ":" + os.Getenv("PATH")}})
	b := newBench(t, h)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	adds := filepath.Join(bin, "adds")
	plugin := filepath.Join(b.places().Plugins(), "enabled", "zz-faults", "nginx-pre-reload")
	script = fmt.Sprintf("#!/bin/sh\n[ ! -e %s ] || echo 'server { listen %s; }' >> \"$DOKKU_ROOT/$1/nginx.conf\"\n", adds, taken.Addr())
	if err := errors.Join(os.MkdirAll(filepath.Dir(plugin), 0o755), os.WriteFile(plugin, []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	broken := func(t *testing.T, what, file string) {
		b.run(t, redeploy, what, func(app string, known []string, over <-chan struct{}) string {
			watch(b, app, known, over, func(journal string) bool { // after nginx was tested as it is
				_, said, _ := entries(journal)
				return slices.Contains(said, "fetch begin")
			})
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Error(err)
			}
			journal := watch(b, app, known, over, func(string) bool { return false })
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
			if _, _, verdict := entries(journal); verdict == nil || verdict.OK || api.Exit(verdict.Error) != 25 {
				t.Errorf("%s: the verdict is %+v, want exit 25", what, verdict)
			}
			return journal
		})
	}
	t.Run("test", func(t *testing.T) { broken(t, "nginx -t fails", refuse) })
	t.Run("reload", func(t *testing.T) { broken(t, "nginx does not take it", adds) })
}
