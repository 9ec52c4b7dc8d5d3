package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func mark(step string) agent.Entry {
	return agent.Entry{Time: time.Unix(1, 0).UTC(), Mark: &agent.Mark{Step: step, State: "begin", Undo: json.RawMessage(`{"a":1}`)}}
}

// begin opens a journal that the test closes.
func begin(t *testing.T, s *Store, request string, existed bool) agent.Journal {
	t.Helper()
	j, was, err := s.Begin("app", request)
	must(t, err)
	if was != existed {
		t.Errorf("%s existed: %t", request, was)
	}
	t.Cleanup(func() { must(t, j.Close()) })
	return j
}

// steps are the marks of a request from an offset on, with their numbers.
func steps(t *testing.T, s *Store, request string, offset int) []string {
	t.Helper()
	entries, err := s.ReadJournal("app", request, offset)
	must(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, fmt.Sprintf("%d %s", entry.Seq, entry.Mark.Step))
	}
	return found
}

func TestJournal(t *testing.T) {
	s := newStore(t)
	if _, err := s.ReadJournal("app", "request-1", 0); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("no journal gave %v", err)
	}
	j := begin(t, s, "request-1", false)
	var stat syscall.Stat_t
	must(t, syscall.Stat(s.Places.Journal("app", "request-1"), &stat))
	if stat.Blocks*512 < room || stat.Size != 0 || stat.Mode&0o777 != 0o600 {
		t.Errorf("%d bytes reserved, %d used, mode %o", stat.Blocks*512, stat.Size, stat.Mode)
	}
	must(t, j.Write(mark("a")))
	must(t, j.Note(mark("b")))
	must(t, j.Write(mark("c")))
	same(t, "all", []string{"1 a", "2 b", "3 c"}, steps(t, s, "request-1", 0))
	same(t, "from 2 on", []string{"3 c"}, steps(t, s, "request-1", 2))
	same(t, "from 9 on", []string(nil), steps(t, s, "request-1", 9))
	must(t, j.Close())
	must(t, syscall.Stat(s.Places.Journal("app", "request-1"), &stat))
	if stat.Blocks*512 > 64<<10 {
		t.Errorf("%d bytes are still reserved", stat.Blocks*512)
	}
	again := begin(t, s, "request-1", true)
	must(t, again.Write(mark("d")))
	same(t, "on and on", []string{"4 d"}, steps(t, s, "request-1", 3))
	for _, request := range []string{"", "../x", "a.b", "a/b", "a\nb"} {
		if _, _, err := s.Begin("app", request); err == nil {
			t.Errorf("the request %q has a journal", request)
		}
	}
}

// TestTornJournal: what was being written in a crash is read by nobody and cut off by
// the next to write, not by one who only opens.
func TestTornJournal(t *testing.T) {
	for name, torn := range map[string]string{"half a line": `{"seq":3,"ti`, "zeros": strings.Repeat("\x00", 100), "half a line and its end": "{\"seq\":3,\n",
		"zeros, then whole lines": strings.Repeat("\x00", 100) + "ep\"}}\n{\"seq\":9,\"mark\":{\"step\":\"z\"}}\n{\"seq\":10,\"mark\":{\"step\":\"z\"}}\n"} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			j := begin(t, s, "request", false)
			must(t, j.Write(mark("a")))
			must(t, j.Write(mark("b")))
			must(t, j.Close())
			path := s.Places.Journal("app", "request")
			whole, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, append(bytes.Clone(whole), torn...), 0o600))
			same(t, "read", []string{"1 a", "2 b"}, steps(t, s, "request", 0))
			same(t, "read from its end", []string(nil), steps(t, s, "request", 2))
			again := begin(t, s, "request", true)
			if text, _ := os.ReadFile(path); len(text) != len(whole)+len(torn) {
				t.Error("opening has changed it")
			}
			must(t, again.Write(mark("c")))
			same(t, "written again", []string{"1 a", "2 b", "3 c"}, steps(t, s, "request", 0))
			text, err := os.ReadFile(path)
			must(t, err)
			if !bytes.HasPrefix(text, whole) || bytes.Count(text, []byte("\n")) != 3 {
				t.Errorf("it holds %s", text)
			}
		})
	}
	s := newStore(t)
	j := begin(t, s, "request", false)
	must(t, j.Write(mark("a")))
	must(t, os.WriteFile(s.Places.Journal("app", "request"), []byte("{}\nrubbish\n{}\n"), 0o600))
	if entries, err := s.ReadJournal("app", "request", 0); err == nil || entries != nil {
		t.Errorf("a damaged journal gave %v, %v", entries, err)
	}
}

// TestKilledWriter kills a process again and again while it writes.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("STATE_TEST_JOURNAL"); dir != "" {
		j, _, err := storeIn(dir).Begin("app", "request")
		must(t, err)
		big := mark(strings.Repeat("x", 20000))
		for n := 0; ; n++ {
			must(t, j.Note(big))
			must(t, j.Write(mark("small")))
			if n == 3 {
				fmt.Println("writing")
			}
		}
	}
	s := newStore(t)
	last := 0
	for round := range 8 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
		child.Env = append(os.Environ(), "STATE_TEST_JOURNAL="+filepath.Dir(s.Places.Root))
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		_, err = out.Read(make([]byte, 100))
		must(t, err)
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		must(t, child.Process.Kill())
		_ = child.Wait() // it was killed
		entries, err := s.ReadJournal("app", "request", 0)
		must(t, err)
		for n, entry := range entries {
			if entry.Seq != int64(n+1) {
				t.Fatalf("round %d: entry %d has the number %d", round, n+1, entry.Seq)
			}
		}
		if len(entries) < last+8 {
			t.Fatalf("round %d: %d entries after %d", round, len(entries), last)
		}
		last = len(entries)
	}
}

// TestFullDisk: a deploy that has no room for its journal is told before it begins.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	s := newStore(t)
	must(t, syscall.Mount("tmpfs", s.Places.Lib, "tmpfs", 0, "size=512k"))
	defer func() { must(t, syscall.Unmount(s.Places.Lib, 0)) }()
	_, _, err := s.Begin("app", "request")
	refusal, ok := errors.AsType[*api.Error](err)
	if !ok || refusal.Code != api.Precondition || !strings.Contains(refusal.Message, s.Places.Lib) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	requests, err := s.Requests("app")
	must(t, err)
	same(t, "requests", []string(nil), requests)

	must(t, syscall.Mount("tmpfs", s.Places.Lib, "tmpfs", syscall.MS_REMOUNT, "size=1280k"))
	j := begin(t, s, "request", false)
	filler, err := os.Create(filepath.Join(s.Places.Lib, "filler"))
	must(t, err)
	_, err = filler.Write(make([]byte, 4<<20))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill up: %v", err)
	}
	must(t, filler.Close())
	long := mark(strings.Repeat("x", 10000))
	for n := 0; err == nil || n < 10; n++ { // who only prints does not get all of it
		if err = j.Note(long); n > 1000 {
			t.Fatal("the disk is not full")
		}
	}
	for range 20 { // what was reserved is there
		must(t, j.Write(long))
	}
	path := filepath.Join(s.Places.Lib, "needed by an undo")
	if err := os.WriteFile(path, make([]byte, 100<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("there is room: %v", err)
	}
	must(t, j.Yield())
	for err = nil; err == nil; err = j.Note(long) { // who only prints does not take it back
	}
	must(t, os.WriteFile(path, make([]byte, 100<<10), 0o600))
	filler, err = os.OpenFile(filler.Name(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	if _, err := filler.Write(make([]byte, 4<<20)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk does not fill up again: %v", err)
	}
	must(t, filler.Close())
	for range 20 {
		must(t, j.Write(mark("c")))
	}
	must(t, j.Close())
}

// TestTidy: what a journal has reserved is given back when its process was killed, be it all of
// it or what an undo keeps.
func TestTidy(t *testing.T) {
	for name, undone := range map[string]bool{"killed": false, "killed while it undid": true} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			j, _, err := s.Begin("app", "request")
			must(t, err)
			must(t, j.Write(mark("a")))
			if undone {
				must(t, j.Yield())
			}
			must(t, j.(*journal).file.Close()) // as the kernel closes it
			taken := func() int64 {
				var stat syscall.Stat_t
				must(t, syscall.Stat(s.Places.Journal("app", "request"), &stat))
				return stat.Blocks*512 - stat.Size
			}
			if before := taken(); before < lastRoom {
				t.Fatalf("only %d bytes are reserved", before)
			}
			must(t, s.Tidy("app", "request"))
			if after := taken(); after > lastRoom/2 {
				t.Errorf("%d bytes stay reserved", after)
			}
		})
	}
}

// TestLockOnFullDisk: the lock of a process that was killed can be had when the disk is full,
// or nobody could recover what it has left.
func TestLockOnFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	s := newStore(t)
	must(t, syscall.Mount("tmpfs", s.Places.Lib, "tmpfs", 0, "size=512k"))
	defer func() { must(t, syscall.Unmount(s.Places.Lib, syscall.MNT_DETACH)) }()
	dead := exec.Command("true")
	must(t, dead.Run())
	text, err := json.Marshal(api.Lock{Key: "dead", PID: dead.Process.Pid})
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(s.Places.DeployLock("app")), 0o755))
	must(t, os.WriteFile(s.Places.DeployLock("app"), nil, 0o600))
	must(t, os.WriteFile(s.Places.DeployLock("app")+".holder", text, 0o644))
	if err := os.WriteFile(filepath.Join(s.Places.Lib, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill up: %v", err)
	}
	me := api.Lock{Key: "me", PID: os.Getpid()}
	lock, other, err := s.Lock("app", me)
	if err != nil || lock == nil {
		t.Fatalf("not locked: %v, %v", other, err)
	}
	got, err := s.Holder("app")
	must(t, err)
	same(t, "holder", &me, got)
	must(t, lock.Unlock())
}

func TestRequests(t *testing.T) {
	s := newStore(t)
	for _, request := range []string{"zzz", "mmm", "aaa"} {
		must(t, begin(t, s, request, false).Write(mark("x")))
		time.Sleep(time.Millisecond)
	}
	must(t, os.WriteFile(s.Places.Kept("app", "mmm"), nil, 0o600))
	must(t, os.WriteFile(s.Places.Journal("app", "mmm")+".cancel", nil, 0o600))
	past := time.Unix(1, 0)
	must(t, os.Chtimes(s.Places.Journal("app", "aaa"), past, past)) // the clock says nothing
	requests, err := s.Requests("app")
	must(t, err)
	same(t, "requests", []string{"zzz", "mmm", "aaa"}, requests)
	must(t, s.RemoveJournal("app", "mmm"))
	must(t, s.RemoveJournal("app", "mmm"))
	begin(t, s, "mmm", false)
	must(t, os.WriteFile(s.Places.Journal("app", "foreign"), nil, 0o600))
	requests, err = s.Requests("app")
	must(t, err)
	same(t, "requests", []string{"foreign", "zzz", "aaa", "mmm"}, requests)
	if _, err := os.Stat(s.Places.Kept("app", "mmm")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was kept is still there: %v", err)
	}
	// Of many that begin the same request one has begun it.
	var wait sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for range 8 {
		wait.Go(func() {
			j, existed, err := s.Begin("app", "race")
			if err != nil {
				t.Error(err)
				return
			}
			defer j.Close()
			mu.Lock()
			defer mu.Unlock()
			if !existed {
				first++
			}
		})
	}
	wait.Wait()
	if first != 1 {
		t.Errorf("%d have begun it", first)
	}
}

func TestReleases(t *testing.T) {
	s := newStore(t)
	none, err := s.Releases("app")
	must(t, err)
	current, err := s.Current("app")
	must(t, err)
	if none != nil || current != 0 {
		t.Errorf("at first there is %v, %d", none, current)
	}
	var want []agent.Record
	for _, version := range []int{1, 2, 10} {
		record := agent.Record{Release: api.Release{Version: version, Request: "r", Run: "sha256:1", Started: time.Unix(5, 0).UTC()},
			Settings: full, Document: api.ReleaseDocument{Builder: "static", Config: map[string]string{"A": "1"}}}
		must(t, s.Save("app", record))
		must(t, s.Save("app", record))
		want = append(want, record)
	}
	got, err := s.Releases("app")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	other := want[0]
	other.Run = "sha256:2"
	if err := s.Save("app", other); !errors.Is(err, fs.ErrExist) {
		t.Errorf("changing a record gave %v", err)
	}
	if err := s.Save("app", agent.Record{}); err == nil {
		t.Error("a record without a version was saved")
	}
	if info, err := os.Stat(s.Places.ReleaseRecord("app", 1)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	must(t, s.SetCurrent("app", 2))
	if err := s.SetCurrent("app", 3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a release that is not there became current: %v", err)
	}
	if err := s.RemoveRelease("app", 2); err == nil {
		t.Error("the current release was removed")
	}
	must(t, s.RemoveRelease("app", 1))
	must(t, s.RemoveRelease("app", 1))
	if current, err := s.Current("app"); current != 2 || err != nil {
		t.Errorf("current is %d, %v", current, err)
	}
	must(t, s.SetCurrent("app", 0))
	if got, err = s.Releases("app"); len(got) != 2 || err != nil {
		t.Errorf("left are %v, %v", got, err)
	}
}

func TestLock(t *testing.T) {
	s := newStore(t)
	me := api.Lock{Key: "laptop", PID: os.Getpid(), Request: "request", Since: time.Unix(7, 0).UTC()}
	holder := func(want *api.Lock) {
		t.Helper()
		got, err := s.Holder("app")
		must(t, err)
		same(t, "holder", want, got)
	}
	holder(nil)
	lock, other, err := s.Lock("app", me)
	must(t, err)
	if lock == nil || other != nil {
		t.Fatalf("a free lock is held by %v", other)
	}
	holder(&me)
	lock2, other, err := s.Lock("app", api.Lock{PID: 1})
	must(t, err)
	if lock2 != nil {
		t.Error("it was locked twice")
	}
	same(t, "who has it", &me, other)
	if info, err := os.Stat(s.Places.DeployLock("app") + ".holder"); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	must(t, lock.Unlock())
	must(t, lock.Unlock())
	holder(nil)

	// The name of somebody who is dead means nothing, whether the lock is free or not.
	dead := exec.Command("true")
	must(t, dead.Run())
	text, err := json.Marshal(api.Lock{Key: "dead", PID: dead.Process.Pid})
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(s.Places.DeployLock("app")), 0o755)) // the lock of no app has left nothing
	must(t, os.WriteFile(s.Places.DeployLock("app")+".holder", text, 0o644))
	holder(nil)
	file, err := tryLock(s.Places.DeployLock("app"), syscall.LOCK_EX)
	must(t, err)
	holder(&api.Lock{})
	if lock, other, err := s.Lock("app", me); lock != nil || other != nil || err != nil {
		t.Errorf("held by one who does not say: %v, %v, %v", lock, other, err)
	}
	must(t, file.Close())

	// An app that is destroyed under its lock leaves nothing.
	must(t, s.Create("app"))
	lock, _, err = s.Lock("app", me)
	must(t, err)
	must(t, s.Destroy("app"))
	must(t, lock.Unlock())
	for name := range tree(t, s) {
		if strings.Contains(name, "/app/") {
			t.Errorf("there still is %s", name)
		}
	}
}

// TestDestroyKeepsTheLock: nobody else gets the lock of an app while there is something of
// it, whoever waits for it meanwhile; and in the end nothing is left, of the lock neither.
func TestDestroyKeepsTheLock(t *testing.T) {
	s := newStore(t)
	me := api.Lock{Key: "me", PID: os.Getpid()}
	for range 10 {
		must(t, s.Create("app"))
		journal, _, err := s.Begin("app", "r")
		must(t, errors.Join(err, journal.Close()))
		for n := range 50 { // it takes a moment to remove
			must(t, os.WriteFile(s.Places.Journal("app", fmt.Sprint("r", n)), nil, 0o600))
		}
		lock, _, err := s.Lock("app", me)
		must(t, err)
		ended := make(chan error, 4)
		for range cap(ended) {
			go func() {
				for {
					other, _, err := s.Lock("app", me)
					switch {
					case err != nil:
						ended <- err
						return
					case other == nil:
						continue
					}
					for _, path := range []string{s.Places.App("app"), s.Places.AppData("app")} {
						if _, there := os.Lstat(path); there == nil {
							err = fmt.Errorf("%s is there, and the lock is free", path)
						}
					}
					ended <- errors.Join(err, other.Unlock())
					return
				}
			}()
		}
		must(t, s.Destroy("app"))
		must(t, lock.Unlock())
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for name := range tree(t, s) {
			if strings.Contains(name, "/app/") {
				t.Fatalf("there still is %s", name)
			}
		}
	}
}

// TestLockDiesWithItsProcess, and asking who holds it keeps nobody from taking it.
func TestLockDiesWithItsProcess(t *testing.T) {
	if dir := os.Getenv("STATE_TEST_LOCK"); dir != "" {
		_, other, err := storeIn(dir).Lock("app", api.Lock{Key: "child", PID: os.Getpid()})
		fmt.Println("locked", other, err)
		time.Sleep(time.Minute)
	}
	s := newStore(t)
	child := exec.Command(os.Args[0], "-test.run=^TestLockDiesWithItsProcess$")
	child.Env = append(os.Environ(), "STATE_TEST_LOCK="+filepath.Dir(s.Places.Root))
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	_, err = out.Read(make([]byte, 100))
	must(t, err)
	if holder, err := s.Holder("app"); err != nil || holder == nil || holder.Key != "child" {
		t.Errorf("held by %v, %v", holder, err)
	}
	must(t, child.Process.Kill())
	_ = child.Wait() // it was killed
	if holder, err := s.Holder("app"); err != nil || holder != nil {
		t.Errorf("held by the dead: %v, %v", holder, err)
	}
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if _, err := s.Holder("app"); err != nil {
						t.Error(err)
					}
					time.Sleep(200 * time.Microsecond)
				}
			}
		})
	}
	for range 20 {
		lock, other, err := s.Lock("app", api.Lock{Key: "me", PID: os.Getpid()})
		for begun := time.Now(); err == nil && lock == nil && other == nil && time.Since(begun) < time.Minute; { // who asks may be held up while it does
			lock, other, err = s.Lock("app", api.Lock{Key: "me", PID: os.Getpid()})
		}
		if err != nil || lock == nil {
			t.Errorf("not locked: %v, %v", other, err)
			continue
		}
		must(t, lock.Unlock())
	}
	close(done)
	asking.Wait()
}
