package dirlock

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	var count atomic.Int32 // the race detector knows nothing of folders
	var running sync.WaitGroup
	for range 20 {
		running.Go(func() {
			release, err := Lock(context.Background(), dir, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			now := count.Load()
			time.Sleep(time.Millisecond)
			count.Store(now + 1)
		})
	}
	running.Wait()
	if count.Load() != 20 {
		t.Errorf("counted %d, want 20", count.Load())
	}
}

func TestPatience(t *testing.T) {
	dir := t.TempDir()
	release, err := Lock(context.Background(), dir, func() { t.Error("it waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	told := 0
	if _, err := Lock(ctx, dir, func() { told++ }); !errors.Is(err, context.DeadlineExceeded) || told != 1 {
		t.Errorf("a second lock: %v, told %d times", err, told)
	}
	release()
	release, err = Lock(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := Lock(context.Background(), filepath.Join(dir, "nowhere"), nil); err == nil {
		t.Error("locked a folder that is not there")
	}
}
