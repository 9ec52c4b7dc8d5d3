package agent_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// world is what a host works on, in memory: an engine, an address map, plugins. Its
// files, nginx's too, are in a folder. It outlives the processes that work on it.
type world struct {
	mu         sync.Mutex
	dir        string
	remote     map[string]agent.Image // what a pull finds, by reference
	images     map[string]agent.Image // by id
	names      map[string]string      // tags and references to ids
	containers map[string]agent.Container
	points     map[string]map[int]agent.Backend
	fails      map[string]error // by the name of the act
	exits      map[string]int   // of scripts, by their text
	unhealthy  error
	exited     *agent.Exit // of containers that do not stay up
	plugins    map[string]func(args []string) error
}

func newWorld(t testing.TB) *world {
	return &world{dir: memory(t), remote: map[string]agent.Image{}, images: map[string]agent.Image{}, names: map[string]string{},
		containers: map[string]agent.Container{}, points: map[string]map[int]agent.Backend{}, fails: map[string]error{},
		exits: map[string]int{}, plugins: map[string]func([]string) error{}}
}

// memory is a folder in memory where there is one: what is synced thousands of times
// here is tested on a disk elsewhere.
func memory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "dokku-push-test-")
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
	n.remote, n.images, n.names, n.containers = maps.Clone(w.remote), maps.Clone(w.images), maps.Clone(w.names), maps.Clone(w.containers)
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

func (w *world) places() agent.Places {
	return agent.Places{Root: filepath.Join(w.dir, "root"), Lib: filepath.Join(w.dir, "lib"), Logs: filepath.Join(w.dir, "logs")}
}

// process is one process of the agent. Whatever it does to the world is an act; the
// one numbered dieAt never happens, nor any after it, as if it had been killed.
type process struct {
	*world
	*state.Store
	dieAt int
	dead  bool
	acts  []string
	held  []agent.Unlocker
}

func (w *world) process(dieAt int) *process {
	return &process{world: w, Store: &state.Store{Places: w.places()}, dieAt: dieAt}
}

func (p *process) host() *agent.Host {
	return &agent.Host{Places: p.world.places(), Config: agent.HostConfig{ID: "test"}, Images: images{process: p}, Containers: containers{process: p},
		Proxy: proxy{process: p}, Traffic: traffic{process: p}, Walk: walk{p}, Checker: checker{p}, Settings: p, Ledger: p, Version: "test"}
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
	return lived
}

func (p *process) act(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.acts = append(p.acts, name)
		p.dead = len(p.acts) == p.dieAt
	}
	if p.dead {
		runtime.Goexit()
	}
	return p.fails[name]
}

func (p *process) Change(app string, change func(*agent.Settings) error) (before, after agent.Settings, err error) {
	if err := p.act("write the settings"); err != nil {
		return before, after, err
	}
	return p.Store.Change(app, change)
}

func (p *process) Save(app string, record agent.Record) error {
	if err := p.act("save"); err != nil {
		return err
	}
	return p.Store.Save(app, record)
}

func (p *process) SetCurrent(app string, version int) error {
	if err := p.act("set current"); err != nil {
		return err
	}
	return p.Store.SetCurrent(app, version)
}

func (p *process) RemoveRelease(app string, version int) error {
	if err := p.act("remove release"); err != nil {
		return err
	}
	return p.Store.RemoveRelease(app, version)
}

func (p *process) Lock(app string, holder api.Lock) (agent.Unlocker, *api.Lock, error) {
	if err := p.act("lock"); err != nil {
		return nil, nil, err
	}
	lock, other, err := p.Store.Lock(app, holder)
	if lock != nil {
		p.held = append(p.held, lock)
	}
	return lock, other, err
}

func (p *process) Begin(app, request string) (agent.Journal, bool, error) {
	if err := p.act("open the journal"); err != nil {
		return nil, false, err
	}
	j, existed, err := p.Store.Begin(app, request)
	return journal{j, p}, existed, err
}

type journal struct {
	agent.Journal
	p *process
}

func (j journal) Write(entry agent.Entry) error {
	name := "journal"
	if entry.Mark != nil {
		name += " " + entry.Mark.Step + " " + entry.Mark.State
	}
	if err := j.p.act(name); err != nil {
		return err
	}
	return j.Journal.Write(entry)
}
