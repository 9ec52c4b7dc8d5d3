package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// systemctl stands where systemd's program would be: it remembers what is on, and what it
// was told to change.
const systemctl = `#!/bin/sh
state=/run/systemd/test
mkdir -p "$state"
for unit; do :; done
case $1 in
is-enabled | is-active) test -e "$state/$unit.$1" ;;
*)
	echo "$*" >>"$state/told"
	case $1 in
	enable) touch "$state/$unit.is-enabled" ;;
	restart | reload-or-restart) touch "$state/$unit.is-active" ;;
	disable) rm -f "$state/$unit".* ;;
	esac
	;;
esac
`

// TestPackageInstalled: dpkg installs the agent's package, upgrades and removes it. On a
// machine that is no host it leaves nothing behind; on one that is, the new program runs,
// settings stay through it all, and removing it ends the watch alone. The machine itself is
// not touched: this is done over overlays, as in TestRealHost.
func TestPackageInstalled(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Parallel()
	}
	before := installedPackages(t)
	if ownMounts(t) {
		packageInstalled(t)
		return
	}
	machineIsNoHost(t)
	if after := installedPackages(t); after != before || strings.Contains(after, "dokku-agent") {
		t.Errorf("the machine itself has other packages now:\n%s", cmp.Diff(before, after))
	}
}

func installedPackages(t *testing.T) string {
	t.Helper()
	return dpkg(t, "dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Status}\n")
}

func dpkg(t *testing.T, argv ...string) string {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	command.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DOKKU_ROOT=", "DOKKU_LIB_ROOT=")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// packageInstalled is the test inside the namespace.
func packageInstalled(t *testing.T) {
	dir := os.Getenv(insideVariable)
	mustDo(t, "keep it in memory", syscall.Mount("tmpfs", dir, "tmpfs", 0, ""))       // dpkg waits for the disk often
	first, second := packaged(t, dir, "v1.0.0", ""), packaged(t, dir, "v1.0.1", "\n") // the same program but for its length
	over(t, dir, "/etc", "/home", "/usr", "/var/lib", "/var/log")
	mustDo(t, "hide the machine's /run", syscall.Mount("tmpfs", "/run", "tmpfs", 0, ""))
	mustDo(t, "pretend that systemd runs", os.MkdirAll("/run/systemd/system", 0o755))
	mustDo(t, "write systemctl", os.WriteFile("/usr/local/sbin/systemctl", []byte(systemctl), 0o755))
	ours := []string{"/usr/local/sbin/systemctl"}

	if said := dpkg(t, "dpkg", "--force-unsafe-io", "--install", first); !strings.Contains(said, "dokku-agent: 'dokku-agent install' makes this machine a host") {
		t.Errorf("dpkg --install says\n%s", said)
	}
	packageLies(t)
	told(t, "its installation")
	dpkg(t, "dpkg", "--purge", "dokku-agent")
	if diff := cmp.Diff(ours, written(t, dir)); diff != "" {
		t.Errorf("a package that was purged has left something (-want +got):\n%s", diff)
	}
	told(t, "its removal", "disable --now --quiet dokku-agent.service")

	dpkg(t, "dpkg", "--force-unsafe-io", "--install", first)
	dpkg(t, "/usr/bin/dokku-agent", "install", "--traffic", "reload", "--domain", "example.test")
	told(t, "the host's installation", "daemon-reload", "reload-or-restart nginx.service", "enable dokku-agent.service", "restart dokku-agent.service")
	key := testkit.NewKey(t)
	agentDo(t, "/usr/local/bin/dokku-agent", key.Public+"\n", "keys", "add", "laptop")
	dpkg(t, "dokku", "apps:create", "kept")
	dpkg(t, "dokku", "config:set", "--no-restart", "kept", "COLOR=blue")
	settings := hostSettings(t)

	if said := dpkg(t, "dpkg", "--force-unsafe-io", "--install", second); !strings.Contains(said, "wrote /usr/local/bin/dokku-agent") {
		t.Errorf("the upgrade says\n%s", said)
	}
	told(t, "the upgrade", "restart dokku-agent.service")
	for _, program := range []string{"/usr/bin/dokku-agent", "/usr/local/bin/dokku-agent"} {
		if text, err := os.ReadFile(program); err != nil || !strings.HasSuffix(string(text), "\n") {
			t.Errorf("%s is the former program (%v)", program, err)
		}
	}
	dpkg(t, "dpkg", "--force-unsafe-io", "--install", second)
	told(t, "the same package again")
	dpkg(t, "dpkg", "--remove", "dokku-agent")
	told(t, "removal", "disable --now --quiet dokku-agent.service")
	dpkg(t, "dpkg", "--purge", "dokku-agent")
	told(t, "purge after removal")
	if diff := cmp.Diff(settings, hostSettings(t)); diff != "" {
		t.Errorf("the host's settings have changed (-before +after):\n%s", diff)
	}
	for _, path := range packageFiles() {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if said := dpkg(t, "dokku", "config:get", "kept", "COLOR"); said != "blue\n" {
		t.Errorf("without the package the host answers %q", said)
	}
	dpkg(t, "dpkg", "--force-unsafe-io", "--install", first)
	told(t, "the package once more", "enable dokku-agent.service", "restart dokku-agent.service")
	if diff := cmp.Diff(settings, hostSettings(t)); diff != "" {
		t.Errorf("a package that comes back has changed settings (-before +after):\n%s", diff)
	}
}

func mustDo(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// packaged makes the package of the agent with something added to its end.
func packaged(t *testing.T, dir, version, end string) (path string) {
	t.Helper()
	program := filepath.Join(dir, version)
	text, err := os.ReadFile(testkit.Binaries(t).Agent)
	mustDo(t, "read the agent", err)
	mustDo(t, "write the agent", os.WriteFile(program, append(text, end...), 0o700))
	command := exec.Command("scripts/deb.sh", version, runtime.GOARCH, program, program+".deb", "none")
	command.Dir = testkit.Root(t)
	must(t, command)
	return program + ".deb"
}

func packageFiles() []string {
	return []string{"/usr/bin/dokku-agent", "/usr/lib/systemd/system/dokku-agent.service", "/usr/share/doc/dokku-agent/copyright", "/usr/share/doc/dokku-agent"}
}

// packageLies: its files are root's, only the program can be run, no conffile is asked
// about, and the machine is not made a host by the way.
func packageLies(t *testing.T) {
	t.Helper()
	for _, path := range packageFiles() {
		info, err := os.Lstat(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		want := fs.FileMode(0o644)
		if info.IsDir() || strings.Contains(path, "/bin/") {
			want = 0o755
		}
		if owner := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != want || owner.Uid != 0 || owner.Gid != 0 {
			t.Errorf("%s is %s of %d:%d", path, info.Mode(), owner.Uid, owner.Gid)
		}
		if list := dpkg(t, "dpkg", "--listfiles", "dokku-agent"); !strings.Contains(list, path+"\n") {
			t.Errorf("%s is none of\n%s", path, list)
		}
	}
	if said := dpkg(t, "dpkg", "--verify", "dokku-agent"); said != "" {
		t.Errorf("dpkg --verify says\n%s", said)
	}
	if said := dpkg(t, "dpkg-query", "--show", "--showformat", "${Version} ${Status} [${Conffiles}]", "dokku-agent"); said != "1.0.0 install ok installed []" {
		t.Errorf("dpkg says %q", said)
	}
	for _, path := range []string{"/etc/dokku-push", "/home/dokku", "/usr/local/bin/dokku-agent", "/etc/systemd/system/dokku-agent.service"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("the package alone makes %s", path)
		}
	}
	if said := dpkg(t, "/usr/bin/dokku-agent", "version"); said == "" {
		t.Error("the program does not say which it is")
	}
}

// told wants systemd to have been told this since it was last asked, and nothing else.
func told(t *testing.T, what string, want ...string) {
	t.Helper()
	const file = "/run/systemd/test/told"
	text, _ := os.ReadFile(file) // none: it was told nothing
	_ = os.Remove(file)
	if got := strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' }); !slices.Equal(want, got) {
		t.Errorf("%s tells systemd %q, want %q", what, got, want)
	}
}

// written are the files that were made, changed or taken away below the overlays, but for
// dpkg's own.
func written(t *testing.T, dir string) (paths []string) {
	t.Helper()
	upper := filepath.Join(dir, "upper")
	err := filepath.WalkDir(upper, func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, upper)
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "/var/lib/dpkg/") || name == "/var/log/dpkg.log" {
			return err
		}
		paths = append(paths, name)
		return nil
	})
	mustDo(t, "look through the overlays", err)
	if left, err := filepath.Glob("/var/lib/dpkg/info/dokku-agent*"); err != nil || len(left) > 0 {
		t.Errorf("dpkg still has %q (%v)", left, err)
	}
	return paths
}

// hostSettings are all files that say what the host is to be like: name, mode, owner, content.
func hostSettings(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, root := range []string{"/etc/dokku-push", "/etc/sudoers.d/dokku-push", "/etc/systemd/system/dokku-agent.service", "/etc/nginx/conf.d/dokku.conf", "/home/dokku", "/var/lib/dokku/config"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			owner := info.Sys().(*syscall.Stat_t)
			all[path] = fmt.Sprintf("%s %d:%d %x", info.Mode(), owner.Uid, owner.Gid, sha256.Sum256(text))
			return err
		})
		mustDo(t, "read the host's settings", err)
	}
	return all
}
