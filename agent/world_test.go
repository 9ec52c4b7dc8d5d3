package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/sshsig"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// world is what a host works on, in memory: an engine, an address map, plugins. Its
// files, nginx's too, are in a folder. It outlives the processes that work on it.
type world struct {
	mu         sync.Mutex
	dir        string
	remote     map[string]agent.Image       // what a pull finds, by reference
	images     map[string]agent.Image       // by id
	names      map[string]string            // tags and references to ids
	files      map[string]map[string]string // of images, by id and path
	containers map[string]agent.Container
	volumes    map[string]bool // whether a container has it
	points     map[string]map[int]agent.Backend
	addresses  map[string]string // stable ones, by app and index
	fails      map[string]error  // by the name of the act
	exits      map[string]int    // of scripts, by their text
	unhealthy  error
	exited     *agent.Exit // of containers that do not stay up
	memory     int64       // limit of every container, bytes
	patience   int         // seconds that plugins have for a trigger; 0: one
	impatient  bool        // an undo has a second; else a minute
	plugins    map[string]func(args []string) error
	plugin     func(ctx context.Context, name string, streams agent.Streams) error // one that has every trigger
}

func newWorld(t testing.TB) *world {
	return &world{dir: memory(t), remote: map[string]agent.Image{}, images: map[string]agent.Image{}, names: map[string]string{}, files: map[string]map[string]string{},
		containers: map[string]agent.Container{}, volumes: map[string]bool{}, points: map[string]map[int]agent.Backend{}, addresses: map[string]string{}, fails: map[string]error{},
		exits: map[string]int{}, plugins: map[string]func([]string) error{}}
}

// memory is a folder in memory where there is one: what is synced thousands of times
// here is tested on a disk elsewhere.
func memory(t testing.TB) string {
	former, _ := filepath.Glob("/dev/shm/dokku-push-test-*-*")
	for _, path := range former { // of runs that were killed: memory has little room
		if pid, err := strconv.Atoi(strings.Split(filepath.Base(path), "-")[3]); err == nil && pid != os.Getpid() && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(path)
		}
	}
	dir, err := os.MkdirTemp("/dev/shm", fmt.Sprintf("dokku-push-test-%d-", os.Getpid()))
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// clone is the same world once more, files and all.
func (w *world) clone(t *testing.T) *world {
	t.Helper()
	n := newWorld(t)
	n.remote, n.images, n.names, n.containers, n.volumes = maps.Clone(w.remote), maps.Clone(w.images), maps.Clone(w.names), maps.Clone(w.containers), maps.Clone(w.volumes)
	n.addresses, n.plugin, n.files, n.patience = maps.Clone(w.addresses), w.plugin, w.files, w.patience
	for app, points := range w.points {
		n.points[app] = maps.Clone(points)
	}
	must(t, filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := n.dir + strings.TrimPrefix(path, w.dir)
		info, err := entry.Info()
		if err != nil || entry.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		text, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(to, text, info.Mode()))
	}))
	return n
}

// set gives an app, or the host, properties beside those that it has.
func (w *world) set(t *testing.T, scope string, properties map[string]string) {
	t.Helper()
	_, _, err := w.process(0).Change(scope, func(now *agent.Settings) error {
		if now.Properties == nil {
			now.Properties = map[string]string{}
		}
		maps.Copy(now.Properties, properties)
		return nil
	})
	must(t, err)
}

func (w *world) places() agent.Places {
	return agent.Places{Root: filepath.Join(w.dir, "root"), Lib: filepath.Join(w.dir, "lib"), Logs: filepath.Join(w.dir, "logs")}
}

// process is one process of the agent. Whatever it asks of the world or does to it is an
// act; of those that change something the one numbered dieAt never happens, nor any act
// after it, as if it had been killed.
type process struct {
	*world
	*state.Store
	dieAt int
	fault fault
	dead  bool
	stuck bool     // something has hung until its time was over
	acts  []string // those that change something
	did   []act    // those that ask too
	held  []agent.Unlocker
}

// act is something that a process has asked or done. One that waits can be cancelled.
type act struct {
	name  string
	waits bool
}

// asks tells an act that changes nothing.
func asks(name string) bool {
	verb, _, _ := strings.Cut(name, " ")
	return slices.Contains([]string{"look", "list", "ask", "baseline", "give", "check", "trigger"}, verb) && name != "check the site"
}

// mode is how an act goes wrong.
type mode string

const (
	killedBefore mode = "killed before"
	killedAfter  mode = "killed after"
	fails        mode = "fails"                        // nothing is done
	lost         mode = "lost"                         // all is done, and nobody hears of it
	hangs        mode = "hangs"                        // until somebody cancels the request
	diskFull     mode = "disk full"                    // from this act on, for as long as the process lives
	stuck        mode = "fails, then the engine hangs" // nothing is done, and of what waits after it one never answers
)

// fault is one act that goes wrong.
type fault struct {
	at     int // 1 for the first; 0: none
	then   int // of those that wait after it the one that hangs, where it is stuck
	how    mode
	cancel func() // how somebody cancels what hangs
}

var errFault = errors.New("the engine answered with 500")

// patience is how long something hangs that nobody can cancel, until somebody kills it.
const patience = 400 * time.Millisecond

// longPatience is patience with what has a deadline of its own: an undo.
const longPatience = 4 * time.Second

func (w *world) process(dieAt int) *process {
	return &process{world: w, Store: &state.Store{Places: w.places()}, dieAt: dieAt}
}

func (p *process) host() *agent.Host {
	undo := 60
	if p.impatient || p.fault.how == stuck { // which is to be given up
		undo = 1
	}
	return &agent.Host{Places: p.world.places(), Config: agent.HostConfig{ID: "test", TriggerTimeout: max(1, p.patience), UndoTimeout: undo}, Images: images{process: p}, Containers: containers{process: p},
		Proxy: proxy{process: p}, Traffic: traffic{process: p}, Walk: walk{p}, Checker: checker{p}, Blobs: blobs{process: p}, Signatures: sshsig.Verifier{}, Settings: p, Ledger: p, Version: "test"}
}

// run calls f in a process that may die in it, and tells whether it lived. Its locks
// go with it.
func (p *process) run(f func(*agent.Host)) (lived bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(p.host())
		lived = true
	}()
	<-done
	for _, lock := range p.held {
		_ = lock.Unlock()
	}
	return lived && !p.dead
}

// do carries out one act that waits for somebody else.
func (p *process) do(ctx context.Context, name string, effect func() error) error {
	return p.carryOut(ctx, act{name, true}, effect)
}

// disk carries out one act on the disk, which waits for nobody.
func (p *process) disk(name string, effect func() error) error {
	return p.carryOut(context.Background(), act{name, false}, effect)
}

// carryOut carries out one act, unless it is the one that goes wrong.
func (p *process) carryOut(ctx context.Context, one act, effect func() error) error {
	how, err := p.next(one)
	switch how {
	case stuck:
		select {
		case <-ctx.Done():
			p.stuck = strings.Contains(context.Cause(ctx).Error(), "has not answered within") // else it was given up for another reason
			return context.Cause(ctx)
		case <-time.After(longPatience):
			p.die()
		}
	case hangs:
		if !one.waits { // nobody can end it but with a kill
			p.die()
		}
		p.fault.cancel()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(patience):
			p.die()
		}
	case fails:
		return errFault
	case diskFull:
		return &fs.PathError{Op: "write", Path: one.name, Err: syscall.ENOSPC}
	}
	if err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	switch how {
	case killedAfter:
		p.die()
	case lost:
		return fmt.Errorf("%s: %w", one.name, errFault)
	}
	return nil
}

// next counts an act and tells how it goes wrong.
func (p *process) next(one act) (mode, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.did = append(p.did, one)
		if !asks(one.name) {
			p.acts = append(p.acts, one.name)
			p.dead = len(p.acts) == p.dieAt
		}
		p.dead = p.dead || len(p.did) == p.fault.at && p.fault.how == killedBefore
	}
	if p.dead {
		runtime.Goexit()
	}
	switch {
	case p.fault.at == 0 || len(p.did) < p.fault.at:
	case p.fault.how == stuck:
		if len(p.did) == p.fault.at {
			return fails, nil
		}
		if one.waits && p.fault.then > 0 {
			if p.fault.then--; p.fault.then == 0 {
				return stuck, nil
			}
		}
	case p.fault.how == diskFull && !one.waits && fills(one.name), p.fault.how != diskFull && len(p.did) == p.fault.at:
		return p.fault.how, nil
	}
	return "", p.world.fails[one.name]
}

// fills tells which acts need room on the disk. A journal has its room already.
func fills(name string) bool {
	return !strings.HasPrefix(name, "journal ") && name != "remove release" && name != "destroy the files"
}

func (p *process) die() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	runtime.Goexit()
}

func (p *process) Create(app string) error {
	return p.disk("create the app", func() error { return p.Store.Create(app) })
}

func (p *process) Destroy(app string) error {
	return p.disk("destroy the files", func() error { return p.Store.Destroy(app) })
}

func (p *process) Change(app string, change func(*agent.Settings) error) (before, after agent.Settings, err error) {
	err = p.disk("write the settings", func() (err error) {
		before, after, err = p.Store.Change(app, change)
		return err
	})
	return before, after, err
}

func (p *process) Save(app string, record agent.Record) error {
	return p.disk("save", func() error { return p.Store.Save(app, record) })
}

func (p *process) SaveHooks(app string, version int, hooks []api.HookResult) error {
	return p.disk("save hooks", func() error { return p.Store.SaveHooks(app, version, hooks) })
}

func (p *process) SetCurrent(app string, version int) error {
	return p.disk("set current", func() error { return p.Store.SetCurrent(app, version) })
}

func (p *process) RemoveRelease(app string, version int) error {
	return p.disk("remove release", func() error { return p.Store.RemoveRelease(app, version) })
}

func (p *process) Lock(app string, holder api.Lock) (lock agent.Unlocker, other *api.Lock, err error) {
	err = p.disk("lock", func() (err error) {
		lock, other, err = p.Store.Lock(app, holder)
		if lock != nil {
			p.held = append(p.held, lock)
		}
		return err
	})
	return lock, other, err
}

func (p *process) Begin(app, request string) (j agent.Journal, existed bool, err error) {
	err = p.disk("open the journal", func() (err error) {
		j, existed, err = p.Store.Begin(app, request)
		return err
	})
	if err != nil && j != nil {
		_ = j.Close()
	}
	return journal{j, p}, existed, err
}

type journal struct {
	agent.Journal
	p *process
}

func (j journal) Write(entry agent.Entry) error {
	name := "journal entry"
	if entry.Mark != nil {
		name = "journal " + entry.Mark.Step + " " + entry.Mark.State
	}
	return j.p.disk(name, func() error { return j.Journal.Write(entry) })
}
