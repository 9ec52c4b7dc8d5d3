package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// HostLabel is the label of everything that a host makes in the engine; its
// value is the id in the host's host.json.
const HostLabel = "com.dokku-push.host"

// appLabel is the label of an app's containers; its value is the app's name.
const appLabel = "com.dokku.app-name"

// ServeOptions says what is particular about a host. The zero value is a host as
// `dokku-agent serve` makes it.
type ServeOptions struct {
	Root string   // state folder in a folder of the test's; empty: a new one. A folder used before is the same host again.
	Args []string // further arguments of `dokku-agent serve`
	Env  []string // further variables, KEY=VALUE
}

// Host is an embedded host that runs for a test.
type Host struct {
	SSH     string `json:"ssh"`      // 127.0.0.1:PORT
	HostKey string `json:"host_key"` // SHA256:...
	HTTP    string `json:"http"`     // nginx, 127.0.0.1:PORT
	Key     string `json:"key"`      // private key file of a user who may do everything
	Root    string `json:"root"`
	Traffic string `json:"traffic"` // map or reload

	Bin   Bin
	child *child
	names *appNames
}

// appNames are the apps that a test has named. Subtests name theirs at the same time.
type appNames struct {
	mu  sync.Mutex
	all []string
}

func (n *appNames) add(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, name)
}

// Serve starts `dokku-agent serve` and waits until it is ready. At the test's end
// it is stopped, and its containers and images are removed.
func Serve(t testing.TB, options ServeOptions) *Host {
	t.Helper()
	engine := Engine(t)
	root := options.Root
	if root == "" {
		root = filepath.Join(t.TempDir(), "host")
	}
	host := &Host{Bin: Binaries(t), names: &appNames{}}
	if os.Getenv(apartVariable) == "" { // an engine of the test's own goes with all that is in it
		embeddedHost(t, engine, root)
	}
	t.Cleanup(func() {
		endStrays(root)
		host.sweep(t, engine, hostID(root))
	})
	// Hosts that start together may choose the same range for their address maps.
	defer lock(t, "serve")()
	ownPorts(t, root)
	serve := exec.Command(host.Bin.Agent, append([]string{"serve", "--root", root}, options.Args...)...)
	serve.Env = append(append(cleanEnv(), "HOME="+filepath.Dir(root)), options.Env...)
	stdout := &capture{}
	serve.Stdout = stdout
	host.child = startChild(t, "dokku-agent serve", serve)
	must(t, "read the ready line", json.Unmarshal(host.ready(t, stdout), host))
	return host
}

// ownPorts gives a new host the ports of its nginx as if it had served before: those that it
// draws itself are anybody's again until it listens, which with TLS may be minutes later.
func ownPorts(t testing.TB, root string) {
	t.Helper()
	file := filepath.Join(root, "lib", "data", "agent", "host.json")
	if _, err := os.Lstat(file); err == nil {
		return
	}
	text, err := json.Marshal(map[string]any{"nginx": map[string]int{"port": FreePort(t), "tls_port": FreePort(t)}})
	must(t, "name the host's ports", err)
	must(t, "name the host's ports", os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, "name the host's ports", os.WriteFile(file, text, 0o644))
}

// ready waits for the one line that the agent prints once everything answers.
func (h *Host) ready(t testing.TB, stdout *capture) []byte {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		if line, _, found := strings.Cut(stdout.String(), "\n"); found {
			return []byte(line)
		}
		select {
		case <-h.child.exited:
			t.Fatalf("dokku-agent serve ended before it was ready:\n%s", h.Log())
		case <-deadline:
			t.Fatalf("dokku-agent serve is not ready after three minutes:\n%s", h.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Log is what the host has said on stderr so far.
func (h *Host) Log() string { return h.child.said.String() }

// Stop ends the host before the test does, as a person would with ^C. Its
// state stays, for Serve with the same Root.
func (h *Host) Stop() { h.child.stop(20 * time.Second) }

// Kill ends the host without a chance to tidy up, as a power cut would.
func (h *Host) Kill() { h.child.kill() }

// PID is the process id of `dokku-agent serve`.
func (h *Host) PID() int { return h.child.cmd.Process.Pid }

// App is a new app name on this host; what belongs to it in the engine is
// removed at the test's end.
func (h *Host) App(t testing.TB, base string) string {
	t.Helper()
	name := AppName(t, base)
	h.names.add(name)
	return name
}

// Get asks the app for a path through nginx, at the domain APP.localhost, on a
// connection of its own.
func (h *Host) Get(t testing.TB, app, path string) (status int, body string) {
	t.Helper()
	status, body, _ = h.Ask(t, app, path)
	return status, body
}

// Ask is Get with the answer's header.
func (h *Host) Ask(t testing.TB, app, path string) (status int, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+h.HTTP+path, nil)
	must(t, "ask "+app, err)
	request.Host = app + ".localhost"
	request.Close = true
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := web.Do(request)
	must(t, "ask "+app, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, "ask "+app, err)
	return response.StatusCode, string(text), response.Header
}

// hostID finds the id of the host in a state folder; empty when it has none yet.
func hostID(root string) (id string) {
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != "host.json" {
			return nil // a folder that is gone is none to look in
		}
		var config struct{ ID string }
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &config) == nil {
			id = config.ID
		}
		return fs.SkipAll
	})
	return id
}

// sweep removes what the host and its apps, and pushes to them, left in the engine.
func (h *Host) sweep(t testing.TB, engine *client.Client, id string) {
	t.Helper()
	if os.Getenv(apartVariable) != "" {
		return // the test's own engine goes with all that is in it, and may have ended before
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var labels []string
	if id != "" {
		labels = append(labels, HostLabel+"="+id)
	}
	for _, name := range h.names.all {
		labels = append(labels, appLabel+"="+name)
	}
	for _, label := range labels {
		if _, err := removeLabelled(ctx, engine, label); err != nil {
			t.Error(err)
			return
		}
	}
	for _, name := range h.names.all {
		if err := forgetImages(ctx, engine, name); err != nil {
			t.Error(err)
			return
		}
	}
}

// removeLabelled removes the containers with a label, KEY=VALUE, and returns those that there were.
func removeLabelled(ctx context.Context, engine *client.Client, label string) ([]container.Summary, error) {
	found, err := engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return nil, fmt.Errorf("list containers left behind: %w", err)
	}
	for _, one := range found.Items {
		_, _ = engine.ContainerRemove(ctx, one.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
	return found.Items, nil
}

// ForgetImages takes the names of an app's images away when the test ends, for an app that no
// host of Serve has.
func ForgetImages(t testing.TB, app string) {
	t.Helper()
	engine := Engine(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := forgetImages(ctx, engine, app); err != nil {
			t.Error(err)
		}
	})
}

func forgetImages(ctx context.Context, engine *client.Client, app string) error {
	found, err := engine.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("reference", "dokku/"+app, "dokku-push/"+app)})
	if err != nil {
		return fmt.Errorf("list images left behind: %w", err)
	}
	for _, image := range found.Items {
		for _, reference := range slices.Concat(image.RepoTags, image.RepoDigests) { // never by its id: another test's app may have the same image
			repository := strings.TrimPrefix(strings.TrimPrefix(reference, "dokku-push/"), "dokku/")
			if repository, _, _ = strings.Cut(strings.ReplaceAll(repository, "@", ":"), ":"); repository != app {
				continue
			}
			_, _ = engine.ImageRemove(ctx, reference, client.ImageRemoveOptions{PruneChildren: true})
		}
	}
	return nil
}

// cleanEnv is the environment less what would point the programs elsewhere: the
// tests behave the same in CI and for a person with an ssh agent.
func cleanEnv() []string {
	var kept []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case name == "CI", name == "NO_COLOR", name == "SSH_AUTH_SOCK", name == "HOME", name == "XDG_STATE_HOME", name == "XDG_CACHE_HOME", name == "XDG_CONFIG_HOME":
		case strings.HasPrefix(name, "DOKKU_"), strings.HasPrefix(name, "GITHUB_"), strings.HasPrefix(name, "CI_"):
		default:
			kept = append(kept, entry)
		}
	}
	return kept
}
