// Package testkit gives tests the real parts: an engine, base images, both
// programs, a whole embedded host, a registry, an sshd. It is for tests alone and
// asserts nothing about the project; what it cannot provide fails the test, for a
// test that CI counts on may not skip.
//
// Everything that a test starts here is ended at its end, by process id or by the
// name it was given. Base images and their tars stay, in the engine under
// dokku-push-test/ and in the user's cache folder, for the next run.
package testkit

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Root is the top folder of this project's checkout.
func Root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		// Built with -trimpath: tests run in their package's folder all the same.
		dir, err := os.Getwd()
		must(t, "find the project's folder", err)
		for ; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return dir
			}
			if dir == filepath.Dir(dir) {
				t.Fatal("no go.mod above the test's folder")
			}
		}
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// FreePort is a TCP port of 127.0.0.1 that nothing listens on, and that no other test draws
// before this one ends: packages are tested at the same time. Port numbers are drawn below
// the kernel's ephemeral range, so that no outgoing connection takes one before its user
// listens.
func FreePort(t testing.TB) int {
	t.Helper()
	drawn, err := os.OpenFile(filepath.Join(cacheDir(t), "ports.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, "open the file of drawn ports", err)
	t.Cleanup(func() { _ = drawn.Close() })
	for range 100 {
		var draw [2]byte
		_, err := rand.Read(draw[:])
		must(t, "draw a port", err)
		port := 20000 + (int(draw[0])<<8|int(draw[1]))%12000
		// A lock of the file's byte with that number, by this open file: it ends with it.
		mine := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: int64(port), Len: 1}
		if unix.FcntlFlock(drawn.Fd(), unix.F_OFD_SETLK, &mine) != nil {
			continue // another test's
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err == nil {
			must(t, "close the port", listener.Close())
			return port
		}
	}
	t.Fatal("no free port found")
	return 0
}

// AppName makes an app name of its own out of base: container and image names are
// the engine's, which other tests use at the same time.
func AppName(t testing.TB, base string) string {
	t.Helper()
	var draw [4]byte
	_, err := rand.Read(draw[:])
	must(t, "draw a name", err)
	return base + "-" + hex.EncodeToString(draw[:])
}

// cacheDir is where base tars and binaries outlive a run.
func cacheDir(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	must(t, "find the cache folder", err)
	dir := filepath.Join(base, "dokku-push-test")
	must(t, "make the cache folder", os.MkdirAll(dir, 0o755))
	return dir
}

// lock holds one lock of the cache folder until unlock: packages are tested by
// processes of their own, at the same time.
func lock(t testing.TB, name string) (unlock func()) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(cacheDir(t), name+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	must(t, "open the lock", err)
	must(t, "lock "+name, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	return func() { _ = file.Close() }
}

func must(t testing.TB, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}
