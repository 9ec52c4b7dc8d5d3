package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// together is how many review apps there are at once.
const together = 10

// TestReviewsLeaveNothing: review apps with images of their own, cron entries and domains
// come and go, as many as -reviews says. Afterwards host, engine and address map have what
// they had before. No engine builds these images, so that each image there is the host's.
func TestReviewsLeaveNothing(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "site"), h.App(t, "many")
	testkit.Edit(t, dir, "dokku.hcl", "build {", "review {\n  ttl = \"2h\"\n}\nbuild {")
	testkit.Edit(t, dir, "app.json", "\"healthchecks\"", "\"cron\": [{\"command\": \"true\", \"schedule\": \"0 5 1 1 *\"}],\n  \"healthchecks\"")
	pushed(t, h.Push(t, dir, "--app", app))
	dokku(t, h, 0, "review:set", app, "max", fmt.Sprint(together))
	id, table := hostNames(t, h)
	before := belongings(t, h, id, table)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) { // once nobody is at anything any more
		former := before
		if before = belongings(t, h, id, table); slices.Equal(former, before) || time.Now().After(deadline) {
			break
		}
	}
	var images []string
	begun := time.Now()
	for first := 0; first < *reviews; first += together {
		var names []string
		for n := first; n < min(first+together, *reviews); n++ {
			branch := fmt.Sprint("feature/Number_", n)
			write(t, dir, "public/index.html", fmt.Sprintf("<p>Hello from number %d</p>\n", n))
			up := pushed(t, h.Push(t, dir, "review", "up", "--app", app, "--branch", branch))
			name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(up.Stdout), "http://"), ".")
			answers(t, h, name, "/index.html", fmt.Sprintf("from number %d<", n))
			images = append(images, docker(t, "inspect", "--format", "{{.Image}}", name+".web.1"))
			names = append(names, branch)
		}
		if list := dokku(t, h, 0, "review:list", app).Stdout; strings.Count(list, "\n") != 1+len(names) {
			t.Errorf("%d review apps are up, and the list has\n%s", len(names), list)
		}
		for _, branch := range names {
			if down := h.Push(t, dir, "review", "down", "--app", app, "--branch", branch); down.Exit != 0 {
				t.Fatalf("review down of %s: %+v", branch, down)
			}
		}
	}
	t.Logf("%d review apps went up and down in %s", *reviews, time.Since(begun).Round(time.Second))
	if slices.Sort(images); len(slices.Compact(images)) != *reviews {
		t.Errorf("there were not as many images as review apps: %d", len(slices.Compact(images)))
	}
	traces(t, h, "review-"+app)
	var after []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // connections to what is gone are forgotten after a moment
		if after = belongings(t, h, id, table); slices.Equal(before, after) || time.Now().After(deadline) {
			break
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%d review apps have left something (-before +after):\n%s", *reviews, diff)
	}
	for _, image := range images {
		if exec.Command("docker", "image", "inspect", image).Run() == nil {
			t.Errorf("the engine still has %s", image)
		}
	}
	answers(t, h, app, "/index.html", "Hello from site")
}

// hostNames are the id of the host's containers and the name of its address map's table.
func hostNames(t *testing.T, h *testkit.Host) (id, table string) {
	t.Helper()
	var config struct {
		ID  string
		Map struct{ Table string }
	}
	text, err := os.ReadFile(filepath.Join(h.Root, "lib", "data", "agent", "host.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil || config.ID == "" {
		t.Fatalf("the host's configuration: %v", err)
	}
	return config.ID, config.Map.Table
}

// belongings are what a host has: its files but for what nginx and plugins have written in
// their logs, in the engine its containers and all volumes and networks, its addresses.
func belongings(t *testing.T, h *testkit.Host, id, table string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(h.Root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != h.Root {
			return nil // gone since its folder was read
		}
		if err != nil {
			return err
		}
		if !strings.Contains(path, "/logs/") && entry.Name() != ".deploy.lock.holder" { // whoever is at the app at the moment, such as the watch
			all = append(all, entry.Type().String()+" "+strings.TrimPrefix(path, h.Root))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"docker", "ps", "--all", "--filter", "label=" + testkit.HostLabel + "=" + id, "--format", "container {{.Names}}"},
		{"docker", "volume", "ls", "--filter", "label=" + testkit.HostLabel + "=" + id, "--format", "volume {{.Name}}"},
		{"docker", "network", "ls", "--filter", "label=" + testkit.HostLabel + "=" + id, "--format", "network {{.Name}}"},
		{"nft", "list", "table", "ip", table},
	} {
		if h.Traffic != "map" && args[0] == "nft" {
			continue
		}
		said := testkit.Run(t, exec.Command(args[0], args[1:]...))
		if said.Exit != 0 {
			t.Fatalf("%q: %+v", args, said)
		}
		all = append(all, strings.Split(said.Stdout, "\n")...)
	}
	return all
}
