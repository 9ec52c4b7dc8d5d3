package nft

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/dokku-push/dokku-push/agent"
)

const aloneVariable = "DOKKU_PUSH_NFT_ALONE"

// alone runs the calling test in a network namespace of its own, in a child of
// the test program, so that nothing on the machine is touched. It returns true
// in the child, where the test goes on, and false when the child is done.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	child.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	output, err := child.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Fatalf("in a namespace of its own: %v", err)
	}
	if !bytes.Contains(output, []byte("--- PASS: "+t.Name())) {
		t.Fatal("the child did not run the test")
	}
	return false
}

// world is a namespace with a bridge called docker0 and containers on it.
type world struct {
	bridge netlink.Link
	last   byte
	taken  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	loopback, err := netlink.LinkByName("lo")
	check(t, err)
	check(t, netlink.LinkSetUp(loopback))
	attributes := netlink.NewLinkAttrs()
	attributes.Name = bridge
	attributes.HardwareAddr = net.HardwareAddr{0x02, 0x42, 1, 2, 3, 4} // Docker sets one too
	check(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}))
	device, err := netlink.LinkByName(bridge)
	check(t, err)
	check(t, netlink.AddrAdd(device, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(172, 30, 0, 1), Mask: net.CIDRMask(16, 32)}}))
	check(t, netlink.LinkSetUp(device))
	return &world{bridge: device, last: 1}
}

// container is a guest that answers HTTP with its name and whom it sees.
type container struct {
	Name    string
	Address string
	guest   *guest
	server  *http.Server
	served  chan error
}

func (w *world) container(t *testing.T, name string) *container {
	t.Helper()
	w.last++
	return w.containerAt(t, name, w.last)
}

// containerAt starts a container at 172.30.0.last, which must be free.
func (w *world) containerAt(t *testing.T, name string, last byte) *container {
	t.Helper()
	w.taken++
	address := netip.AddrFrom4([4]byte{172, 30, 0, last})
	g, err := newGuest(w.bridge, "c"+strconv.Itoa(w.taken), netip.PrefixFrom(address, 16), 5000)
	check(t, err)
	c := &container{Name: name, Address: address.String(), guest: g, served: make(chan error, 1)}
	c.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s %s", name, host)
	})}
	go func() { c.served <- c.server.Serve(g.Listener) }()
	t.Cleanup(func() {
		if c.server != nil {
			c.kill(t)
		}
	})
	return c
}

// kill ends a container at once, with every connection it has.
func (c *container) kill(t *testing.T) {
	t.Helper()
	check(t, c.server.Close())
	<-c.served
	c.server = nil
	if err := c.guest.Close(); err != nil && !isClosed(err) {
		t.Error(err)
	}
}

func isClosed(err error) bool {
	return err.Error() == "" || bytes.Contains([]byte(err.Error()), []byte("use of closed"))
}

func (c *container) backend(index int) agent.Backend {
	return agent.Backend{Index: index, Address: c.Address, Port: 5000}
}

// ask makes a connection, sends one request and reads the answer to its end. The
// server closes first, as behind nginx.
func ask(address string) (string, error) { return askWithin(address, time.Minute) }

func askWithin(address string, most time.Duration) (string, error) {
	connection, err := net.DialTimeout("tcp", address, most)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(most)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(connection, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return "", err
	}
	_, body, found := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !found {
		return "", io.ErrUnexpectedEOF
	}
	return string(body), nil
}

func wantAnswer(t *testing.T, address, want string) {
	t.Helper()
	got, err := ask(address)
	check(t, err)
	if got != want {
		t.Errorf("%s answered %q, want %q", address, got, want)
	}
}

func newMap(t *testing.T) *Map {
	t.Helper()
	dir := t.TempDir()
	return &Map{Places: agent.Places{Lib: dir}, Config: Derive(dir, nil)}
}

// helped makes a map that reaches the root side as an unprivileged agent does,
// without the process in between.
func helped(m *Map) *Map {
	config := m.Config
	m.Helper = func(ctx context.Context, request []byte) ([]byte, error) {
		var out bytes.Buffer
		err := Serve(ctx, bytes.NewReader(request), &out, config)
		return out.Bytes(), err
	}
	return m
}

// serve hands one raw request to the root side.
func serve(t *testing.T, config agent.MapConfig, request string) Answer {
	t.Helper()
	var out bytes.Buffer
	check(t, Serve(t.Context(), bytes.NewReader([]byte(request)), &out, config))
	var answer Answer
	check(t, json.Unmarshal(out.Bytes(), &answer))
	return answer
}

func nft(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %v: %v\n%s", args, err, output)
	}
	return string(output)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
