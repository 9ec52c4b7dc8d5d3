package bench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

const (
	crowdRunning  = 50 // of the other apps, how many have a container
	crowdReleases = 10 // of each
)

// crowd puts the host's other apps there: one is deployed by the agent, the rest are
// copies of its files under other names, with their releases, their sites in nginx
// and an element each in the map. The first of them have a container too.
func (h *host) crowd(b *testing.B, s *shelf) {
	b.Helper()
	if h.others == 0 {
		return
	}
	own := h.app
	h.app = h.App(b, "other")
	defer func() { h.app = own }()
	image := s.next(b)
	h.deploy(b, image)
	h.quiet(b)
	template := h.app
	former, err := h.table().Listeners(b.Context(), template, []agent.Backend{{Index: 1, Port: webPort}})
	if err != nil {
		b.Fatal(err)
	}
	names := make([]string, h.others-1)
	for n := range names {
		names[n] = fmt.Sprintf("%s-%d", template, n)
	}
	running := names[:min(crowdRunning, len(names))]
	listeners := h.elements(b, s, image, running, names[len(running):])
	for n, name := range names {
		h.clone(b, template, name, former[0], listeners[n])
	}
	h.reloadNginx(b)
}

// elements starts the containers and writes the map. The watch takes elements away that
// lead to no container of their app; those without one are therefore written for an app
// that the host does not know, which makes the map no smaller.
func (h *host) elements(b *testing.B, s *shelf, image built, running, rest []string) (listeners []string) {
	b.Helper()
	engine := testkit.Engine(b)
	last := ""
	for _, name := range running {
		created, err := engine.ContainerCreate(b.Context(), client.ContainerCreateOptions{Name: name + ".web.1",
			Config: &container.Config{Image: image.ID, Env: []string{fmt.Sprintf("PORT=%d", webPort)},
				Cmd: []string{"/bin/sh", "-c", `exec busybox httpd -f -p "$PORT" -h /www`},
				Labels: map[string]string{"com.dokku.app-name": name, "com.dokku.container-type": "deploy", "com.dokku.process-type": "web",
					"com.dokku.dyno": "web.1", testkit.HostLabel: h.config.ID}}})
		if err == nil {
			_, err = engine.ContainerStart(b.Context(), created.ID, client.ContainerStartOptions{})
		}
		if err != nil {
			b.Fatal(err)
		}
		found, err := engine.ContainerInspect(b.Context(), created.ID, client.ContainerInspectOptions{})
		if err != nil {
			b.Fatal(err)
		}
		last = found.Container.NetworkSettings.Networks["bridge"].IPAddress.String()
		backends := []agent.Backend{{Index: 1, Address: last, Port: webPort}}
		listeners = append(listeners, h.point(b, name, backends)...)
	}
	backends := make([]agent.Backend, len(rest))
	for n := range backends {
		backends[n] = agent.Backend{Index: n + 1, Address: last, Port: webPort}
	}
	if len(rest) > 0 {
		listeners = append(listeners, h.point(b, "crowd", backends)...)
	}
	return listeners
}

func (h *host) point(b *testing.B, name string, backends []agent.Backend) []string {
	b.Helper()
	listeners, err := h.table().Listeners(b.Context(), name, backends)
	if err == nil {
		err = h.table().Point(context.Background(), name, backends, true)
	}
	if err != nil {
		b.Fatal(err)
	}
	return listeners
}

// clone copies everything that the host's files say of an app.
func (h *host) clone(b *testing.B, template, name, former, listener string) {
	b.Helper()
	trees, err := filepath.Glob(filepath.Join(h.places.Lib, "config", "*", template))
	if err != nil {
		b.Fatal(err)
	}
	trees = append(trees, h.places.App(template), h.places.AppData(template), h.places.NginxLoaded(template), filepath.Join(h.places.Lib, "config", template))
	copied := func(text []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(template), []byte(name)), []byte(former), []byte(listener))
	}
	for _, tree := range trees {
		err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() && !entry.IsDir() {
				return err
			}
			to := strings.ReplaceAll(path, template, name)
			if entry.IsDir() {
				return os.MkdirAll(to, 0o755)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, copied(text), 0o644)
		})
		if err != nil && !os.IsNotExist(err) {
			b.Fatal(err)
		}
	}
	first, err := os.ReadFile(h.places.ReleaseRecord(template, 1))
	if err != nil {
		b.Fatal(err)
	}
	for version := 2; version <= crowdReleases; version++ {
		text := bytes.Replace(copied(first), []byte(`"version":1`), fmt.Appendf(nil, `"version":%d`, version), 1)
		if err := os.WriteFile(h.places.ReleaseRecord(name, version), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
