package testkit

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// run starts a throwaway container by the docker program and returns what it printed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", append([]string{"run", "--rm"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker run %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBaseImagesRun(t *testing.T) {
	start := time.Now()
	for _, tt := range []struct {
		image   string
		command []string
		want    string
	}{
		{Busybox(t), []string{"sh", "-c", "echo $((6 * 7)) && id -un"}, "42\nroot"},
		{Golang(t), []string{"sh", "-c", "go version | cut -c1-13"}, "go version go"},
		{Python(t), []string{"python3", "-c", "import http.server; print(http.server.__name__)"}, "http.server"},
	} {
		t.Log(tt.image, time.Since(start).Round(time.Millisecond))
		if got := run(t, append([]string{tt.image}, tt.command...)...); got != tt.want {
			t.Errorf("%s printed %q, want %q", tt.image, got, tt.want)
		}
	}
}
