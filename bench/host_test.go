package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/remote"
)

// patience is how long one deploy may take before the benchmark gives up.
const patience = time.Minute

// host is an embedded host with an app on it, and a client that is connected as a push is
// when it asks for the release.
type host struct {
	*testkit.Host
	app    string
	others int
	places agent.Places
	config agent.HostConfig
	client *push.Connection
}

// newHost starts a host with one app, v1 of which runs, and that many others.
func newHost(b *testing.B, s *shelf, others int) *host {
	b.Helper()
	served := testkit.Serve(b, testkit.ServeOptions{})
	h := &host{Host: served, app: served.App(b, "bench"), others: others}
	h.places = agent.Places{Root: filepath.Join(h.Root, "home"), Lib: filepath.Join(h.Root, "lib"), Logs: filepath.Join(h.Root, "log")}
	text, err := os.ReadFile(h.places.HostConfig())
	if err == nil {
		err = json.Unmarshal(text, &h.config)
	}
	if err != nil {
		b.Fatal(err)
	}
	home := b.TempDir()
	h.client, err = push.Connect(context.Background(), remote.Options{Target: "dokku@" + h.SSH, KeyFile: h.Key, HostKey: h.HostKey,
		Home: home, ConfigFile: os.DevNull, KnownHosts: []string{filepath.Join(home, "known_hosts")}, AgentSocket: "none"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.client.Conn.Close() })
	h.crowd(b, s)
	h.deploy(b, s.next(b))
	h.quiet(b)
	return h
}

// table is the host's address map, for whoever is root here too.
func (h *host) table() *nft.Map { return &nft.Map{Places: h.places, Config: h.config.Map} }

// deploy asks the agent for a release and returns how long it took until the new
// release answered through nginx.
func (h *host) deploy(b *testing.B, image built) time.Duration {
	b.Helper()
	// A keep-alive connection is dropped by its server now and then; a push that asked
	// for its plan a moment ago has a live one, and so has this.
	if _, err := h.client.Client.Hello(b.Context()); err != nil {
		b.Fatal(err)
	}
	id, err := api.NewRequest()
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	answered := h.await(b.Context(), h.app+".localhost", image.text)
	verdict, err := h.client.Release(b.Context(), h.app, id, api.ReleaseRequest{Document: image.document()}, func(api.Event) {})
	if err != nil || !verdict.OK || verdict.Error != nil {
		b.Fatalf("deploy: %v, %+v\n%s", err, verdict.Error, h.Log())
	}
	at, ok := <-answered
	if !ok {
		b.Fatalf("%s was deployed and never answered %q", h.app, image.text)
	}
	return at.Sub(begun)
}

// steps is how long each step of the last release took, by the agent's own record.
func (h *host) steps(b *testing.B) []api.StepTime {
	b.Helper()
	state, err := h.client.App(b.Context(), h.app)
	if err != nil || len(state.Releases) == 0 {
		b.Fatalf("ask for the releases: %v", err)
	}
	return state.Releases[len(state.Releases)-1].Steps
}

// await asks nginx again and again until a domain answers with a text, and tells when it did.
func (h *host) await(ctx context.Context, domain, text string) <-chan time.Time {
	answered := make(chan time.Time, 1)
	go func() {
		defer close(answered)
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for ctx.Err() == nil {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.HTTP+"/", nil)
			if err != nil {
				return
			}
			request.Host = domain
			if answer, err := web.Do(request); err == nil {
				page, _ := io.ReadAll(answer.Body) // a half page is not the text
				answer.Body.Close()
				if strings.TrimSpace(string(page)) == text {
					answered <- time.Now()
					return
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return answered
}

// quiet waits until no process of a deploy is left: the former container is gone then.
func (h *host) quiet(b *testing.B) {
	b.Helper()
	for deadline := time.Now().Add(2 * time.Minute); h.deploying(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("a deploy process of %s does not end", h.app)
		}
	}
}

// deploying tells whether one of the host's processes has a session of its own: a deploy.
func (h *host) deploying() bool {
	for _, pid := range h.processes() {
		if session, err := session(pid); err == nil && session == pid {
			return true
		}
	}
	return false
}

// processes lists what runs of ours for this host, nginx and containers aside.
func (h *host) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var ours []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || program != h.Bin.Agent {
			continue
		}
		if pid == h.PID() {
			ours = append(ours, pid)
		} else if environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil &&
			strings.Contains(string(environment), "DOKKU_LIB_ROOT="+h.places.Lib+"\x00") {
			ours = append(ours, pid)
		}
	}
	return ours
}

// session is the id of the session a process belongs to: the fourth word after its name.
func session(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	words := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(words) < 4 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	return strconv.Atoi(words[3])
}

// reloadNginx makes nginx read the sites that were written behind the agent's back.
func (h *host) reloadNginx(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile(h.config.Nginx.Pid)
	if err != nil {
		b.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGHUP)
	}
	if err != nil {
		b.Fatal(err)
	}
}
