package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	v1Mounts = `24 1 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
26 24 0:24 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
27 24 0:25 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
28 24 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	partMounts = "26 24 0:24 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n25 24 0:23 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
)

// TestParse: which hierarchy has the limits.
func TestParse(t *testing.T) {
	dir := t.TempDir()
	unified := "24 1 0:22 / " + dir + " rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	offer := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, mounts, offers string
		want                 Tree
		fails                string
	}{
		{"v1", v1Mounts, "", Tree{Memory: "/sys/fs/cgroup/memory", CPU: "/sys/fs/cgroup/cpu,cpuacct", All: []string{
			"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"}}, ""},
		{"v2", unified, "cpuset cpu io memory pids\n", Tree{Memory: dir, CPU: dir, Unified: true, All: []string{dir}}, ""},
		{"v2 without memory", unified, "cpu io pids\n", Tree{}, "for memory in " + dir},
		{"none", "24 1 0:22 / / rw - ext4 /dev/sda rw\n", "", Tree{}, "no control groups for memory and cpu"},
		{"in a container", partMounts, "", Tree{}, "no control groups for memory and cpu"},
		{"half of v1", strings.ReplaceAll(v1Mounts, "rw,memory", "rw,blkio"), "", Tree{}, "no control groups for memory and cpu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			offer(test.offers)
			tree, err := parse(test.mounts)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("%+v %v", tree, err)
				}
				return
			}
			if diff := cmp.Diff(test.want, tree); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

// TestFill: what is written where, in both forms. The folders are plain ones.
func TestFill(t *testing.T) {
	limits := Limits{Memory: 512 << 20, Shares: 256, CPUs: 1_500_000_000}
	for _, test := range []struct {
		name string
		tree func(dir string) Tree
		want map[string]string
	}{
		{"v2", func(dir string) Tree { return Tree{Memory: dir, CPU: dir, Unified: true, All: []string{dir}} }, map[string]string{
			"cgroup.subtree_control":              "+memory +cpu",
			"dokku-push-test/memory.max":          "536870912",
			"dokku-push-test/memory.swap.max":     "0",
			"dokku-push-test/cpu.weight":          "25",
			"dokku-push-test/cpu.max":             "150000 100000",
			"dokku-push-test/daemon/cgroup.procs": "4711",
		}},
		{"v1", func(dir string) Tree {
			return Tree{Memory: filepath.Join(dir, "memory"), CPU: filepath.Join(dir, "cpu"), All: []string{filepath.Join(dir, "memory"), filepath.Join(dir, "cpu")}}
		}, map[string]string{
			"memory/dokku-push-test/memory.limit_in_bytes":       "536870912",
			"memory/dokku-push-test/memory.memsw.limit_in_bytes": "536870912",
			"cpu/dokku-push-test/cpu.shares":                     "256",
			"cpu/dokku-push-test/cpu.cfs_period_us":              "100000",
			"cpu/dokku-push-test/cpu.cfs_quota_us":               "150000",
			"memory/dokku-push-test/daemon/cgroup.procs":         "4711",
			"cpu/dokku-push-test/daemon/cgroup.procs":            "4711",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			g := &Group{tree: test.tree(dir), name: "dokku-push-test"}
			for _, place := range g.tree.limiting() {
				must(t, os.MkdirAll(filepath.Join(place, g.name, members), 0o755))
			}
			for _, file := range []string{"memory.swap.max", "memory.memsw.limit_in_bytes"} { // the kernel counts swap
				must(t, os.WriteFile(filepath.Join(g.tree.Memory, g.name, file), nil, 0o644))
			}
			if g.tree.Unified {
				must(t, g.fill(limits))
			} else {
				must(t, g.limit(limits)) // counting takes a real kernel
			}
			must(t, g.Enter(4711))
			for file, want := range test.want {
				if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(text) != want {
					t.Errorf("%s is %q, want %q (%v)", file, text, want, err)
				}
			}
			if !g.tree.Unified {
				return
			}
			for text, want := range map[string]bool{"low 0\noom 1\noom_kill 0\n": false, "low 0\noom 1\noom_kill 2\noom_group_kill 0\n": true} {
				must(t, os.WriteFile(filepath.Join(dir, g.name, "memory.events"), []byte(text), 0o644))
				if g.Killed() != want {
					t.Errorf("of %q it says %v", text, !want)
				}
			}
		})
	}
}

// TestOthers: nothing but a group of our own is cleared.
func TestOthers(t *testing.T) {
	tree := Tree{All: []string{t.TempDir()}}
	for _, name := range []string{"", ".", "docker", "../dokku-push-x", "dokku-push-a/b", "system.slice"} {
		if err := tree.Clear(name); err == nil || !strings.Contains(err.Error(), "none of ours") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestGroup holds real processes of this machine: one that eats more than the limit is
// killed and that is told, one that does not lives, and Remove ends it.
func TestGroup(t *testing.T) {
	tree, err := Find()
	must(t, err)
	name := "dokku-push-test-" + strconv.Itoa(os.Getpid())
	t.Cleanup(func() {
		if err := tree.Clear(name); err != nil {
			t.Error(err)
		}
	})
	g, err := tree.Make(name, Limits{Memory: 32 << 20, Shares: 128, CPUs: 1e9})
	must(t, err)
	run := func(command string) (*exec.Cmd, error) {
		shell := exec.Command("/bin/sh", "-c", "read go; "+command)
		in, err := shell.StdinPipe()
		must(t, err)
		must(t, shell.Start())
		must(t, g.Enter(shell.Process.Pid))
		_, err = in.Write([]byte("now\n"))
		must(t, err)
		return shell, err
	}
	small, _ := run("head -c 1000000 /dev/zero | tail -c 1 >/dev/null")
	must(t, small.Wait())
	if g.Killed() {
		t.Error("nothing ran out of memory yet")
	}
	eater, _ := run("exec dd if=/dev/zero of=/dev/null bs=128M count=1")
	if err := eater.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("who eats four times the limit ended with %v", err)
	}
	if !g.Killed() {
		t.Error("that it was killed is not told")
	}
	sleeper, _ := run("exec sleep 100")
	_, err = tree.Make(name, Limits{Memory: 32 << 20}) // what a former process of ours left behind
	must(t, err)
	if err := sleeper.Wait(); err == nil || sleeper.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("what was left in the group ended with %v", err)
	}
	must(t, g.Remove())
	for begun := time.Now(); tree.Exists(name); time.Sleep(pause) {
		if time.Since(begun) > longest {
			t.Fatal("the group is still there")
		}
	}
	if _, err := os.Stat(filepath.Join(tree.Memory, name)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
