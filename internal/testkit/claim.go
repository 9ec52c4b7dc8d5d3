package testkit

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// installedHost is the id of the host that `dokku-agent install` makes: the same in each run.
const installedHost = "/var/lib/dokku"

// InstalledHost claims the id of an installed host for the test: one run at a time has it, and what
// a run that was killed has left of it in the engine is removed. On a machine that is such a host
// the test fails, as its apps are no leftovers.
func InstalledHost(t testing.TB) {
	t.Helper()
	if _, err := os.Lstat(installedHost); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("this machine is a host itself, %s is there (%v): run the tests on another", installedHost, err)
	}
	engine := Engine(t)
	claim(t, installedHost, syscall.LOCK_EX)
	forgetHost(t, engine, installedHost)
}

// embeddedHost claims the id of a host of Serve, which is its folder, and removes what the hosts of
// killed runs have left in the engine: the kernel let go of their claims.
func embeddedHost(t testing.TB, engine *client.Client, root string) {
	t.Helper()
	path := claim(t, root, syscall.LOCK_SH) // a test may serve one folder twice
	t.Cleanup(func() { _ = os.Remove(path) })
	claims, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	must(t, "list the claims", err)
	for _, path := range claims {
		id, err := url.PathUnescape(filepath.Base(path))
		must(t, "read the name of a claim", err)
		if id == installedHost {
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			continue // its test has just ended
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			forgetHost(t, engine, id)
			_ = os.Remove(path)
		}
		_ = file.Close()
	}
}

// claim locks the file of a host's id until the test ends.
func claim(t testing.TB, id string, how int) (path string) {
	t.Helper()
	dir := filepath.Join(cacheDir(t), "hosts")
	must(t, "make the folder of claims", os.MkdirAll(dir, 0o755))
	path = filepath.Join(dir, url.PathEscape(id))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	must(t, "open the claim of "+id, err)
	t.Cleanup(func() { _ = file.Close() })
	must(t, "claim "+id, syscall.Flock(int(file.Fd()), how))
	return path
}

// forgetHost removes the containers of a host and the names of its apps' images.
func forgetHost(t testing.TB, engine *client.Client, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	removed, err := removeLabelled(ctx, engine, HostLabel+"="+id)
	must(t, "remove what "+id+" has left", err)
	for _, container := range removed {
		if app := container.Labels[appLabel]; app != "" {
			must(t, "forget the images of "+app, forgetImages(ctx, engine, app))
		}
	}
}
