package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newInstaller installs into a folder of the test's own, for another user than root.
func newInstaller(t *testing.T) (*installer, *[]string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	var said []string
	i := &installer{ctx: context.Background(), uid: 12345, gid: 12346,
		places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib"), Logs: filepath.Join(dir, "logs")}}
	i.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	return i, &said
}

// owned is mode, owner and group of a path.
func owned(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprint(info.Mode(), " ", stat.Uid, ":", stat.Gid)
}

// private calls f on a thread that has an empty /etc of its own.
func private(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNS | syscall.CLONE_FS)
		if err == nil {
			err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount("tmpfs", "/etc", "tmpfs", 0, "size=1m")
		}
		if err != nil {
			t.Errorf("take /etc out of sight: %v", err)
			return
		}
		f(t)
	}()
	<-done
}

// TestRooted: the file is root's, has the content and the mode, whatever was there.
func TestRooted(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	i, said := newInstaller(t)
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	for name, before := range map[string]func(path string) error{
		"nothing":      func(string) error { return nil },
		"no folder":    func(path string) error { return os.Remove(filepath.Dir(path)) },
		"the same":     func(path string) error { return os.WriteFile(path, []byte("new\n"), 0o640) },
		"another text": func(path string) error { return os.WriteFile(path, []byte("old\n"), 0o644) },
		"another mode": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("new\n"), 0o600), os.Chmod(path, 0o666))
		},
		"another owner": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("new\n"), 0o644), os.Chmod(path, 0o644), os.Chown(path, 12345, 12346))
		},
		"a link": func(path string) error {
			return errors.Join(os.WriteFile(elsewhere, []byte("new\n"), 0o644), os.Symlink(elsewhere, path))
		},
		"another's link": func(path string) error {
			return errors.Join(os.WriteFile(elsewhere, []byte("theirs\n"), 0o644), os.Symlink(elsewhere, path), os.Lchown(path, 12345, 12346))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dir", "file")
			must(t, os.Mkdir(filepath.Dir(path), 0o755))
			must(t, before(path))
			*said, i.changed = nil, 0
			wrote, err := i.rooted(path, []byte("new\n"), 0o644)
			must(t, err)
			text, err := os.ReadFile(path)
			must(t, err)
			if got := owned(t, path); got != "-rw-r--r-- 0:0" || string(text) != "new\n" || !wrote || i.changed != 1 || len(*said) != 1 {
				t.Errorf("%s %q, wrote %t, said %q", got, text, wrote, *said)
			}
			if text, err := os.ReadFile(elsewhere); err == nil && string(text) != "new\n" && string(text) != "theirs\n" {
				t.Errorf("what the link led to is now %q", text)
			}
			_ = os.Remove(elsewhere)
			again, err := i.rooted(path, []byte("new\n"), 0o644)
			if err != nil || again || i.changed != 1 || len(*said) != 1 {
				t.Errorf("once more: wrote %t, said %q, %v", again, *said, err)
			}
		})
	}
}

// TestOurs: a file that somebody else wrote is theirs.
func TestOurs(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	i, _ := newInstaller(t)
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"# " + marker + "\n1\n", "# " + marker + "\n2\n"} {
		if wrote, err := i.ours(path, text, 0o644); err != nil || !wrote {
			t.Errorf("wrote %t, %v", wrote, err)
		}
	}
	must(t, os.WriteFile(path, []byte("theirs\n"), 0o644))
	_, err := i.ours(path, "# "+marker+"\n3\n", 0o644)
	if problem := api.AsError(err); err == nil || problem.Code != api.Configuration || !strings.Contains(problem.Message, path) || problem.Hint == "" {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs\n" {
		t.Errorf("it is now %q, %v", text, err)
	}
	for _, text := range []string{sudoersText, unitText} {
		if !strings.Contains(text, marker) {
			t.Errorf("it would not be known again:\n%s", text)
		}
	}
}

func TestFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	i, said := newInstaller(t)
	outside := t.TempDir()
	for name, test := range map[string]struct {
		before  func(path string) error
		refused string
		changed int
		want    string // of the path; empty: as it was
	}{
		"nothing":          {func(string) error { return nil }, "", 1, "drwxr-x--- 12345:12346"},
		"root's":           {func(path string) error { return os.Mkdir(path, 0o700) }, "", 1, "drwxr-x--- 12345:12346"},
		"dokku's":          {func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 12345, 1)) }, "", 0, "drwx------ 12345:1"},
		"another's":        {func(path string) error { return errors.Join(os.Mkdir(path, 0o755), os.Chown(path, 12399, 1)) }, "belongs to another user", 0, ""},
		"a file":           {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "is no folder", 0, ""},
		"a dangling link":  {func(path string) error { return os.Symlink(filepath.Join(outside, "none"), path) }, "make a folder", 0, ""},
		"another's link":   {func(path string) error { return errors.Join(os.Symlink(outside, path), os.Lchown(path, 12399, 1)) }, "is no folder", 0, ""},
		"dokku's link":     {func(path string) error { return errors.Join(os.Symlink(outside, path), os.Lchown(path, 12345, 1)) }, "is no folder", 0, ""},
		"nothing above it": {func(path string) error { return os.Remove(filepath.Dir(path)) }, "make a folder", 0, ""},
		"a file instead": {func(path string) error {
			return errors.Join(os.Remove(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600))
		}, "", 0, ""},
		"root's link of it": {func(path string) error { return os.Symlink(outside, path) }, "", 1, "Lrwxrwxrwx 0:0"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "parent", "folder")
			must(t, os.Mkdir(filepath.Dir(path), 0o755))
			must(t, test.before(path))
			must(t, os.Chown(outside, 0, 0))
			before := ""
			if _, err := os.Lstat(path); err == nil {
				before = owned(t, path)
			}
			*said, i.changed = nil, 0
			err := i.folder(path, 0o750)
			if name == "a file instead" {
				if err == nil {
					t.Error("a folder in a file")
				}
				return
			}
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) || i.changed != 0 {
					t.Errorf("got %v, said %q", err, *said)
				}
				if before != "" && owned(t, path) != before {
					t.Errorf("it is %s, was %s", owned(t, path), before)
				}
				if got := owned(t, outside); !strings.HasSuffix(got, " 0:0") {
					t.Errorf("what the link led to is now %s", got)
				}
				return
			}
			must(t, err)
			if got := owned(t, path); got != test.want || i.changed != test.changed {
				t.Errorf("%s, %d changes; want %s, %d", got, i.changed, test.want, test.changed)
			}
		})
	}
	if got := owned(t, outside); !strings.HasSuffix(got, " 0:0") && !strings.HasSuffix(got, " 12345:12346") {
		t.Errorf("the linked folder is %s", got)
	}
}

// TestFoldersAndFiles: everything belongs to the dokku user, and nothing is changed twice.
func TestFoldersAndFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	i, said := newInstaller(t)
	must(t, errors.Join(i.folders(), i.files()))
	modes := map[string]string{}
	base := filepath.Dir(i.places.Root)
	must(t, filepath.WalkDir(base, func(path string, _ fs.DirEntry, err error) error {
		if path != base {
			modes[strings.TrimPrefix(path, base+"/")] = owned(t, path)
		}
		return err
	}))
	folder, mine := "drwxr-xr-x 12345:12346", "12345:12346"
	want := map[string]string{"root": folder, "root/.ssh": "drwx------ " + mine, "root/.ssh/authorized_keys": "-rw------- " + mine, "root/.sshcommand": "-rw-r--r-- " + mine,
		"root/HOSTNAME": "-rw-r--r-- " + mine, "lib": folder, "lib/data": folder, "lib/data/agent": folder, "lib/data/agent/nginx.d": folder, "lib/config": folder,
		"lib/plugins": folder, "lib/plugins/available": folder, "lib/plugins/enabled": folder, "lib/core-plugins": folder, "lib/core-plugins/available": folder,
		"lib/core-plugins/enabled": folder, "logs": folder}
	if diff := cmp.Diff(want, modes); diff != "" || len(*said) != len(want) {
		t.Errorf("%d lines were said\n%s", len(*said), diff)
	}
	if text, err := os.ReadFile(filepath.Join(i.places.Root, ".sshcommand")); err != nil || string(text) != Link+"\n" {
		t.Errorf("the keys call %q, %v", text, err)
	}
	keys := filepath.Join(i.places.Root, ".ssh", "authorized_keys")
	must(t, os.WriteFile(keys, []byte("a key\n"), 0o600))
	*said, i.changed = nil, 0
	must(t, errors.Join(i.folders(), i.files()))
	if text, err := os.ReadFile(keys); err != nil || string(text) != "a key\n" || i.changed != 0 || len(*said) != 0 {
		t.Errorf("the second time: %q, %v, said %q", text, err, *said)
	}
}

func TestReadConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	private(t, func(t *testing.T) {
		_, err := ReadConfig()
		if problem := api.AsError(err); problem.Code != api.Configuration || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(problem.Hint, "install") {
			t.Errorf("without a file: %v", err)
		}
		for _, text := range []string{"", "{", `{"traffic":1}`, "[]"} {
			err := errors.Join(os.MkdirAll(filepath.Dir(ConfigFile), 0o755), os.WriteFile(ConfigFile, []byte(text), 0o644))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := ReadConfig(); err == nil || api.AsError(err).Code != api.Configuration || !strings.Contains(err.Error(), ConfigFile) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

// TestConfig is decided once; only another --traffic changes it, and only that part of it.
func TestConfig(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	private(t, func(t *testing.T) {
		i, _ := newInstaller(t)
		i.Traffic = "reload"
		if err := i.config(); err != nil {
			t.Error(err)
			return
		}
		config, err := ReadConfig()
		if err != nil || config.Traffic != "reload" || config.ID != i.places.Lib || config.Nginx.Port != 80 || len(config.Helper) == 0 || config.Embedded {
			t.Errorf("%+v, %v", config, err)
		}
		if got := owned(t, ConfigFile); got != "-rw-r--r-- 0:0" || !i.restart || i.changed != 1 {
			t.Errorf("%s, restart %t, %d changes", got, i.restart, i.changed)
		}
		mine := `{"traffic":"map","id":"mine","nginx":{"port":8080},"helper":["x"]}`
		if err := os.WriteFile(ConfigFile, []byte(mine), 0o644); err != nil {
			t.Error(err)
			return
		}
		i.changed, i.restart = 0, false
		for _, traffic := range []string{"auto", "map"} {
			i.Traffic = traffic
			err := i.config()
			if text, _ := os.ReadFile(ConfigFile); err != nil || string(text) != mine || i.changed != 0 || i.restart {
				t.Errorf("%s: %v, %s", traffic, err, text)
			}
		}
		i.Traffic = "reload"
		err = i.config()
		changed, readErr := ReadConfig()
		if err = errors.Join(err, readErr); err != nil || changed.Traffic != "reload" || changed.ID != "mine" || changed.Nginx.Port != 8080 || !i.restart {
			t.Errorf("%+v, %v", changed, err)
		}
		if err := os.WriteFile(ConfigFile, []byte("{"), 0o644); err != nil {
			t.Error(err)
			return
		}
		if err := i.config(); err == nil {
			t.Error("a broken file was taken for none")
		}
	})
}

// TestSetDomains tells of a change, and of none.
func TestSetDomains(t *testing.T) {
	i, _ := newInstaller(t)
	changed := 0
	for _, test := range []struct {
		domains []string
		want    int
	}{{[]string{"a.example.com"}, 1}, {[]string{"a.example.com"}, 1}, {[]string{"b.example.com"}, 2}, {nil, 3}, {nil, 3}} {
		must(t, SetDomains(i.places, test.domains, func() { changed++ }))
		settings, err := (&state.Store{Places: i.places}).Read("--global")
		if diff := cmp.Diff(test.domains, settings.Domains); diff != "" || err != nil || changed != test.want {
			t.Errorf("%q: %d changes, %v\n%s", test.domains, changed, err, diff)
		}
	}
	if err := SetDomains(i.places, []string{"a b"}, func() { t.Error("changed") }); err == nil {
		t.Error("a domain with a blank was taken")
	}
}

// TestSudoers: the helper's verbs with no pattern and no argument, and nothing else.
func TestSudoers(t *testing.T) {
	rules := 0
	for line := range strings.Lines(sudoersText) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "NOPASSWD") {
			continue
		}
		rules++
		who, commands, _ := strings.Cut(line, " ALL=(root) NOPASSWD: ")
		if who != "%"+User {
			t.Errorf("the rule is for %q", who)
		}
		for command := range strings.SplitSeq(commands, ", ") {
			if words := strings.Fields(command); len(words) != 3 || words[0] != Program || words[1] != "root" || strings.ContainsAny(command, "*?[]") {
				t.Errorf("it allows %q", command)
			}
		}
	}
	if rules != 1 {
		t.Errorf("%d rules", rules)
	}
}
