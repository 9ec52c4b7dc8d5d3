package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

var (
	faults     = flag.String("faults", "some", "which cells of the fault matrix to run: some (a seeded sample), a number of them, or all")
	faultSeed  = flag.Uint64("faultseed", 0, "seed of the sample; 0: another one each time")
	faultHosts = flag.Int("faulthosts", 4, "on how many hosts at once, where more than some are run")
)

// sample chooses n of all cells, or all of them.
func sample[T any](t *testing.T, all []T, n int) []T {
	t.Helper()
	if len(all) <= n {
		return all
	}
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%d of %d, -faultseed %d", n, len(all), seed)
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	return all[:n]
}

// faultCell is one place in a change, and what goes wrong there.
type faultCell struct {
	kind string
	how  string // killed, or what becomes of a call to the engine
	at   int
	name string
}

const killed = "killed"

// breakable is a bench whose engine can be told to go wrong.
type breakable struct {
	*bench
	faulty *faultyEngine
}

func newBreakable(t *testing.T) breakable {
	t.Helper()
	faulty := newFaultyEngine(t)
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"DOCKER_HOST=" + faulty.address}})
	faulty.mu.Lock()
	faulty.spare = int32(h.PID())
	faulty.mu.Unlock()
	b := newBench(t, h)
	b.impatient(t)
	return breakable{b, faulty}
}

// untouched carries out a change of each kind, and returns all places in it at which
// something can go wrong: what its journal says, and what it asks of the engine.
func (b breakable) untouched(t *testing.T, kinds []string) (cells []faultCell) {
	t.Helper()
	for _, kind := range kinds {
		var said []string
		b.run(t, kind, "untouched", func(app string, known []string, over <-chan struct{}) string {
			b.faulty.arm(0, "")
			look := func(journal string) bool { // a destroy's journal goes with the app
				if _, now, _ := entries(journal); len(now) > len(said) {
					said = now
				}
				return slices.Contains(said, "retire done")
			}
			journal := watch(b.bench, app, known, over, look)
			if kind == destroy {
				return journal
			}
			return watch(b.bench, app, known, time.After(10*time.Second), look)
		})
		for n, name := range said {
			cells = append(cells, faultCell{kind, killed, n + 1, name})
		}
		for n, name := range b.faulty.disarm() {
			for _, how := range []string{answers500, unanswered, hanging} {
				cells = append(cells, faultCell{kind, how, n + 1, name})
			}
		}
	}
	return cells
}

var engineID = regexp.MustCompile(`(sha256:)?[0-9a-f]{64}|\.upcoming-[0-9a-f]+|dokku/[^/]*`)

// distinct leaves out what is the same thing once more: of the calls of one kind to the
// engine the first, the last and one between are let go wrong in each way. TestFaults of
// package agent breaks every one of them, in memory.
func distinct(cells []faultCell) (few []faultCell) {
	same := map[faultCell][]faultCell{}
	for _, cell := range cells {
		like := faultCell{kind: cell.kind, how: cell.how, name: engineID.ReplaceAllString(cell.name, "*")}
		if cell.how == killed {
			like.at = cell.at
		}
		same[like] = append(same[like], cell)
	}
	for _, alike := range same {
		few = append(few, alike[0])
		if len(alike) > 2 {
			few = append(few, alike[len(alike)/2])
		}
		if len(alike) > 1 {
			few = append(few, alike[len(alike)-1])
		}
	}
	slices.SortFunc(few, func(a, b faultCell) int { // what hangs waits: with others beside it
		return strings.Compare(fmt.Sprint(a.at%7, a), fmt.Sprint(b.at%7, b))
	})
	return few
}

// TestFaults kills the deploy process at each mark of its journal, and lets each of its
// calls to the engine go wrong in each way, one at a time.
func TestFaults(t *testing.T) {
	kinds := []string{first, redeploy, scale, rollback, destroy}
	hosts := *faultHosts
	if *faults == "some" {
		kinds, hosts = sample(t, kinds, 2), 1
	}
	b := newBreakable(t)
	all := b.untouched(t, kinds)
	cells := distinct(all)
	for _, kind := range kinds {
		marks, calls := 0, 0
		for _, cell := range all {
			if cell.kind == kind && cell.how == killed {
				marks++
			} else if cell.kind == kind {
				calls++
			}
		}
		if least := map[bool]int{false: 20, true: 2}[kind == destroy]; marks < least || calls < 15 {
			t.Fatalf("%s: only %d places to be killed at, and %d ways for calls to go wrong", kind, marks, calls)
		}
	}
	var number int
	if *faults == "some" {
		cells = sample(t, cells, 8)
	} else if _, err := fmt.Sscan(*faults, &number); err == nil {
		cells = sample(t, cells, number)
	}
	b.matrix(t, cells, hosts, len(all))
}

// matrix runs cells on so many hosts at once.
func (b breakable) matrix(t *testing.T, cells []faultCell, hosts, all int) {
	queue := make(chan faultCell, len(cells))
	for _, cell := range cells {
		queue <- cell
	}
	close(queue)
	var ran, posts, lost atomic.Int64
	begun := time.Now()
	t.Run("hosts", func(t *testing.T) {
		for n := range hosts {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				b := b
				if n > 0 {
					b = newBreakable(t)
				}
				for cell := range queue {
					t.Run(fmt.Sprintf("%s-%d-%s", cell.kind, cell.at, strings.ReplaceAll(cell.how, " ", "-")), func(t *testing.T) { b.cell(t, cell) })
					ran.Add(1)
				}
				posts.Add(b.posts)
				lost.Add(b.lost)
			})
		}
	})
	took := time.Since(begun)
	t.Logf("%d cells ran on %d hosts in %s (%s each), of %d places at which something can go wrong; %d of %d POSTs that nobody replays were lost",
		ran.Load(), hosts, took.Round(time.Second), (took / time.Duration(max(1, ran.Load()))).Round(time.Millisecond), all, lost.Load(), posts.Load())
}

// cell lets one thing go wrong.
func (b breakable) cell(t *testing.T, cell faultCell) {
	b.run(t, cell.kind, cell.how+": "+cell.name, func(app string, known []string, over <-chan struct{}) string {
		if cell.how == killed {
			return b.kill(app, known, over, cell.at)
		}
		b.faulty.arm(cell.at, cell.how)
		defer b.faulty.disarm()
		journal := b.wait(cell.kind, app, known, over)
		b.ended(journal)
		return journal
	})
}

// impatient makes the host give an engine up that has not answered a retirement or an
// undo for ten seconds.
func (b *bench) impatient(t *testing.T) {
	t.Helper()
	path := b.places().HostConfig()
	var config agent.HostConfig
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if config.UndoTimeout = 10; err == nil {
		text, err = json.Marshal(config)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ended waits until the process that a hanging engine keeps has given it up; a grace that
// an app has is not waited for.
func (b breakable) ended(journal string) {
	pid, _, _ := entries(journal)
	for deadline := time.Now().Add(15 * time.Second); b.faulty.hangs() && pid > 0 && syscall.Kill(pid, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
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

// wait waits for the end of a change. One that hangs is cancelled as soon as it does, and
// killed where that does not help: after the commit, and in a destroy.
func (b breakable) wait(kind, app string, known []string, over <-chan struct{}) (journal string) {
	patience := 4 * time.Second
	if kind == destroy {
		patience = 500 * time.Millisecond
	}
	var hung time.Time
	before := time.AfterFunc(20*time.Second, func() { // it hangs before there is a journal
		if b.faulty.hangs() {
			_ = b.cmd.Process.Kill()
		}
	})
	defer before.Stop()
	return watch(b.bench, app, known, over, func(journal string) bool {
		pid, _, _ := entries(journal)
		switch {
		case !b.faulty.hangs():
		case hung.IsZero():
			hung = time.Now()
			if kind == destroy {
				return false
			}
			_ = os.WriteFile(journal+".cancel", nil, 0o600)
		case time.Since(hung) > patience && pid > 0:
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
