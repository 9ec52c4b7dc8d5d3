package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// floor deploys by what cannot be left out: pull, create, start, a first healthy answer,
// and the switch that the agent uses. It has a site of its own in the host's nginx and
// an element of its own in the host's map; it records nothing and could undo nothing.
type floor struct {
	engine  *client.Client
	host    *host
	name    string // of the site and of the map's entry
	current string // container
	made    int
}

func newFloor(b *testing.B, h *host, first built) *floor {
	b.Helper()
	f := &floor{engine: testkit.Engine(b), host: h, name: testkit.AppName(b, "floor")}
	b.Cleanup(func() {
		f.remove(context.Background(), f.current)
		_ = h.table().Forget(context.Background(), f.name) // the table goes with the host
	})
	listeners, err := h.table().Listeners(b.Context(), f.name, []agent.Backend{{Index: 1, Port: webPort}})
	if err != nil {
		b.Fatal(err)
	}
	site := fmt.Sprintf("upstream %[1]s { server %[2]s; }\nserver { listen %[3]s; server_name %[1]s.localhost; location / { proxy_pass http://%[1]s; } }\n",
		f.name, listeners[0], h.HTTP)
	if err := os.WriteFile(filepath.Join(h.places.Data(), "nginx.d", f.name+".conf"), []byte(site), 0o644); err != nil {
		b.Fatal(err)
	}
	h.reloadNginx(b)
	f.deploy(b, first)
	return f
}

// deploy returns how long it took until the new container answered through nginx, and
// the parts of that time.
func (f *floor) deploy(b *testing.B, image built) (time.Duration, []part) {
	b.Helper()
	parts := newParts()
	answered := f.host.await(b.Context(), f.name+".localhost", image.text)
	former := f.current
	f.must(b, "pull", f.pull(b.Context(), image))
	parts.done("pull")
	f.must(b, "create", f.create(b.Context(), image))
	parts.done("create")
	_, err := f.engine.ContainerStart(b.Context(), f.current, client.ContainerStartOptions{})
	f.must(b, "start", err)
	address, err := f.address(b.Context())
	f.must(b, "inspect", err)
	parts.done("start")
	f.must(b, "check", f.healthy(b.Context(), address))
	parts.done("check")
	backend := agent.Backend{Index: 1, Address: address.String(), Port: webPort}
	f.must(b, "switch", f.host.table().Point(b.Context(), f.name, []agent.Backend{backend}, true))
	at, ok := <-answered
	if !ok {
		b.Fatal("the floor's container never answered")
	}
	parts.done("switch and first answer")
	f.remove(b.Context(), former)
	return at.Sub(parts.begun), parts.list
}

func (f *floor) must(b *testing.B, doing string, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("the floor: %s: %v", doing, err)
	}
}

func (f *floor) pull(ctx context.Context, image built) error {
	answer, err := f.engine.ImagePull(ctx, image.ref(), client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

// create makes a container as the agent's is: with an init, a restart policy and PORT.
func (f *floor) create(ctx context.Context, image built) error {
	f.made++
	init := true
	result, err := f.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: fmt.Sprintf("%s.%d", f.name, f.made),
		Config: &container.Config{Image: image.ID, Env: []string{fmt.Sprintf("PORT=%d", webPort)},
			Cmd: []string{"/bin/sh", "-c", `exec busybox httpd -f -p "$PORT" -h /www`}},
		HostConfig: &container.HostConfig{Init: &init, RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: 10}},
	})
	f.current = result.ID
	return err
}

func (f *floor) address(ctx context.Context) (netip.Addr, error) {
	found, err := f.engine.ContainerInspect(ctx, f.current, client.ContainerInspectOptions{})
	if err != nil {
		return netip.Addr{}, err
	}
	return found.Container.NetworkSettings.Networks["bridge"].IPAddress, nil
}

// healthy asks until the container answers, as often as the agent's check does.
func (f *floor) healthy(ctx context.Context, address netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/", netip.AddrPortFrom(address, webPort)), nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (f *floor) remove(ctx context.Context, id string) {
	if id != "" {
		_, _ = f.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true}) // the host's end sweeps nothing of it; it is named
	}
}

// part is one part of a deploy and how long it took.
type part struct {
	name string
	took time.Duration
}

type parts struct {
	begun, last time.Time
	list        []part
}

func newParts() *parts {
	now := time.Now()
	return &parts{begun: now, last: now}
}

func (p *parts) done(name string) {
	now := time.Now()
	p.list = append(p.list, part{name, now.Sub(p.last)})
	p.last = now
}
