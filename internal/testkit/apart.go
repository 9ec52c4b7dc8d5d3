package testkit

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// apartVariable tells a test binary that it runs apart; its value is a folder that the
// outer test removes once nothing in there is mounted any more.
const apartVariable = "DOKKU_PUSH_TEST_APART"

// Apart runs the calling test once more in mount, network and process namespaces of its own
// and tells whether this is that run. What happens in there (engines, address maps, power
// cuts) happens to nothing else, and ends with it. A test begins with
//
//	if !testkit.Apart(t) {
//		return
//	}
func Apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apartVariable) != "" {
		must(t, "set the loopback device up", exec.Command("ip", "link", "set", "lo", "up").Run())
		hideContainerd(t)
		return true
	}
	self, err := os.Executable()
	must(t, "find the test's program", err)
	Binaries(t) // in there is no network for what may be missing
	// The shell is the namespace's first process and sees to it that no zombie stays: what is
	// killed is gone.
	inside := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "--",
		"bash", "-c", `"$@" & wait $!`, "init", self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=12m")
	inside.Env = append(os.Environ(), apartVariable+"="+t.TempDir())
	out, err := inside.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in namespaces of its own: %v", err)
	}
	return false
}

// hideContainerd hides a containerd of the machine: an engine in here starts its own.
func hideContainerd(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/run/containerd"); err == nil {
		must(t, "hide the machine's containerd", syscall.Mount("tmpfs", "/run/containerd", "tmpfs", 0, ""))
	}
}

// PowerCut kills every process there is in the test's own namespaces at once, and takes
// away what a machine forgets with its power: rules, bridges, routes.
func PowerCut(t testing.TB) {
	t.Helper()
	if os.Getenv(apartVariable) == "" || os.Getppid() != 1 {
		t.Fatal("a power cut is for a test that runs apart")
	}
	must(t, "kill everything", syscall.Kill(-1, syscall.SIGKILL))
	must(t, "forget the rules", exec.Command("nft", "flush", "ruleset").Run())
	_ = exec.Command("ip", "link", "del", "docker0").Run() // there may be none
}
