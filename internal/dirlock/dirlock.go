// Package dirlock locks a folder against other processes, so that of several that read,
// change and write what is in it each sees what the one before wrote. The lock leaves no
// file behind, and the kernel drops it with the process.
package dirlock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// pause is between two tries for a lock that another has.
const pause = 10 * time.Millisecond

// Lock waits until the folder is nobody else's, or ctx ends; waiting, which may be nil,
// is called once when it is. The lock is given back by release.
func Lock(ctx context.Context, dir string, waiting func()) (release func(), err error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock a folder: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // nothing was written
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("wait for the lock of %s: %w", dir, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}
