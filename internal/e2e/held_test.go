package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dokku-push/dokku-push/agent/cgroup"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// buildIsHeld: the dokku user has root's helper run BuildKit in a control group, with the
// limit that the app's docker options name; nothing but the cache is left of it.
func buildIsHeld(t *testing.T, sshd *testkit.SSHServer, key testkit.Key) {
	must(t, exec.Command("install", "-m", "755", testkit.Buildkitd(t), "/usr/local/bin/buildkitd"))
	app := testkit.AppName(t, "held")
	testkit.ForgetImages(t, app)
	t.Cleanup(func() { overSSH(t, sshd, key, nil, "apps:destroy", "--force", app) })
	overSSH(t, sshd, key, nil, "apps:create", app)
	overSSH(t, sshd, key, nil, "docker-options:add", app, "build", "'--memory 80m'")
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "sh"), string(program))
	put(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\nCOPY --chmod=755 sh /bin/sh\nCOPY --chmod=755 sh /bin/dd\nRUN dd if=/dev/zero of=/dev/null bs=400M count=1\n")
	c := pushing(t, dir, sshd.Addr, sshd.HostKey, key.File)
	c.refused("out of memory: its steps wanted more than the 80 MiB", "push", c.host+app, "main")
	tree, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/run/dokku-push-build"); err == nil || tree.Exists("dokku-push-build") {
		t.Error("the build has left its control group or its socket")
	}
	must(t, exec.Command("rm", "/usr/local/bin/buildkitd"))
}
