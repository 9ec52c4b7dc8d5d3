package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// scratch is in the names of folders that a command works in. They begin with a dot: no
// walk and no list reads them.
const scratch = ".plugin-work-"

// What a work folder holds beside what is made in it.
const (
	noteFile     = "note"   // whose work it is: "install NAME" or "update NAME"
	formerFolder = "former" // the version that was in the plugin's place
)

// workFolder makes such a folder in the same file system as the plugins.
func (m *Manager) workFolder() (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(m.Path, "available"), scratch)
	if err != nil {
		return "", fmt.Errorf("make a folder to work in: %w", err)
	}
	return dir, nil
}

// move puts something in its place, or out of it, and notes it before.
func move(work, what, name, from, to string) error {
	if err := note(work, what, name); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// note writes down what sweep has to undo if this process is killed from now on.
func note(work, what, name string) error {
	return atomicfile.WriteFile(filepath.Join(work, noteFile), []byte(what+" "+name+"\n"), 0o644)
}

// sweep undoes what commands that were killed have left: a plugin whose first install
// trigger did not end goes, and one that was being updated comes back as it was.
func (m *Manager) sweep() error {
	left, err := filepath.Glob(filepath.Join(m.Path, "available", scratch+"*"))
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	var failures []error
	for _, work := range left {
		if err := m.undo(work); err != nil {
			failures = append(failures, fmt.Errorf("undo what was cut off: %w", err))
			continue
		}
		failures = append(failures, os.RemoveAll(work))
	}
	return errors.Join(failures...)
}

func (m *Manager) undo(work string) error {
	text, err := os.ReadFile(filepath.Join(work, noteFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was put in its place
	}
	if err != nil {
		return err
	}
	what, name, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if err := checkName("undo", name); err != nil {
		return err
	}
	former := filepath.Join(work, formerFolder)
	switch _, err := os.Lstat(former); {
	case what == "install" && !m.isEnabled(name):
		m.warn("Plugin %s was not installed to the end: it is removed", name)
		return os.RemoveAll(m.available(name))
	case what == "update" && err == nil:
		m.warn("Plugin %s was not updated to the end: its former version is back", name)
		return errors.Join(os.RemoveAll(m.available(name)), os.Rename(former, m.available(name)))
	}
	return nil
}
