package nft

import (
	"crypto/rand"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
)

// TestDocker switches between two real containers on the machine's own docker0,
// with a table and a subnet of its own, both of which are gone afterwards.
func TestDocker(t *testing.T) {
	dir := t.TempDir()
	var config agent.MapConfig
	var m *Map
	for tries := 1; ; tries++ { // another host may choose the same range at this moment
		var err error
		config, err = Choose(dir)
		check(t, err)
		m = &Map{Places: agent.Places{Lib: dir}, Config: config}
		if err = m.Available(t.Context()); err == nil {
			err = m.Ensure(t.Context())
		}
		if err == nil {
			break
		}
		if tries == 5 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		check(t, m.Remove(t.Context()))
		// Other hosts of the machine come and go while this test runs.
		left := nft(t, "list", "tables") + routes(t)
		if strings.Contains(left, config.Table) || strings.Contains(left, config.Subnet.String()) {
			t.Errorf("left behind:\n%s", left)
		}
	})
	image := busyboxImage(t)
	one, two := busybox(t, image, "one"), busybox(t, image, "two")
	place, err := open(config)
	check(t, err)
	_, gateway, _, err := place.place()
	check(t, err)
	t.Logf("%s, peer must be %s", config.Subnet, gateway)

	check(t, m.Point(t.Context(), "app", []agent.Backend{one}, true))
	listeners, err := m.Listeners(t.Context(), "app", []agent.Backend{one})
	check(t, err)
	wantAnswer(t, listeners[0], "one "+gateway.String())
	check(t, m.Point(t.Context(), "app", []agent.Backend{two}, true))
	wantAnswer(t, listeners[0], "two "+gateway.String())
	left, err := m.Drain(t.Context(), one.Address, time.Minute)
	check(t, err)
	if left != 0 {
		t.Errorf("%d connections are left", left)
	}
	check(t, m.Forget(t.Context(), "app"))
	if _, err := ask(listeners[0]); err == nil {
		t.Error("a forgotten app still answers")
	}
}

// busyboxImage makes an image of the machine's own static busybox.
func busyboxImage(t *testing.T) string {
	t.Helper()
	name := "dkp-nft-busybox:" + strings.ToLower(rand.Text()) // a run that was killed may have left its own
	file := filepath.Join(t.TempDir(), "root.tar")
	if output, err := exec.Command("tar", "-cf", file, "-C", "/", "bin/busybox").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, output)
	}
	docker(t, "import", file, name)
	t.Cleanup(func() { docker(t, "rmi", name) })
	return name
}

// busybox starts a container that answers HTTP with its name and its peer.
func busybox(t *testing.T, image, name string) agent.Backend {
	t.Helper()
	container := "dkp-nft-" + name + "-" + rand.Text()
	// nc does not tell its program who the peer is; the container's own list of
	// connections does, in hex and with the bytes turned around.
	docker(t, "run", "-d", "--name", container, image, "/bin/busybox", "nc", "-ll", "-p", "5000",
		"-e", "/bin/busybox", "sh", "-c", `
			while read -r line; do case $line in ?*[a-zA-Z]*) ;; *) break;; esac; done
			printf 'HTTP/1.0 200 OK\r\n\r\n`+name+` '
			/bin/busybox cat /proc/net/tcp /proc/net/tcp6 | while read -r _ here there state _; do
				case $here.$state in *:1388.01)
					printf '%d.%d.%d.%d' $(printf %s "${there%:*}" |
						/bin/busybox sed 's/.*\(..\)\(..\)\(..\)\(..\)$/0x\4 0x\3 0x\2 0x\1/');;
				esac
			done`)
	t.Cleanup(func() { docker(t, "rm", "-f", container) })
	address := docker(t, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", container)
	for deadline := time.Now().Add(3 * time.Minute); !strings.Contains(docker(t, "exec", container, "/bin/busybox", "cat", "/proc/net/tcp", "/proc/net/tcp6"), ":1388 "); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nc does not listen")
		}
	}
	return agent.Backend{Index: 1, Address: address, Port: 5000}
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}
