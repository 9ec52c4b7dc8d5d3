package cgroup

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// oomCounter counts how often a group of a hierarchy of its own (v1) ran out of memory: its
// files tell that of each group for itself only, and a build step's group is gone with it.
// The unified hierarchy keeps the sum in a file.
type oomCounter struct {
	events  int // an eventfd, read without waiting
	control *os.File
}

func (g *Group) count() (*oomCounter, error) {
	if g.tree.Unified {
		return nil, nil
	}
	dir := filepath.Join(g.tree.Memory, g.name)
	events, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("count what runs out of memory: %w", err)
	}
	counter := &oomCounter{events: events}
	if counter.control, err = os.Open(filepath.Join(dir, "memory.oom_control")); err == nil {
		err = write(dir, "cgroup.event_control", fmt.Sprintf("%d %d", events, counter.control.Fd()))
	}
	if err != nil {
		counter.close()
		return nil, fmt.Errorf("count what runs out of memory: %w", err)
	}
	return counter, nil
}

// happened reads the count. Without an event there is nothing to read.
func (c *oomCounter) happened() bool {
	if c == nil {
		return false
	}
	var count [8]byte
	n, err := unix.Read(c.events, count[:])
	return err == nil && n == len(count) && binary.NativeEndian.Uint64(count[:]) > 0
}

func (c *oomCounter) close() {
	if c == nil {
		return
	}
	_ = unix.Close(c.events) // nothing was written
	if c.control != nil {
		_ = c.control.Close()
	}
}
