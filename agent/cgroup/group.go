package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Limits are what a group's processes may use together.
type Limits struct {
	Memory int64 `json:"memory,omitempty"` // bytes, swap included; 0: no limit
	// Shares are of a busy processor, beside 1024 for any other group; 0: as any other.
	Shares int64 `json:"shares,omitempty"`
	CPUs   int64 `json:"cpus,omitempty"` // billionths of a processor; 0: no limit
}

// Group is a control group with limits, in two storeys: its limits hold for all below, and
// processes are only in the groups below, as the unified hierarchy demands.
type Group struct {
	tree Tree
	name string
	oom  *oomCounter
}

// members is the group below in which the processes that Enter are.
const members = "daemon"

// period is the time in which the share of a processor is counted out, in microseconds.
const period = 100_000

// Make makes a group at the root of the tree, after what a former one of the name has left
// is cleared. Failing leaves nothing.
func (t Tree) Make(name string, limits Limits) (*Group, error) {
	if err := t.Clear(name); err != nil {
		return nil, err
	}
	g := &Group{tree: t, name: name}
	if err := g.fill(limits); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

func (g *Group) fill(limits Limits) error {
	if g.tree.Unified {
		if err := write(g.tree.Memory, "cgroup.subtree_control", "+memory +cpu"); err != nil {
			return err
		}
	}
	for _, dir := range g.tree.limiting() {
		if err := os.MkdirAll(filepath.Join(dir, g.name), 0o755); err != nil {
			return fmt.Errorf("make a control group: %w", err)
		}
	}
	if err := g.limit(limits); err != nil {
		return err
	}
	for _, dir := range g.tree.limiting() {
		if err := os.MkdirAll(filepath.Join(dir, g.name, members), 0o755); err != nil {
			return fmt.Errorf("make a control group: %w", err)
		}
	}
	var err error
	g.oom, err = g.count()
	return err
}

// limit writes the limits.
func (g *Group) limit(limits Limits) error {
	memory, cpu := filepath.Join(g.tree.Memory, g.name), filepath.Join(g.tree.CPU, g.name)
	for _, one := range g.tree.settings(limits) {
		dir := cpu
		if strings.HasPrefix(one.file, "memory.") {
			dir = memory
		}
		if _, err := os.Stat(filepath.Join(dir, one.file)); one.maybe && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := write(dir, one.file, one.value); err != nil {
			return err
		}
	}
	return nil
}

// setting is a file of a group. One that may be missing is of a kernel that counts swap.
type setting struct {
	file, value string
	maybe       bool
}

// settings are the limits in the words of the tree.
func (t Tree) settings(limits Limits) (all []setting) {
	bytes := strconv.FormatInt(limits.Memory, 10)
	quota := strconv.FormatInt(max(limits.CPUs*period/1e9, 1000), 10) // the kernel's least
	switch {
	case limits.Memory > 0 && t.Unified:
		all = append(all, setting{"memory.max", bytes, false}, setting{"memory.swap.max", "0", true})
	case limits.Memory > 0:
		all = append(all, setting{"memory.limit_in_bytes", bytes, false}, setting{"memory.memsw.limit_in_bytes", bytes, true})
	}
	switch {
	case limits.Shares > 0 && t.Unified: // there anybody else has 100
		all = append(all, setting{"cpu.weight", strconv.FormatInt(min(max(limits.Shares*100/1024, 1), 10_000), 10), false})
	case limits.Shares > 0:
		all = append(all, setting{"cpu.shares", strconv.FormatInt(limits.Shares, 10), false})
	}
	switch {
	case limits.CPUs > 0 && t.Unified:
		all = append(all, setting{"cpu.max", quota + " " + strconv.Itoa(period), false})
	case limits.CPUs > 0:
		all = append(all, setting{"cpu.cfs_period_us", strconv.Itoa(period), false}, setting{"cpu.cfs_quota_us", quota, false})
	}
	return all
}

// Path names the group as runc and its like do: from the root of each hierarchy.
func (g *Group) Path() string { return "/" + g.name }

// Enter puts a process into the group. Those that it starts from then on are born there.
func (g *Group) Enter(pid int) error {
	for _, dir := range g.tree.limiting() {
		if err := write(filepath.Join(dir, g.name, members), "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// Killed tells whether the kernel had to end one of the group's processes because all of
// them together wanted more memory than the limit. It is asked before Remove.
func (g *Group) Killed() bool {
	if !g.tree.Unified {
		return g.oom.happened()
	}
	text, err := os.ReadFile(filepath.Join(g.tree.Memory, g.name, "memory.events"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return count != "0"
		}
	}
	return false
}

// Remove ends what is still in the group, and takes the group away.
func (g *Group) Remove() error {
	g.oom.close()
	return g.tree.Clear(g.name)
}

// write writes a setting: the kernel reads it from one call.
func write(dir, file, value string) error {
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644); err != nil {
		return fmt.Errorf("set the control group's %s to %s: %w", file, value, err)
	}
	return nil
}

// Exists tells whether there is anything left of a group.
func (t Tree) Exists(name string) bool {
	return slices.ContainsFunc(t.All, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}
