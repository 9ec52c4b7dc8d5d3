package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestPackLanguages: an app of sources and a Procfile, with no word of this project, in Go
// and in Python. The second push takes over what the first has made, and sends what changed.
func TestPackLanguages(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	for _, test := range []struct {
		sample, file    string
		greeting        string
		first, again    []string // what the two pushes say
		most            int      // bytes that the second sends
		release, worker string
	}{
		{sample: "cnbgo", file: "main.go", greeting: "Hello from Go, ",
			first: []string{"compiler's cache: new", "packages compiled: 2", "released: Hello from Go, first"},
			again: []string{"compiler's cache: kept from the last build", "packages compiled: 1", "released: Hello from Go, second",
				`Restoring data for "dokku-push/go:gocache" from cache`, "Reused 1/1 app layer(s)", "Reusing layer 'buildpacksio/lifecycle:launcher'"},
			most: 6 << 20, release: "released: Hello from Go, second", worker: "at work: Hello from Go, second"},
		{sample: "cnbpython", file: "app.py", greeting: "Hello from Python, ",
			first: []string{"packages: installed", "released on Python 3"},
			again: []string{"packages: kept from the last build", "released on Python 3",
				`Restoring data for "dokku-push/python:packages" from cache`, "Reusing layer 'dokku-push/python:packages'", "Reusing layer 'buildpacksio/lifecycle:launcher'"},
			most: 96 << 10, release: "released on Python 3", worker: "at work: Hello from Python"},
	} {
		t.Run(test.sample, func(t *testing.T) {
			dir, app := packed(t, h, test.sample)
			if test.sample == "cnbpython" {
				manyModules(t, filepath.Join(dir, "vendor", "greetings"))
			}
			push := func(mark string, wants []string) (r testkit.Result, built time.Duration) {
				t.Helper()
				log := filepath.Join(t.TempDir(), "events")
				r = pushed(t, h.Push(t, dir, "--app", app, "--event-log", log))
				answers(t, h, app, "/", test.greeting+mark)
				for _, want := range wants {
					if !strings.Contains(r.Stderr, want) {
						t.Errorf("the push does not say %q:\n%s", want, r.Stderr)
					}
				}
				if strings.Contains(r.Stderr, "warning: ") {
					t.Errorf("the push warns:\n%s", r.Stderr)
				}
				return r, stepTook(t, log, "build")
			}
			_, cold := push("first", test.first)
			testkit.Edit(t, dir, test.file, "first", "second")
			second, warm := push("second", test.again)
			layers, bytes := wire(t, second)
			t.Logf("the first build took %s, the second %s: %.1f times as fast; it sent %d layer(s), %d bytes", cold, warm, cold.Seconds()/warm.Seconds(), layers, bytes)
			if layers != 1 || bytes > test.most {
				t.Errorf("a one-line change sent %d layers and %d bytes, want one layer of %d at most", layers, bytes, test.most)
			}
			state := status(t, h, dir, app)
			release := state.Releases[len(state.Releases)-1]
			if want := map[string]int{"web": 1, "worker": 1}; release.Builder != "pack" || !maps.Equal(release.Formation, want) {
				t.Errorf("the release was built by %q and runs %v, want pack and %v", release.Builder, release.Formation, want)
			}
			says(t, h, test.worker, "logs", app, "-p", "worker")
			says(t, h, test.release, "run", app, "release")
		})
	}
}

// manyModules makes a package as large as what an app depends on: the first build compiles it.
func manyModules(t *testing.T, dir string) {
	t.Helper()
	for module := range 150 {
		var text strings.Builder
		for n := range 100 {
			fmt.Fprintf(&text, "def number_%d(a, b=%d):\n    return [a + b for a in range(b)]\n\n\n", n, module)
		}
		put(t, filepath.Join(dir, fmt.Sprintf("module_%d.py", module)), text.String())
	}
}

// stepTook reads from a push's event log how long one of its steps took.
func stepTook(t *testing.T, log, name string) time.Duration {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	list := events(t, string(text))
	at := slices.IndexFunc(list, func(e api.Event) bool {
		return e.Step != nil && e.Step.Name == name && e.Step.Status == api.StepDone
	})
	if at < 0 {
		t.Fatalf("no step %s was done:\n%s", name, text)
	}
	return time.Duration(list[at].Step.DurationMS) * time.Millisecond
}
