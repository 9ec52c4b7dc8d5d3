package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// busy is a crowd of clients that ask one app again and again, half of them with GET,
// half with a POST that nobody replays.
type busy struct {
	gets, posts         atomic.Int64
	lostGets, lostPosts atomic.Int64
	strange             atomic.Pointer[string]
	reasons             sync.Map // why requests were lost
	postTo              string   // a path; empty: /post
	pause               time.Duration
	stop                context.CancelFunc
	wait                sync.WaitGroup
}

// crowdPause is how long a client of a crowd waits between its requests: without it the
// clients take both processors, and what is measured is the builds' hunger.
const crowdPause = 10 * time.Millisecond

// crowd starts n clients. Every answer must hold one of the texts.
func crowd(h *testkit.Host, app string, n int, texts []string) *busy {
	ctx, stop := context.WithCancel(context.Background())
	b := &busy{stop: stop, pause: crowdPause}
	for i := range n {
		b.wait.Go(func() { b.client(ctx, "http://"+h.HTTP, app+".localhost", i%2 == 1, texts) })
	}
	return b
}

// once is a body that cannot be read twice, so that net/http never replays it.
type once struct{ io.Reader }

func (b *busy) client(ctx context.Context, url, host string, post bool, texts []string) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for ; ctx.Err() == nil; time.Sleep(b.pause) {
		request, err := http.NewRequest(http.MethodGet, url+"/", nil)
		if post {
			request, err = http.NewRequest(http.MethodPost, url+cmp.Or(b.postTo, "/post"), once{strings.NewReader("a body that is sent once")})
		}
		if err != nil {
			panic(err)
		}
		request.Host = host
		count, lost := &b.gets, &b.lostGets
		if post {
			count, lost = &b.posts, &b.lostPosts
		}
		answer, err := web.Do(request)
		count.Add(1)
		if err != nil {
			lost.Add(1)
			b.reasons.Store(time.Now().Format("15:04:05.000")+" "+err.Error(), true)
			continue
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		known := false
		for _, text := range texts {
			known = known || bytes.Contains(body, []byte(text))
		}
		switch {
		case err != nil || answer.StatusCode >= 500:
			lost.Add(1)
			b.reasons.Store(fmt.Sprintf("%s %s %v", time.Now().Format("15:04:05.000"), answer.Status, err), true)
		case answer.StatusCode != 200 || !known:
			text := fmt.Sprintf("%s %q", answer.Status, body)
			b.strange.Store(&text)
		}
	}
}

// end stops the clients and waits for them.
func (b *busy) end() {
	b.stop()
	b.wait.Wait()
}

// reloads counts the generations of nginx's workers: each reload makes new ones.
func reloads(t *testing.T, h *testkit.Host) string {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(h.Root, "nginx", "nginx.pid"))
	if err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%[1]s/children", strings.TrimSpace(string(pid))))
	if err != nil {
		t.Fatal(err)
	}
	return string(children)
}

// deployUnderLoad pushes an app ten times while 64 clients are busy with it.
func deployUnderLoad(t *testing.T, traffic string) (*busy, bool) {
	h := testkit.Serve(t, testkit.ServeOptions{Args: []string{"--traffic", traffic}})
	dir, app := testkit.CopyApp(t, "goweb"), h.App(t, "busy")
	var texts []string
	for i := range 11 {
		texts = append(texts, fmt.Sprintf("Release %d from goweb", i))
	}
	// The releases differ in a variable of the image: it is deploys that are tested here, and
	// a compiler would take the machine from the clients.
	testkit.Edit(t, dir, "Dockerfile", "CMD ", fmt.Sprintf("ENV GREETING=%q\nCMD ", texts[0]))
	pushed(t, h.Push(t, dir, "--app", app))
	workers := reloads(t, h)
	clients := crowd(h, app, 64, texts)
	defer clients.end()
	for i := 1; i < len(texts); i++ {
		testkit.Edit(t, dir, "Dockerfile", texts[i-1], texts[i])
		done := pushed(t, h.Push(t, dir, "--app", app))
		t.Logf("%s: release %d, pushed in %s", time.Now().Format("15:04:05.000"), i, done.Took)
		answers(t, h, app, "/", texts[i])
	}
	clients.end()
	if clients.lostGets.Load()+clients.lostPosts.Load() > 0 {
		if text, err := os.ReadFile(filepath.Join(h.Root, "nginx", "log", app+"-error.log")); err == nil {
			t.Logf("nginx says:\n%s", text[max(0, len(text)-3000):])
		}
	}
	return clients, workers == reloads(t, h)
}

// TestBusyMap: ten deploys in a row under 64 busy keep-alive clients lose no request, and
// nginx does not reload once.
func TestBusyMap(t *testing.T) {
	clients, same := deployUnderLoad(t, "map")
	t.Logf("map: %d GET, %d POST; lost %d and %d", clients.gets.Load(), clients.posts.Load(), clients.lostGets.Load(), clients.lostPosts.Load())
	if lost := clients.lostGets.Load() + clients.lostPosts.Load(); lost != 0 {
		t.Errorf("%d requests were lost", lost)
		clients.reasons.Range(func(reason, _ any) bool { t.Log(reason); return true })
	}
	if strange := clients.strange.Load(); strange != nil {
		t.Errorf("an answer was of neither release: %s", *strange)
	}
	if !same {
		t.Error("nginx has reloaded")
	}
}

// TestBusyReload: by the reload adapter every GET succeeds, and lost POSTs are printed.
func TestBusyReload(t *testing.T) {
	clients, same := deployUnderLoad(t, "reload")
	t.Logf("reload: %d GET, %d POST; lost %d GET and %d POST of clients that never replay", clients.gets.Load(), clients.posts.Load(), clients.lostGets.Load(), clients.lostPosts.Load())
	if lost := clients.lostGets.Load(); lost != 0 {
		t.Errorf("%d GETs were lost", lost)
	}
	if strange := clients.strange.Load(); strange != nil {
		t.Errorf("an answer was of neither release: %s", *strange)
	}
	if same {
		t.Error("nginx has not reloaded: this tested something else")
	}
}
