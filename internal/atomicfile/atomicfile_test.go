package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// describe says mode and owner of a file.
func describe(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
}

func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != len(names) {
		t.Errorf("%s holds %v, want %v", dir, entries, names)
	}
}

func TestWriteAndRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "two", ""} {
		must(t, WriteFile(path, []byte(text), 0o646))
		if read(t, path) != text {
			t.Errorf("it holds %q", read(t, path))
		}
	}
	only(t, dir, "file")
	if err := WriteFile(filepath.Join(dir, "no", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("writing into no folder gave %v", err)
	}
	if err := WriteFile(dir, nil, 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	must(t, Remove(path))
	must(t, Remove(path))
	only(t, dir)
}

// TestOwner needs root, as CI and the host have it: who is not root changes no owner.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	dir := t.TempDir()
	must(t, os.Chown(dir, 1234, 1235))
	path := filepath.Join(dir, "file")
	must(t, WriteFile(path, []byte("x"), 0o646))
	if got := describe(t, path); got != "-rw-r--rw- 1234:1235" {
		t.Errorf("a new file is %s", got)
	}
	must(t, os.Chown(path, 4321, 4322))
	must(t, WriteFile(path, []byte("y"), 0o600))
	if got := describe(t, path); got != "-rw------- 4321:4322" {
		t.Errorf("a replaced file is %s", got)
	}
	must(t, MkdirAll(filepath.Join(dir, "a", "b"), 0o757))
	for _, folder := range []string{"a", "a/b"} {
		if got := describe(t, filepath.Join(dir, folder)); got != "drwxr-xrwx 1234:1235" {
			t.Errorf("the new folder %s is %s", folder, got)
		}
	}
	must(t, MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	if err := MkdirAll(filepath.Join(path, "c"), 0o755); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a folder below a file gave %v", err)
	}
	if err := MkdirAll(path, 0o755); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a folder in place of a file gave %v", err)
	}
}

// TestCreateFile: one of many wins, and nobody sees half a file.
func TestCreateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	failures := make([]error, 8)
	var wait sync.WaitGroup
	for n := range failures {
		wait.Go(func() { failures[n] = CreateFile(path, bytes.Repeat([]byte{byte('0' + n)}, 4096), 0o600) })
	}
	wait.Wait()
	winners := 0
	for n, err := range failures {
		if err == nil {
			winners++
			if want := bytes.Repeat([]byte{byte('0' + n)}, 4096); read(t, path) != string(want) {
				t.Errorf("%d has won and it holds %.10q", n, read(t, path))
			}
		} else if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%d: %v", n, err)
		}
	}
	if winners != 1 {
		t.Errorf("%d have won", winners)
	}
	only(t, dir, "file")
}

// TestFullDisk: a write that finds no room leaves the former file and nothing else.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	defer func() { must(t, syscall.Unmount(dir, 0)) }()
	path := filepath.Join(dir, "file")
	must(t, WriteFile(path, []byte("former"), 0o600))
	for name, write := range map[string]func() error{
		"replace": func() error { return WriteFile(path, make([]byte, 1<<20), 0o600) },
		"create":  func() error { return CreateFile(filepath.Join(dir, "other"), make([]byte, 1<<20), 0o600) },
	} {
		if err := write(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: got %v", name, err)
		}
		if read(t, path) != "former" {
			t.Errorf("%s: it holds %.10q", name, read(t, path))
		}
		only(t, dir, "file")
	}
	must(t, WriteFile(path, []byte("next"), 0o600))
}
