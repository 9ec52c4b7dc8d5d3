package testkit

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledRunIsSwept: a host's claim without a holder is of a run that was killed. The next
// one removes its containers and its images' names, and none of a host whose test lives.
func TestKilledRunIsSwept(t *testing.T) {
	engine := Engine(t)
	image := Busybox(t)
	made := func(id, app string) (exists func() bool) {
		tag := "dokku/" + app + ":v1"
		for _, args := range [][]string{{"tag", image, tag}, {"create", "--name", app + ".web.1", "--label", HostLabel + "=" + id, "--label", appLabel + "=" + app, tag, "true"}} {
			if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
				t.Fatalf("docker %v: %v\n%s", args, err, out)
			}
		}
		return func() bool {
			containers, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "name="+app).Output()
			must(t, "list containers", err)
			images, err := exec.Command("docker", "images", "--quiet", "dokku/"+app).Output()
			must(t, "list images", err)
			return len(containers)+len(images) > 0
		}
	}
	killed, living := t.TempDir(), t.TempDir()
	ofKilled, ofLiving := made(killed, AppName(t, "swept")), made(living, AppName(t, "swept"))
	t.Cleanup(func() {
		forgetHost(t, engine, killed)
		forgetHost(t, engine, living)
	})
	embeddedHost(t, engine, living)
	embeddedHost(t, engine, living) // as a test that stops its host and serves the folder again
	if !ofKilled() || !ofLiving() {
		t.Fatal("a host without a claim was swept")
	}
	dead := filepath.Join(cacheDir(t), "hosts", url.PathEscape(killed))
	if err := os.WriteFile(dead, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A test of another package may sweep it, too, at this moment.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		embeddedHost(t, engine, t.TempDir())
		if _, err := os.Lstat(dead); !ofKilled() && os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Error("what a killed run left is there")
			break
		}
	}
	if !ofLiving() {
		t.Error("a living test's host was swept")
	}
}
