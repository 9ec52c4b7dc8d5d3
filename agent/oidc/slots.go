package oidc

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// slots is how many may be at the desk at once: anybody can knock, and each is a process.
const slots = 16

// Enter takes a place at the desk, which the kernel gives back with the process.
func (d *Desk) Enter() (leave func(), err error) {
	if err := atomicfile.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, err
	}
	for n := range slots {
		file, err := os.OpenFile(filepath.Join(d.Dir, fmt.Sprintf("slot-%d", n)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("enter: %w", err)
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return func() { _ = file.Close() }, nil // nothing was written
		}
		_ = file.Close()
	}
	return nil, api.Errorf(api.Locked, op, "too many ask at once").WithHint("try again")
}
