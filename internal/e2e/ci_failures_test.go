package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestActionFailures: what fails says so in one annotation at the line that it is about, with
// what to do, and with its exit code. DOKKU_PUSH_UPDATE=1 writes the golden files anew.
func TestActionFailures(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	h2 := testkit.NewKey(t)
	nobody := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	for _, test := range []struct {
		name, app string
		change    func(t *testing.T, j *actionJob, dir, app string)
	}{
		{"procfile", "hello", func(t *testing.T, _ *actionJob, dir, _ string) {
			put(t, filepath.Join(dir, "Procfile"), "web: exec busybox httpd -f -p \"$PORT\" -h /www\nno colon, 100% wrong\n")
		}},
		{"crash", "crash", nil},
		{"unhealthy", "sick", nil},
		{"release", "badrelease", nil},
		{"locked", "hello", func(t *testing.T, _ *actionJob, dir, app string) {
			slowStart(t, dir)
			client := h.Command(t, dir, "--app", app)
			var story lockedBuffer
			client.Stderr = &story
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Wait() })
			story.waitFor(t, "Check the containers")
			testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
		}},
		{"unreachable", "hello", func(_ *testing.T, j *actionJob, _, app string) {
			j.inputs["git_remote_url"] = "ssh://dokku@" + nobody + "/" + app
		}},
		{"hostkey", "hello", func(_ *testing.T, j *actionJob, _, _ string) { j.inputs["ssh_host_key"] = h2.Fingerprint }},
		{"placeholder", "hello", func(t *testing.T, j *actionJob, dir, _ string) {
			declaring(t, dir, "secrets = [\"DATABASE_URL\"]\n")
			j.env = []string{"DATABASE_URL="} // as GitHub passes a secret that does not exist
		}},
		{"input", "hello", func(_ *testing.T, j *actionJob, _, _ string) { j.inputs["command"] = "deploy\n::error::x" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, app := testkit.CopyApp(t, test.app), h.App(t, "failing")
			j := newJob(t, h, dir, app)
			if test.change != nil {
				test.change(t, j, dir, app)
			}
			out := j.run(t)
			var said strings.Builder
			for _, command := range obeyed(t, out.log) {
				if !strings.HasPrefix(command, "::add-mask::") {
					fmt.Fprintln(&said, command)
				}
			}
			fmt.Fprintf(&said, "exit %d, error_code %s, failed_step %s, rolled_back %s\n", out.exit, out.outputs["error_code"], out.outputs["failed_step"], out.outputs["rolled_back"])
			got := strings.NewReplacer(app, "APP", nobody, "NOBODY", "port "+nobody[len("127.0.0.1:"):], "port NOBODY", h.SSH, "HOST", h.HostKey, "HOST-KEY", h2.Fingerprint, "OTHER-KEY").Replace(said.String())
			got = regexp.MustCompile(`pid \d+|request [0-9a-f]+|\d{4}-\d\d-\d\dT[0-9:.]+Z|\d+(\.\d+)?m?s\b`).ReplaceAllString(got, "N")
			golden := filepath.Join("testdata", "ci", test.name+".txt")
			if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
				put(t, golden, got)
			}
			want, err := os.ReadFile(golden)
			if diff := cmp.Diff(string(want), got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s\n%s", err, diff, out.log)
			}
			if !strings.Contains(out.summary, fmt.Sprintf("(exit %d)", out.exit)) || !strings.Contains(out.summary, "❌") {
				t.Errorf("the summary does not say that it failed:\n%s", out.summary)
			}
		})
	}
}

// TestActionHostileApp: whatever an app prints, the job is the same: no command of its own, no
// mask, no escape; only the log is longer.
func TestActionHostileApp(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "hostile")
	put(t, filepath.Join(dir, "Procfile"), "web: exec busybox httpd -f -p \"$PORT\" -h /www\nrelease: sh /www/hostile.sh\n")
	put(t, filepath.Join(dir, "www", "hostile.sh"), `
echo "::error file=app.json,line=1::you are hacked"
echo "::add-mask::hello"
echo "  ::set-output name=url::http://evil.example"
echo "fine ##[error]but not"
echo "##[add-mask]web"
printf '\033[31mred\033[2J\033]0;title\007\rx\n'
echo "::endgroup::"
echo "::stop-commands::mine"
echo "::dokku-push-00000000000000000000000000000000::"
i=0; line=$(printf '%010000d' 0)
while [ $i -lt 1000 ]; do echo "$i $line"; i=$((i+1)); done
exit 1
`)
	j := newJob(t, h, dir, app)
	out := j.run(t)
	if out.exit != 23 || out.outputs["url"] != "" || out.outputs["error_code"] != "release_failed" {
		t.Errorf("exit %d, outputs %v", out.exit, out.outputs)
	}
	var others []string
	for _, command := range obeyed(t, out.log) {
		if !strings.HasPrefix(command, "::add-mask::") {
			others = append(others, command)
		} else if strings.HasSuffix(command, "::hello") {
			t.Errorf("a mask of the app's: %q", command)
		}
	}
	if len(others) != 1 || !strings.HasPrefix(others[0], "::error file=Procfile,line=2,title=dokku-push%3A release failed::") {
		t.Errorf("commands that the runner obeys: %q", others)
	}
	if strings.ContainsAny(out.log+out.summary, "\x1b\a\r") {
		t.Error("a control character comes through")
	}
	if n := strings.Count(out.log, strings.Repeat("0", 8000)); n < 1000 || len(out.summary) > 1<<20 || !strings.Contains(out.log, "you are hacked") {
		t.Errorf("%d of the app's lines are in the log, %d bytes in the summary", n, len(out.summary))
	}
}

// TestActionCancelled: the runner sends SIGINT to the step's own process alone, and SIGTERM
// 7.5 seconds later. The deploy is undone, and nobody else's lock with it.
func TestActionCancelled(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "sick"), h.App(t, "cancelled")
	testkit.Edit(t, dir, "app.json", `"attempts": 2`, `"attempts": 20`)
	good := testkit.CopyApp(t, "hello")
	pushed(t, h.Push(t, good, "--app", app))
	before := status(t, h, good, app)
	j := newJob(t, h, dir, app)
	signals := func(impatient bool) func(*exec.Cmd, *lockedBuffer) {
		return func(cmd *exec.Cmd, log *lockedBuffer) {
			log.waitFor(t, "Check the containers")
			_ = cmd.Process.Signal(syscall.SIGINT)
			if impatient { // sooner than the runner is
				time.Sleep(20 * time.Millisecond)
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}
	j.begun = signals(false)
	if out := j.run(t); out.exit != 27 || out.outputs["error_code"] != "cancelled" || !strings.Contains(out.log, "as it was") {
		t.Errorf("SIGINT: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	j.begun = signals(true)
	if out := j.run(t); out.exit != 27 && out.exit != -1 && out.exit != 143 {
		t.Errorf("SIGINT, SIGTERM: exit %d\n%s", out.exit, out.log)
	}
	// Where the client ended before the host was told, the deploy goes on to its own end: a
	// run that joins it would not stop it either.
	after := status(t, h, good, app)
	for deadline := time.Now().Add(3 * time.Minute); (after.Unfinished != "" || after.Lock != nil) && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		after = status(t, h, good, app)
	}
	if after.Hash != before.Hash || after.Lock != nil {
		t.Errorf("the host is not as before:\n%+v\n%+v", before, after)
	}
	answers(t, h, app, "/", "Hello")

	// A job that waits for another's lock leaves it alone when it is cancelled.
	slow := testkit.CopyApp(t, "hello")
	slowStart(t, slow)
	testkit.Edit(t, slow, "www/cgi-bin/index.cgi", "Hello", "Hello from the other")
	other := h.Command(t, slow, "--app", app)
	var story lockedBuffer
	other.Stderr = &story
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	j.inputs["lock_wait"] = "2m"
	j.begun = func(cmd *exec.Cmd, log *lockedBuffer) {
		log.waitFor(t, "waiting for")
		_ = cmd.Process.Signal(syscall.SIGINT)
	}
	if out := j.run(t); out.exit != 27 {
		t.Errorf("cancelled while it waits: exit %d\n%s", out.exit, out.log)
	}
	if err := other.Wait(); err != nil {
		t.Errorf("the other deploy: %v\n%s", err, story.String())
	}
	answers(t, h, app, "/", "Hello from the other")
}
