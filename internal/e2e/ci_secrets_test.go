package e2e

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// watchProcesses collects these files of all processes' folders in /proc, until seen is
// called.
func watchProcesses(t *testing.T, names ...string) (seen func() []string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.Map
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil {
			processes, _ := filepath.Glob("/proc/[0-9]*")
			for _, process := range processes {
				for _, name := range names {
					if text, err := os.ReadFile(filepath.Join(process, name)); err == nil { // else it has ended
						all.Store(string(text), true)
					}
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	end := func() {
		stop()
		wait.Wait()
	}
	t.Cleanup(end)
	return func() (texts []string) {
		end()
		all.Range(func(text, _ any) bool {
			texts = append(texts, text.(string))
			return true
		})
		return texts
	}
}

// TestActionSecrets: a secret travels from CI's environment to the app's, and stands nowhere
// else: no argument, log, summary, output, journal or image; even where the app shows it.
func TestActionSecrets(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "secretive")
	const canary = "canary-7d1c-of-ci"
	declaring(t, dir, "secrets = [\"DATABASE_URL\"]\n")
	put(t, filepath.Join(dir, "Procfile"), "web: exec busybox httpd -f -p \"$PORT\" -h /www\nrelease: sh -c 'echo careless: $DATABASE_URL; sleep 0.3'\n")
	j := newJob(t, h, dir, app)
	log := filepath.Join(j.temp, "events.jsonl")
	j.inputs["json_log"] = log
	j.env = []string{"DATABASE_URL=postgres://" + canary + "/db"}
	seen := watchProcesses(t, "cmdline")
	out := j.run(t)
	arguments := seen()
	if out.exit != 0 {
		t.Fatalf("exit %d\n%s", out.exit, out.log)
	}
	if got := h.Dokku(t, "config:get", app, "DATABASE_URL").Stdout; !strings.Contains(got, canary) {
		t.Fatalf("the app has %q", got)
	}
	places := map[string]string{"the summary": out.summary, "an argument": strings.Join(arguments, "\n"), "the host's story": h.Log(),
		"the image's history": docker(t, "history", "--no-trunc", "dokku/"+app+":latest"), "the image": docker(t, "image", "inspect", "dokku/"+app+":latest"),
		"a layer": docker(t, "save", "dokku/"+app+":latest"), "events": h.Dokku(t, "events").Stdout}
	agents := 0
	for _, line := range arguments {
		if strings.Contains(strings.ReplaceAll(line, "\x00", " "), "dokku-agent deploy") {
			agents++
		}
	}
	if agents == 0 {
		t.Error("no command line of a deploy was seen")
	}
	var shown strings.Builder // the runner shows *** for a mask
	for line := range strings.Lines(out.log) {
		if !strings.HasPrefix(line, "::add-mask::") {
			shown.WriteString(line)
		}
	}
	places["the log"] = shown.String()
	if !strings.Contains(shown.String(), "careless: [secret]") {
		t.Errorf("what the app printed is not in the log:\n%s", shown.String())
	}
	for name, value := range out.outputs {
		places["output "+name] = value
	}
	for _, file := range []string{log, out.outputs["result_json"]} {
		text, err := os.ReadFile(file)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %v", file, err)
		}
		places[filepath.Base(file)] = string(text)
	}
	for place, text := range places {
		if strings.Contains(text, canary) {
			t.Errorf("the secret stands in %s", place)
		}
	}
	holders(t, h.Root, canary)
}

// holders looks for a secret in the host's files: it may stand in those that keep an app's
// environment, for a container, a rollback and a recovery, and only their owner reads them.
func holders(t *testing.T, root, canary string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // what is retired may go while this looks
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), canary) {
			return nil
		}
		found++
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		folder := filepath.Base(filepath.Dir(path))
		if keeps := filepath.Base(path) == "ENV" || folder == "releases" || folder == "journal"; !keeps || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("the secret stands in %s (%s)", path, info.Mode())
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d files hold the app's environment: %v", found, err)
	}
}
