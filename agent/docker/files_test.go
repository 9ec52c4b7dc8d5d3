package docker

import (
	"errors"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestReadFile: a container that was never started, and one with what may not be read.
func TestReadFile(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	spec := w.spec(script(`mkdir -p /srv/real /srv/Dir && printf 'web: serve\n' > /srv/Procfile && printf 123456789 > /srv/large &&
		ln -s /etc/passwd /srv/app.json && : > /srv/empty && ln -s real /srv/way && echo in > /srv/real/file`))
	id, err := w.Create(ctx, spec)
	must(t, err)
	if _, err := w.ReadFile(ctx, id, "/srv/Procfile", 100); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("before the start: %v", err)
	}
	if text, err := w.ReadFile(ctx, id, "/bin/busybox", 8<<20); err != nil || !strings.HasPrefix(string(text), "\x7fELF") {
		t.Errorf("before the start: %d bytes, %v", len(text), err)
	}
	exit := w.Wait(ctx, id)
	must(t, w.Start(ctx, id))
	if end := <-exit; end.Code != 0 || end.Err != nil {
		t.Fatalf("%+v", end)
	}
	for path, want := range map[string]string{"/srv/Procfile": "web: serve\n", "/srv/empty": ""} {
		if text, err := w.ReadFile(ctx, id, path, 100); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", path, text, err)
		}
	}
	for path, want := range map[string]string{"/srv/app.json": "symbolic link", "/srv/Dir": "no file", "/srv/large": "9 bytes", "/dev/null": ""} {
		_, err := w.ReadFile(ctx, id, path, 8)
		if err == nil || !strings.Contains(err.Error(), want) || want != "" && errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := w.ReadFile(ctx, id, "/nowhere/Procfile", 8); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
