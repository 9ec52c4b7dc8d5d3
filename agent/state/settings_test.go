package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	dir := t.TempDir()
	s := storeIn(dir)
	must(t, os.Mkdir(s.Places.Root, 0o755))
	must(t, os.Mkdir(s.Places.Lib, 0o755))
	return s
}

func storeIn(dir string) *Store {
	return &Store{Places: agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib"), Logs: filepath.Join(dir, "log")}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree lists all files of a host with their content and mode; folders end with a slash.
func tree(t *testing.T, s *Store) map[string]string {
	t.Helper()
	found := map[string]string{}
	dir := filepath.Dir(s.Places.Root)
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			found[name+"/"] = fmt.Sprintf("%o", info.Mode().Perm())
			return nil
		}
		text, err := os.ReadFile(path)
		found[name] = fmt.Sprintf("%o %s", info.Mode().Perm(), text)
		return err
	}))
	return found
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var full = agent.Settings{
	Env: map[string]string{"A": "1", "KEY": "two\nlines"}, Domains: []string{"b.example.com", "a.example.com"},
	Scale: map[string]int{"web": 2, "worker": 0}, Ports: []string{"http:80:5000", "https:443:5000"},
	Properties: map[string]string{"ps/restart-policy": "always", "checks/skipped": "", "apps/deploy-source-metadata": "x\n"},
	Procfile:   "web: run\n", AppJSON: "{}", Template: "server {}",
}

func TestSettings(t *testing.T) {
	s := newStore(t)
	if _, err := s.Read("app"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("no app gave %v", err)
	}
	empty := tree(t, s)
	must(t, s.Create("app"))
	none, err := s.Read("app")
	must(t, err)
	same(t, "a new app", agent.Settings{Env: map[string]string{}, Scale: map[string]int{}, Properties: map[string]string{}}, none)
	before, after, err := s.Change("app", func(now *agent.Settings) error { *now = full; return nil })
	must(t, err)
	same(t, "before", none, before)
	same(t, "after", full, after)
	read, err := s.Read("app")
	must(t, err)
	same(t, "read", full, read)

	files := tree(t, s)
	for name, want := range map[string]string{
		"lib/config/app/ENV":                             "600 A=\"1\"\nKEY=\"two\\nlines\"\n",
		"root/app/VHOST":                                 "644 b.example.com\na.example.com\n",
		"lib/config/ps/app/scale":                        "600 web=2\nworker=0\n",
		"lib/config/ports/app/map":                       "600 http:80:5000\nhttps:443:5000\n",
		"lib/config/ps/app/restart-policy":               "600 always",
		"lib/config/checks/app/skipped":                  "600 ",
		"lib/data/agent/apps/app/files/Procfile":         "644 web: run\n",
		"lib/data/agent/apps/app/files/app.json":         "644 {}",
		"lib/data/agent/apps/app/files/nginx.conf.sigil": "644 server {}",
		"lib/config/ps/app/":                             "755",
		"lib/config/apps/app/deploy-source-metadata":     "600 x\n\n",
	} {
		same(t, name, want, files[name])
	}

	_, _, err = s.Change("app", func(now *agent.Settings) error { *now = agent.Settings{}; return nil })
	must(t, err)
	for name := range tree(t, s) {
		if _, was := files[name]; !was || !strings.HasSuffix(name, "/") && !strings.HasSuffix(name, ".lock") {
			t.Errorf("after all was unset there is %s", name)
		}
	}
	must(t, s.Destroy("app"))
	for name := range tree(t, s) {
		if _, was := empty[name]; !was && !strings.HasSuffix(name, "/") || strings.Contains(name, "app/") {
			t.Errorf("after Destroy there is %s", name)
		}
	}
}

// TestChangeWritesWhatDiffers: what somebody has written their own way stays.
func TestChangeWritesWhatDiffers(t *testing.T) {
	s := newStore(t)
	must(t, s.Create("app"))
	must(t, writeFile(s.Places.Env("app"), []byte("# mine\nexport A='1'\n"), 0o640))
	must(t, writeFile(s.Places.Vhost("app"), []byte("a.example.com \n\n"), 0o604))
	was := tree(t, s)
	_, _, err := s.Change("app", func(now *agent.Settings) error {
		now.Properties["ps/restore"] = "true"
		return nil
	})
	must(t, err)
	is := tree(t, s)
	for _, name := range []string{"lib/config/app/ENV", "root/app/VHOST"} {
		same(t, name, was[name], is[name])
	}
	_, after, err := s.Change("app", func(now *agent.Settings) error { now.Env["B"] = "2"; return nil })
	must(t, err)
	same(t, "env", map[string]string{"A": "1", "B": "2"}, after.Env)
}

func TestChangeRefuses(t *testing.T) {
	s := newStore(t)
	must(t, s.Create("app"))
	_, _, err := s.Change("app", func(now *agent.Settings) error { *now = full; return nil })
	must(t, err)
	was := tree(t, s)
	reason := errors.New("no")
	for name, change := range map[string]func(*agent.Settings) error{
		"its own error":    func(now *agent.Settings) error { now.Env["X"] = "1"; return reason },
		"a key":            func(now *agent.Settings) error { now.Procfile = "x"; now.Env["A B"] = "1"; return nil },
		"a domain":         func(now *agent.Settings) error { now.Domains = []string{"a b"}; return nil },
		"two in one":       func(now *agent.Settings) error { now.Domains = []string{"a\nb"}; return nil },
		"a scale":          func(now *agent.Settings) error { now.Scale["web"] = -1; return nil },
		"a process":        func(now *agent.Settings) error { now.Scale["a\nb"] = 1; return nil },
		"a port":           func(now *agent.Settings) error { now.Ports = []string{""}; return nil },
		"another property": func(now *agent.Settings) error { now.Properties["letsencrypt/email"] = "x"; return nil },
	} {
		if _, _, err := s.Change("app", change); err == nil {
			t.Errorf("%s was written", name)
		}
		same(t, name, was, tree(t, s))
	}
	if _, _, err := s.Change("none", func(*agent.Settings) error { return nil }); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("no app gave %v", err)
	}
	same(t, "no app", was, tree(t, s))
}

// TestAllOrTheFormer: a disk that is full for one of the files leaves all of them.
func TestAllOrTheFormer(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	s := newStore(t)
	must(t, syscall.Mount("tmpfs", s.Places.Root, "tmpfs", 0, "size=16k"))
	defer func() { must(t, syscall.Unmount(s.Places.Root, 0)) }()
	must(t, s.Create("app"))
	_, _, err := s.Change("app", func(now *agent.Settings) error {
		now.Env["A"], now.Domains = "1", []string{"a.example.com"}
		return nil
	})
	must(t, err)
	was := tree(t, s)
	_, _, err = s.Change("app", func(now *agent.Settings) error {
		now.Env["A"], now.Properties["ps/restore"] = "2", "true"
		for n := range 2000 {
			now.Domains = append(now.Domains, fmt.Sprintf("host-%d.example.com", n))
		}
		return nil
	})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	is := tree(t, s)
	delete(is, "lib/config/ps/")
	delete(is, "lib/config/ps/app/")
	same(t, "the files", was, is)
}

func TestGlobal(t *testing.T) {
	s := newStore(t)
	_, _, err := s.Change("--global", func(now *agent.Settings) error {
		now.Env["A"], now.Domains = "1", []string{"example.com"}
		return nil
	})
	must(t, err)
	files := tree(t, s)
	same(t, "env", "600 A=\"1\"\n", files["lib/config/--global/ENV"])
	same(t, "domains", "644 example.com\n", files["root/VHOST"])
	read, err := s.Read("--global")
	must(t, err)
	same(t, "read", agent.Settings{Env: map[string]string{"A": "1"}, Domains: []string{"example.com"}, Scale: map[string]int{}, Properties: map[string]string{}}, read)
	if _, _, err := s.Change("--global", func(now *agent.Settings) error { now.Scale["web"] = 1; return nil }); err == nil {
		t.Error("a host was scaled")
	}
	if err := s.Destroy("--global"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("destroying the host gave %v", err)
	}
}

// TestGlobalProperties: what holds for all apps of a host is kept where plugins look for it.
func TestGlobalProperties(t *testing.T) {
	s := newStore(t)
	_, after, err := s.Change("--global", func(now *agent.Settings) error { now.Properties["logs/max-size"] = "20m"; return nil })
	must(t, err)
	same(t, "the file", "600 20m", tree(t, s)["lib/config/logs/--global/max-size"])
	same(t, "read", map[string]string{"logs/max-size": "20m"}, after.Properties)
	if _, _, err := s.Change("--global", func(now *agent.Settings) error { now.Properties["x/y"] = "1"; return nil }); err == nil {
		t.Error("an unknown property was kept")
	}
}

func TestApps(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"b", "a-1", "1.example.com", ".ssh", "VHOSTS", "tls", "-x"} {
		must(t, os.Mkdir(s.Places.App(name), 0o755))
	}
	must(t, os.WriteFile(s.Places.App("file"), nil, 0o600))
	apps, err := s.Apps()
	must(t, err)
	same(t, "apps", []string{"1.example.com", "a-1", "b"}, apps)
	if err := s.Create("b"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an app made twice gave %v", err)
	}
	for _, name := range []string{"", ".x", "a/b", "../x", "tls", "A", "--global", "a\nb"} {
		if err := s.Create(name); api.AsError(err) == nil || api.AsError(err).Code != api.Precondition {
			t.Errorf("creating %q gave %v", name, err)
		}
	}
}

// TestDestroyLeavesOthers: an app with a plugin's name, and what apps have stored.
func TestDestroyLeavesOthers(t *testing.T) {
	s := newStore(t)
	for _, app := range []string{"ps", "other"} {
		must(t, s.Create(app))
		_, _, err := s.Change(app, func(now *agent.Settings) error { *now = full; return nil })
		must(t, err)
	}
	stored := filepath.Join(s.Places.Lib, "data", "storage", "ps", "file")
	must(t, writeFile(stored, nil, 0o600))
	must(t, s.SetProperty("letsencrypt", "ps", "email", "x"))
	must(t, writeFile(filepath.Join(s.Places.Lib, "data", "scheduler-docker-local", "ps", "x"), nil, 0o600))
	must(t, s.Destroy("ps"))
	for name := range tree(t, s) {
		if strings.Contains(name, "/ps/") && !strings.HasPrefix(name, "lib/config/ps/") && !strings.HasPrefix(name, "lib/data/storage/") {
			t.Errorf("there still is %s", name)
		}
	}
	if _, err := os.Stat(stored); err != nil {
		t.Error(err)
	}
	read, err := s.Read("other")
	must(t, err)
	same(t, "the other app", full, read)
	must(t, s.Destroy("other"))
	if err := s.Destroy("other"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("destroying it again gave %v", err)
	}
}

// TestConcurrentChange: no change of another goroutine or process is lost.
func TestConcurrentChange(t *testing.T) {
	if dir := os.Getenv("STATE_TEST_CHANGE"); dir != "" {
		addVariables(t, storeIn(dir), os.Getenv("STATE_TEST_NAME"))
		return
	}
	s := newStore(t)
	must(t, s.Create("app"))
	var children []*exec.Cmd
	for n := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestConcurrentChange$")
		child.Env = append(os.Environ(), "STATE_TEST_CHANGE="+filepath.Dir(s.Places.Root), fmt.Sprintf("STATE_TEST_NAME=P%d", n))
		child.Stdout, child.Stderr = os.Stderr, os.Stderr
		must(t, child.Start())
		children = append(children, child)
	}
	var wait sync.WaitGroup
	for n := range 3 {
		wait.Go(func() { addVariables(t, s, fmt.Sprintf("G%d", n)) })
	}
	wait.Wait()
	for _, child := range children {
		must(t, child.Wait())
	}
	read, err := s.Read("app")
	must(t, err)
	list, err := s.ListProperty("docker-options", "app", "_default_.deploy")
	must(t, err)
	if len(read.Env) != 6*10 || len(list) != 6*10 {
		t.Errorf("%d of 60 variables and %d of 60 values are there", len(read.Env), len(list))
	}
}

func addVariables(t *testing.T, s *Store, name string) {
	for n := range 10 {
		_, _, err := s.Change("app", func(now *agent.Settings) error {
			now.Env[fmt.Sprintf("%s_%d", name, n)] = "x"
			return nil
		})
		if err == nil {
			err = s.AddListProperty("docker-options", "app", "_default_.deploy", fmt.Sprintf("--env %s%d", name, n), -1)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestProperties(t *testing.T) {
	s := newStore(t)
	must(t, s.Create("app"))
	if _, ok := s.Property("p", "app", "k"); ok {
		t.Error("a property that nobody set is set")
	}
	must(t, s.SetupProperties("p"))
	for _, value := range []string{"x", "", "a\nb", "a\n", "\n"} {
		must(t, s.SetProperty("p", "app", "k", value))
		if got, ok := s.Property("p", "app", "k"); got != value || !ok {
			t.Errorf("%q became %q, %t", value, got, ok)
		}
	}
	for n, value := range []string{"b", "c", "a"} {
		must(t, s.AddListProperty("p", "app", "list", value, []int{-1, 9, 0}[n]))
	}
	list, err := s.ListProperty("p", "app", "list")
	must(t, err)
	same(t, "list", []string{"a", "b", "c"}, list)
	must(t, s.CloneProperties("p", "app", "--global"))
	must(t, s.RemoveListProperty("p", "app", "list", "b"))
	all, err := s.Properties("p", "app")
	must(t, err)
	same(t, "all", map[string]string{"k": "\n", "list": "a\nc"}, all)
	all, err = s.Properties("p", "--global")
	must(t, err)
	same(t, "clone", map[string]string{"k": "\n", "list": "a\nb\nc"}, all)
	must(t, s.SetListProperty("p", "app", "list", nil))
	must(t, s.DeleteProperty("p", "app", "k"))
	must(t, s.DeleteProperty("p", "app", "k"))
	all, err = s.Properties("p", "app")
	must(t, err)
	same(t, "none", map[string]string{}, all)
	must(t, s.SetProperty("p", "gone", "k", "x")) // an app that does not exist: as plugins do in post-delete
	must(t, s.DestroyProperties("p", "gone"))
	must(t, s.DestroyProperties("p", "_all_"))
	for name := range tree(t, s) {
		if strings.HasPrefix(name, "lib/config/p/") || strings.Contains(name, "gone") {
			t.Errorf("there still is %s", name)
		}
	}
	for _, names := range [][3]string{{"", "app", "k"}, {"p", "..", "k"}, {"p", "app", "../../x"}, {"p", "app", ".k"}} {
		if err := s.SetProperty(names[0], names[1], names[2], "x"); err == nil {
			t.Errorf("%q was set", names)
		}
	}
}
