package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// Outcome is what became of a file.
type Outcome string

// The outcomes.
const (
	Written  Outcome = "wrote"
	Replaced Outcome = "replaced"
	Kept     Outcome = "kept" // it was there, and nobody said to replace it
)

// Write writes a file where there is none; with force it replaces one. Folders that are
// missing are made. A folder on the way that is a link is refused: what is written stays
// in the tree.
func (f File) Write(force bool) (Outcome, error) {
	path, mode := filepath.Join(f.Dir, filepath.FromSlash(f.Name)), f.Mode
	if mode == 0 {
		mode = 0o644
	}
	if err := f.folders(); err != nil {
		return "", err
	}
	_, err := os.Lstat(path)
	exists := err == nil
	switch {
	case exists && !force:
		return Kept, nil
	case exists:
		if err := atomicfile.WriteFile(path, []byte(f.Text), mode); err != nil {
			return "", fmt.Errorf("write %s: %w", f.Name, err)
		}
		return Replaced, nil
	}
	err = atomicfile.CreateFile(path, []byte(f.Text), mode)
	if errors.Is(err, fs.ErrExist) {
		return Kept, nil // somebody else was faster
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", f.Name, err)
	}
	return Written, nil
}

// folders makes the folders of a file.
func (f File) folders() error {
	relative := filepath.Dir(filepath.FromSlash(f.Name))
	if relative == "." {
		return nil
	}
	path := f.Dir
	for _, part := range strings.Split(relative, string(filepath.Separator)) {
		path = filepath.Join(path, part)
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			return api.Errorf(api.Usage, "write "+f.Name, "%s is no folder", path).WithHint("move it away, or say --ci none")
		}
	}
	return atomicfile.MkdirAll(path, 0o755)
}
