package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long Clear waits for those that it kills, and how often it looks.
const (
	longest = 10 * time.Second
	pause   = 10 * time.Millisecond
)

// nameForm is a group of our own at the root: nothing else is ever cleared.
var nameForm = regexp.MustCompile(`^dokku-push-[a-z0-9-]+$`)

// Clear kills what runs in a group and in those below it, in every hierarchy, and takes
// them away. A group that is not there is cleared.
func (t Tree) Clear(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("clear the control group %q: it is none of ours", name)
	}
	var err error
	for begun := time.Now(); time.Since(begun) < longest; time.Sleep(pause) {
		if !t.Exists(name) {
			return nil
		}
		err = nil
		for _, dir := range t.All {
			err = errors.Join(err, clearOne(filepath.Join(dir, name)))
		}
		if errors.Is(err, syscall.EROFS) {
			break // what ran in it is killed; another takes the folders away
		}
	}
	return fmt.Errorf("clear the control group %s: %w", name, err)
}

// clearOne kills and removes what it can of one hierarchy. A group with processes stays:
// they take a moment to end.
func clearOne(dir string) error {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	for n := len(groups) - 1; n >= 0; n-- { // those below first
		err = errors.Join(err, kill(groups[n]))
		if removed := os.Remove(groups[n]); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	return err
}

func kill(group string) error {
	text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return nil // it is gone
	}
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
