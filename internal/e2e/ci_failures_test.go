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
		{"locked", "hello", func(t *testing.T, _ *actionJob, _, app string) {
			patient := testkit.CopyApp(t, "sick") // it has the lock for as long as the job may take
			testkit.Edit(t, patient, "app.json", `"attempts": 2`, `"attempts": 1000`)
			client := h.Command(t, patient, "--app", app)
			var story lockedBuffer
			client.Stderr = &story
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = client.Process.Signal(syscall.SIGINT)
				_ = client.Wait()
			})
			story.waitFor(t, "Check the containers")
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

// cancelling is what GitHub's runner does to a step that is cancelled, once its log says
// something: SIGINT to the step's own process alone, and SIGTERM if it is still there later.
func cancelling(t *testing.T, when string, later time.Duration) func(*exec.Cmd, *lockedBuffer) {
	return func(cmd *exec.Cmd, log *lockedBuffer) {
		log.waitFor(t, when)
		_ = cmd.Process.Signal(syscall.SIGINT)
		time.AfterFunc(later, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	}
}

// patience is GitHub's, on a machine that does nothing else: with thirty times what a question
// takes at the moment.
func patience(t *testing.T, h *testkit.Host, dir, app string) time.Duration {
	t.Helper()
	asked := time.Now()
	status(t, h, dir, app)
	return 7500*time.Millisecond + 30*time.Since(asked)
}

// TestActionCancelled: wherever a deploy is when it is cancelled, it is undone, or said to be
// live, before the runner loses its patience; and nobody else's lock goes with it. The next
// run says what became of it.
func TestActionCancelled(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	good, app := testkit.CopyApp(t, "hello"), h.App(t, "cancelled")
	pushed(t, h.Push(t, good, "--app", app))
	before := status(t, h, good, app)
	slow, sent, sick := testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "hello"), testkit.CopyApp(t, "sick")
	testkit.Edit(t, slow, "Dockerfile", "COPY", "RUN : "+app+"; echo it builds; sleep 60\nCOPY") // in no cache
	testkit.Edit(t, sent, "www/cgi-bin/index.cgi", "Hello", "Hello as it was sent")
	gated(t, sent) // it is not live before it is cancelled
	testkit.Edit(t, sick, "app.json", `"attempts": 2`, `"attempts": 1000`)
	j := newJob(t, h, good, app)
	j.once = true
	for _, test := range []struct{ dir, when, says string }{
		{slow, "it builds", ""}, {sent, "-----> Ship to", ""}, {sick, "-----> Check the containers", "cancelled; the host is as it was"},
	} {
		j.workspace, j.begun = test.dir, cancelling(t, test.when, patience(t, h, good, app))
		if out := j.run(t); out.exit != 27 || out.outputs["error_code"] != "cancelled" || out.outputs["version"] != "" || !strings.Contains(out.log, test.says) {
			t.Errorf("cancelled at %q: exit %d, outputs %v\n%s", test.when, out.exit, out.outputs, out.log)
		}
		if after := status(t, h, good, app); after.Hash != before.Hash || after.Lock != nil || after.Unfinished != "" {
			t.Errorf("cancelled at %q: the host is not as before:\n%+v\n%+v", test.when, before, after)
		}
	}
	answers(t, h, app, "/", "Hello")

	// After the switch it is too late: the release is live, and that is what is said.
	put(t, filepath.Join(sent, "app.json"), `{"scripts": {"dokku": {"postdeploy": "echo it settles; until [ -e /www/open ]; do sleep 0.1; done"}}}`)
	told := func() int { // requests to cancel that the host knows of
		files, err := filepath.Glob(filepath.Join(h.Root, "lib", "data", "agent", "apps", app, "journal", "*.cancel"))
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	cancel, former := cancelling(t, "it settles", patience(t, h, good, app)), told()
	j.workspace, j.begun = sent, func(cmd *exec.Cmd, log *lockedBuffer) {
		cancel(cmd, log)
		for deadline := time.Now().Add(time.Minute); told() == former && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		letIn(t, app)
	}
	if out := j.run(t); out.exit != 27 || out.outputs["version"] != "v2" || out.outputs["changed"] != "true" || !strings.Contains(out.outputs["deployment_status"], "too late: release v2 is live") ||
		!strings.Contains(out.log, "failed, undone: ") { // which is what became of the one before
		t.Errorf("cancelled after the switch: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, app, "/", "Hello as it was sent")
	before = status(t, h, sent, app)

	// A runner that is less patient than that: whether the host was told or not, nothing stays half.
	testkit.Edit(t, sick, "app.json", `"attempts": 1000`, `"attempts": 20`)
	j.workspace, j.begun = sick, cancelling(t, "-----> Check the containers", 10*time.Millisecond)
	if out := j.run(t); out.exit != 27 && out.exit != -1 && out.exit != 143 {
		t.Errorf("SIGINT, SIGTERM: exit %d\n%s", out.exit, out.log)
	}
	after := status(t, h, sent, app)
	for deadline := time.Now().Add(5 * time.Minute); after.Unfinished != "" && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		after = status(t, h, sent, app)
	}
	if after.Hash != before.Hash || after.Lock != nil || after.Last == nil || after.Last.Verdict == nil || after.Last.Verdict.OK {
		t.Errorf("the host is not as before:\n%+v\n%+v", before, after)
	}
	j.begun = nil
	j.inputs["plan_only"] = "true"
	if out := j.run(t); out.exit != 0 || !strings.Contains(out.log, "before: the last request, "+after.Last.Request) {
		t.Errorf("the next run does not say what became of it: exit %d\n%s", out.exit, out.log)
	}
	delete(j.inputs, "plan_only")
	leftAlone(t, h, j, app)
}

// leftAlone: a job that waits for another's lock leaves it alone when it is cancelled.
func leftAlone(t *testing.T, h *testkit.Host, j *actionJob, app string) {
	t.Helper()
	slow := testkit.CopyApp(t, "hello")
	gated(t, slow) // so that the job finds it at it
	testkit.Edit(t, slow, "www/cgi-bin/index.cgi", "Hello", "Hello from the other")
	other := h.Command(t, slow, "--app", app)
	var story lockedBuffer
	other.Stderr = &story
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	story.waitFor(t, "Check the containers")
	j.inputs["lock_wait"] = "2m"
	j.workspace, j.begun = testkit.CopyApp(t, "hello"), cancelling(t, "waiting for", patience(t, h, slow, app))
	if out := j.run(t); out.exit != 27 {
		t.Errorf("cancelled while it waits: exit %d\n%s", out.exit, out.log)
	}
	letIn(t, app)
	if err := other.Wait(); err != nil {
		t.Errorf("the other deploy: %v\n%s", err, story.String())
	}
	answers(t, h, app, "/", "Hello from the other")
}
