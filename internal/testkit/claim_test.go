package testkit

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKilledRunIsSwept: a host's claim without a holder is of a run that was killed. The next
// one removes its containers and its images' names, and none of a host whose test lives.
func TestKilledRunIsSwept(t *testing.T) {
	engine := Engine(t)
	image := Busybox(t)
	made := func(id, app string) (exists func() bool) {
		tag := "dokku/" + app + ":v1"
		for _, args := range [][]string{{"tag", image, tag}, {"create", "--name", app + ".web.1", "--label", HostLabel + "=" + id, "--label", "com.dokku.app-name=" + app, tag, "true"}} {
			if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
				t.Fatalf("docker %v: %v\n%s", args, err, out)
			}
		}
		return func() bool {
			containers, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "name="+app).Output()
			must(t, "list containers", err)
			images, err := exec.Command("docker", "images", "--quiet", "dokku/"+app).Output()
			must(t, "list images", err)
			if (len(containers) > 0) != (len(images) > 0) {
				t.Errorf("of %s: containers %q, images %q", app, containers, images)
			}
			return strings.TrimSpace(string(containers)) != ""
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
	embeddedHost(t, engine, t.TempDir())
	if ofKilled() {
		t.Error("what a killed run left is there")
	}
	if !ofLiving() {
		t.Error("a living test's host was swept")
	}
	if _, err := os.Lstat(dead); !os.IsNotExist(err) {
		t.Errorf("the claim of the killed run: %v", err)
	}
}
