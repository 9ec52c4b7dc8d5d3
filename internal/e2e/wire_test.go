package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// network stands between a client and a host's ssh port: it counts bytes of TCP
// payload, and it can break.
type network struct {
	addr     string
	up, down atomic.Int64 // from the client, to the client

	mu    sync.Mutex
	conns map[net.Conn]bool
	out   bool   // nothing gets through
	limit int64  // of up, at which cut is called once; 0: none
	cut   func() // called without mu
	wait  sync.WaitGroup
}

// between starts a network to a target and ends it with the test.
func between(t *testing.T, target string) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{addr: listener.Addr().String(), conns: map[net.Conn]bool{}}
	n.wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			n.wait.Go(func() { n.carry(client, target) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		n.fail()
		n.wait.Wait()
	})
	return n
}

// carry passes one connection on in both directions.
func (n *network) carry(client net.Conn, target string) {
	defer client.Close()
	host, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer host.Close()
	n.mu.Lock()
	if n.out {
		n.mu.Unlock()
		return
	}
	n.conns[client], n.conns[host] = true, true
	n.mu.Unlock()
	var both sync.WaitGroup
	pass := func(to, from net.Conn, count *atomic.Int64) {
		defer to.Close()
		_, _ = io.Copy(counter{to, count, n}, from) // either end may go at any time
	}
	both.Go(func() { pass(host, client, &n.up) })
	both.Go(func() { pass(client, host, &n.down) })
	both.Wait()
	n.mu.Lock()
	delete(n.conns, client)
	delete(n.conns, host)
	n.mu.Unlock()
}

// counter hides the connection's ReadFrom: every byte is counted as it passes.
type counter struct {
	to    io.Writer
	count *atomic.Int64
	n     *network
}

func (c counter) Write(p []byte) (int, error) {
	written, err := c.to.Write(p)
	c.count.Add(int64(written))
	c.n.mu.Lock()
	var cut func()
	if c.n.limit > 0 && c.n.up.Load() >= c.n.limit {
		c.n.limit, cut = 0, c.n.cut
	}
	c.n.mu.Unlock()
	if cut != nil {
		cut()
	}
	return written, err
}

// fail ends all connections; new ones are ended, too, until mend.
func (n *network) fail() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.out = true
	for conn := range n.conns {
		conn.Close()
	}
}

func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.out = false
}

// blink fails for a while, in the background.
func (n *network) blink(while time.Duration) {
	n.fail()
	n.wait.Go(func() {
		time.Sleep(while)
		n.mend()
	})
}

// at has cut called once when that many more bytes have come from the client.
func (n *network) at(bytes int64, cut func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.limit, n.cut = n.up.Load()+bytes, cut
}

// counted is what has passed since the last call.
func (n *network) counted() (up, down int64) { return n.up.Swap(0), n.down.Swap(0) }

// command is the client's command through the network.
func (n *network) command(t *testing.T, h *testkit.Host, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := h.Command(t, dir, args...)
	cmd.Env = append(cmd.Env, "DOKKU_HOST=dokku@"+n.addr)
	return cmd
}

var layerLine = regexp.MustCompile(`(?m)^ *layer [0-9a-f]{12}  (\d+) bytes$`)

// layersSent adds up the sizes of the layers that a push says it sent.
func layersSent(t *testing.T, r testkit.Result) (count int, bytes int64) {
	t.Helper()
	for _, found := range layerLine.FindAllStringSubmatch(r.Stderr, -1) {
		n, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		count, bytes = count+1, bytes+n
	}
	return count, bytes
}

// bigFile writes a file of that many MiB that nothing compresses.
func bigFile(t *testing.T, file string, mebibytes int) {
	t.Helper()
	content := make([]byte, mebibytes<<20)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWireOneLine: a one-line change costs 1.1 times the changed layers and 64 KiB at
// most, in both directions together, and the push says about as much.
func TestWireOneLine(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	n := between(t, h.SSH)
	for _, test := range []struct{ name, file, former, text string }{
		{"hello", "www/cgi-bin/index.cgi", "Hello", "Hello again"},
		{"goweb", "main.go", "Hello from goweb", "Hello twice from goweb"},
	} {
		dir, app := testkit.CopyApp(t, test.name), h.App(t, test.name)
		pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app)))
		n.counted()
		testkit.Edit(t, dir, test.file, test.former, test.text)
		r := pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app)))
		up, down := n.counted()
		answers(t, h, app, "/", test.text)
		said, bytesSaid := wire(t, r)
		count, size := layersSent(t, r)
		limit := size*11/10 + 64<<10
		t.Logf("%s: %d layers of %d bytes changed; on the wire %d up, %d down, allowed %d; the push says %d", test.name, count, size, up, down, limit, bytesSaid)
		if count == 0 || count != said {
			t.Errorf("%s: %d layers have a line, %d are said to be sent", test.name, count, said)
		}
		if up+down > limit {
			t.Errorf("%s: %d bytes up and %d down, want at most %d", test.name, up, down, limit)
		}
		if int64(bytesSaid) < size || int64(bytesSaid) > up {
			t.Errorf("%s: the push says %d bytes; the layers have %d, %d went out", test.name, bytesSaid, size, up)
		}
		n.counted()
		again := pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app)))
		up, down = n.counted()
		t.Logf("%s: the unchanged push: %d up, %d down", test.name, up, down)
		if strings.Contains(again.Stderr, "Ship to") || up+down > 64<<10 {
			t.Errorf("%s: the unchanged push sent something: %d bytes up and %d down\n%s", test.name, up, down, again.Stderr)
		}
	}
}

// big is the app hello with a layer of 24 MiB.
func big(t *testing.T) string {
	t.Helper()
	dir := testkit.CopyApp(t, "hello")
	bigFile(t, filepath.Join(dir, "www", "big"), 24)
	return dir
}

// window is what may be under way, sent but not stored, when a connection is cut:
// ssh's window of 2 MiB and the buffers on the path.
const window = 4 << 20

// TestWireResume: an upload that was cut goes on in the next push, whether the client
// gave up by itself or was killed.
func TestWireResume(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	for _, killed := range []bool{false, true} {
		n := between(t, h.SSH)
		dir, app := big(t), h.App(t, "big")
		cmd := n.command(t, h, dir, "--app", app)
		n.at(12<<20, func() {
			n.fail()
			if killed {
				_ = cmd.Process.Kill()
			}
		})
		cut := testkit.Run(t, cmd)
		if want := map[bool]int{false: int(69), true: -1}[killed]; cut.Exit != want {
			t.Errorf("killed=%t: the cut push: exit %d, want %d\n%s", killed, cut.Exit, want, cut.Stderr)
		}
		first, _ := n.counted()
		n.mend()
		r := pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app, "--log-format", "json")))
		second, _ := n.counted()
		answers(t, h, app, "/", "Hello")
		note := resumed(t, r.Stdout)
		t.Logf("killed=%t: %d bytes went out before the cut (after %s), %d after; %q", killed, first, cut.Took, second, note)
		var had int64 // whole MiB that the host had kept
		if _, err := fmt.Sscanf(note, "resumed at %d MiB", &had); err != nil {
			t.Fatalf("killed=%t: the push does not say where it resumed: %q", killed, note)
		}
		if lost := first - had<<20; lost > window {
			t.Errorf("killed=%t: of %d bytes that went out the host kept %d MiB", killed, first, had)
		}
		if rest := (24 - had) << 20; second > rest+rest/50+64<<10 { // ssh frames what it carries
			t.Errorf("killed=%t: %d bytes after the cut, want at most the rest, %d", killed, second, rest)
		}
	}
}

// resumed finds the progress event that tells of a resumed layer.
func resumed(t *testing.T, lines string) string {
	t.Helper()
	for _, event := range events(t, lines) {
		if event.Progress != nil && strings.HasPrefix(event.Progress.Note, "resumed at") {
			return event.Progress.Note
		}
	}
	return ""
}

// events parses what --log-format json prints; every line has to be an event.
func events(t *testing.T, lines string) (list []api.Event) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var event api.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("a line of stdout is no event: %v: %q", err, line)
		}
		list = append(list, event)
	}
	return list
}

// TestWireBlink: a connection that is gone for a second ends no push: neither in the
// middle of a layer nor in the middle of the deploy's events.
func TestWireBlink(t *testing.T) {
	h := testkit.Serve(t, testkit.ServeOptions{})
	n := between(t, h.SSH)
	dir, app := big(t), h.App(t, "blink")
	n.at(12<<20, func() { n.blink(time.Second) })
	r := pushed(t, testkit.Run(t, n.command(t, h, dir, "--app", app)))
	up, _ := n.counted()
	answers(t, h, app, "/", "Hello")
	t.Logf("cut in a layer: %d bytes went out, took %s", up, r.Took)
	if up > 27<<20+window {
		t.Errorf("cut in a layer: %d bytes went out: the layer was begun anew", up)
	}

	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	testkit.Edit(t, dir, "app.json", `"healthchecks"`, `"scripts": {"dokku": {"predeploy": "for n in 1 2 3 4 5; do echo tick $n; sleep 0.5; done"}}, "healthchecks"`)
	cmd := n.command(t, h, dir, "--app", app, "--log-format", "json")
	var out, story lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &story
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.waitFor(t, "tick 2")
	n.blink(time.Second)
	if err := cmd.Wait(); err != nil {
		t.Errorf("cut in the events: %v\n%s%s", err, out.String(), story.String())
	}
	answers(t, h, app, "/", "Hello again")
	var ticks []string
	verdicts := 0
	for _, event := range events(t, out.String()) {
		if event.Output != nil && strings.HasPrefix(event.Output.Text, "tick") {
			ticks = append(ticks, event.Output.Text)
		}
		if event.Verdict != nil {
			verdicts++
		}
	}
	if got := strings.Join(ticks, ","); got != "tick 1,tick 2,tick 3,tick 4,tick 5" || verdicts != 1 {
		t.Errorf("cut in the events: %q and %d verdicts, want every event once", got, verdicts)
	}
	if state := status(t, h, dir, app); len(state.Releases) != 2 {
		t.Errorf("cut in the events: %d releases, want 2", len(state.Releases))
	}
}
