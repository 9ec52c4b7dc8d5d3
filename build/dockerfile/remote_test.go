package dockerfile

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// forward serves the engine's socket on a TCP port, as a far engine is reached.
func forward(t *testing.T, socket string) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var pipes sync.WaitGroup
	pipes.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				pipes.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
					_ = pair[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		pipes.Wait()
	})
	return "tcp://" + listener.Addr().String()
}

// An engine that cannot reach this process's loopback is asked to save.
func TestFarEngine(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nCOPY a.txt /a\nCOPY b.txt /b\n", "a.txt": "a", "b.txt": "b"})
	host := forward(t, strings.TrimPrefix(b.docker.DaemonHost(), "unix://"))
	far := Builder{DockerHost: host, CacheDir: b.cache}
	image, err := far.Build(t.Context(), b.request)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(b.lines, "\n"))
	}
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	b.ids = append(b.ids, image.ID)
	before := digests(t, image)
	b.write("b.txt", "changed")
	if image, err = far.Build(t.Context(), b.request); err != nil {
		t.Fatal(err)
	}
	b.ids = append(b.ids, image.ID)
	after := digests(t, image)
	if before[0] != after[0] || before[1] != after[1] || before[2] == after[2] {
		t.Errorf("layers before %v, after %v", before, after)
	}
}
