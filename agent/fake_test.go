package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// images and the types below have what a transaction asks of them; all else panics.
type images struct {
	agent.Images
	*process
}

func (i images) Image(_ context.Context, ref string) (agent.Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, named := i.names[ref]
	if !named {
		id = ref
	}
	image, ok := i.images[id]
	if !ok {
		return agent.Image{}, fmt.Errorf("image %s: %w", ref, agent.ErrNotFound)
	}
	for _, name := range slices.Sorted(maps.Keys(i.names)) {
		switch {
		case i.names[name] != id:
		case strings.Contains(name, "@"):
			image.Digests = append(image.Digests, name)
		default:
			image.Names = append(image.Names, name)
		}
	}
	return image, nil
}

func (i images) Pull(_ context.Context, ref string, _ *api.RegistryAuth, _ func(api.Progress)) error {
	if err := i.act("pull"); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	image, ok := i.remote[ref]
	if !ok {
		return errors.New("manifest unknown")
	}
	i.images[image.ID], i.names[ref] = image, image.ID
	return nil
}

func (i images) Tag(_ context.Context, id, name string) error {
	if err := i.act("tag"); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.images[id]; !ok {
		return agent.ErrNotFound
	}
	i.names[name] = id
	return nil
}

func (i images) Untag(_ context.Context, name string) error {
	if err := i.act("untag"); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	id, named := i.names[name]
	if !named {
		id = name
	}
	delete(i.names, name)
	if !slices.Contains(slices.Collect(maps.Values(i.names)), id) {
		delete(i.images, id)
	}
	return nil
}

func (i images) Names(_ context.Context, repository string) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var found []string
	for _, name := range slices.Sorted(maps.Keys(i.names)) {
		if strings.HasPrefix(name, repository+":") {
			found = append(found, name)
		}
	}
	return found, nil
}

type containers struct {
	agent.Containers
	*process
}

// change changes one container as an act.
func (c containers) change(act, ref string, f func(*agent.Container) error) error {
	if err := c.act(act); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.containers[ref]
	if !ok {
		return fmt.Errorf("container %s: %w", ref, agent.ErrNotFound)
	}
	if err := f(&one); err != nil {
		return err
	}
	c.containers[ref] = one
	return nil
}

func (c containers) Create(_ context.Context, spec agent.ContainerSpec) (string, error) {
	if err := c.act("create"); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name, _, _ := strings.Cut(spec.Name, ".upcoming-")
	if spec.Labels["com.dokku.container-type"] == "phase" {
		name = spec.Labels["dokku_phase_script"]
	}
	one := agent.Container{ID: spec.Labels["com.dokku-push.request"] + "/" + name, Name: spec.Name, Image: spec.Image, Labels: spec.Labels, Status: "created"}
	for _, key := range slices.Sorted(maps.Keys(spec.Env)) {
		one.Env = append(one.Env, key+"="+spec.Env[key])
	}
	one.Env = append(one.Env, "TEST_CMD="+strings.Join(append(spec.Entrypoint, spec.Cmd...), " "))
	c.containers[one.ID] = one
	return one.ID, nil
}

func (c containers) Start(_ context.Context, ref string) error {
	return c.change("start", ref, func(one *agent.Container) error {
		one.Running, one.Status, one.Address = true, "running", "address of "+one.ID
		return nil
	})
}

func (c containers) Inspect(_ context.Context, ref string) (agent.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.containers[ref]
	if !ok {
		return one, fmt.Errorf("container %s: %w", ref, agent.ErrNotFound)
	}
	return one, nil
}

func (c containers) List(_ context.Context, labels map[string]string) ([]agent.Container, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []agent.Container
	for _, id := range slices.Sorted(maps.Keys(c.containers)) {
		one, all := c.containers[id], true
		for key, value := range labels {
			all = all && one.Labels[key] == value
		}
		if all {
			found = append(found, one)
		}
	}
	return found, nil
}

func (c containers) Rename(_ context.Context, ref, name string) error {
	return c.change("rename", ref, func(one *agent.Container) error {
		for _, other := range c.containers {
			if other.Name == name && other.ID != ref {
				return fmt.Errorf("the name %s is taken", name)
			}
		}
		one.Name = name
		return nil
	})
}

func (c containers) Stop(_ context.Context, ref string, _ time.Duration) error {
	return c.change("stop", ref, func(one *agent.Container) error {
		one.Running, one.Status, one.Address = false, "exited", ""
		return nil
	})
}

func (c containers) Remove(_ context.Context, ref string) error {
	if err := c.act("remove"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.containers, ref)
	return nil
}

func (c containers) Wait(context.Context, string) <-chan agent.Exit {
	exits := make(chan agent.Exit, 1)
	if c.exited != nil {
		exits <- *c.exited
	}
	return exits
}

func (c containers) Logs(_ context.Context, _ string, options agent.LogOptions, out io.Writer) error {
	_, err := fmt.Fprintf(out, "one of %d lines\nthe last", options.Tail)
	return err
}

func (c containers) Run(_ context.Context, ref string, _ agent.Streams) (int, error) {
	exit := 0
	err := c.change("run", ref, func(one *agent.Container) error {
		for script, code := range c.exits {
			if strings.HasSuffix(one.Env[len(one.Env)-1], script) {
				exit = code
			}
		}
		return nil
	})
	return exit, err
}

// Commit makes an image that is the base with another id.
func (c containers) Commit(_ context.Context, ref, base string, _ map[string]string) (string, error) {
	if err := c.act("commit"); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	image := c.images[base]
	image.ID = base + "-after-" + ref
	c.images[image.ID] = image
	return image.ID, nil
}

func (c containers) Info(context.Context) (agent.EngineInfo, error) {
	return agent.EngineInfo{OS: "linux", Arch: "amd64"}, nil
}

// proxy keeps the app's file where nginx has it, and what is loaded beside it.
type proxy struct {
	agent.Proxy
	*process
}

func (p proxy) Baseline(context.Context, string) ([]string, error) { return nil, nil }

func (p proxy) Render(_ context.Context, site agent.Site) ([]byte, error) {
	return fmt.Appendf(nil, "%v %v %v\n", site.Domains, site.Ports, site.Listeners), nil
}

func (p proxy) Check(context.Context, string, []byte) error { return p.act("check the site") }

func (p proxy) Domain(string) error { return nil }

func (p proxy) Diff(_ string, conf []byte) (string, error) { return "+" + string(conf), nil }

func (p proxy) load(app string) (reloaded bool, err error) {
	places := p.world.places()
	live, err := os.ReadFile(places.NginxConf(app))
	loaded, _ := os.ReadFile(places.NginxLoaded(app))
	if errors.Is(err, fs.ErrNotExist) {
		return true, os.RemoveAll(places.NginxLoaded(app))
	}
	if err != nil || string(live) == string(loaded) {
		return false, err
	}
	return true, errors.Join(os.MkdirAll(filepath.Dir(places.NginxLoaded(app)), 0o755), os.WriteFile(places.NginxLoaded(app), live, 0o644))
}

func (p proxy) Swap(ctx context.Context, app string, conf []byte, kept string, preReload func() error) (bool, error) {
	if err := p.act("keep the site"); err != nil {
		return false, err
	}
	path := p.world.places().NginxConf(app)
	former, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		kept, err = kept+".absent", nil
	}
	if err := errors.Join(err, os.WriteFile(kept, former, 0o644), p.act("swap the site"), os.WriteFile(path, conf, 0o644)); err != nil {
		return false, err
	}
	err = errors.Join(preReload(), p.act("reload"))
	reloaded := false
	if err == nil {
		reloaded, err = p.load(app)
	}
	if err != nil {
		err = errors.Join(err, p.Restore(ctx, app, strings.TrimSuffix(kept, ".absent")))
	}
	return reloaded, err
}

func (p proxy) Restore(_ context.Context, app, kept string) error {
	if err := p.act("restore the site"); err != nil {
		return err
	}
	path := p.world.places().NginxConf(app)
	former, err := os.ReadFile(kept)
	if err == nil {
		err = os.WriteFile(path, former, 0o644)
	} else if _, absent := os.Stat(kept + ".absent"); absent == nil {
		err = os.RemoveAll(path)
	} else {
		return nil // it was never swapped
	}
	if err == nil {
		_, err = p.load(app)
	}
	return err
}

func (p proxy) Remove(_ context.Context, app string) error {
	return os.RemoveAll(p.world.places().NginxConf(app))
}

type traffic struct {
	agent.Traffic
	*process
}

func (traffic) Name() string { return "map" }

func (t traffic) Listeners(_ context.Context, _ string, backends []agent.Backend) ([]string, error) {
	var addresses []string
	for _, backend := range backends {
		addresses = append(addresses, fmt.Sprintf("198.18.0.%d:%d", backend.Index, backend.Port))
	}
	return addresses, nil
}

func (t traffic) Point(_ context.Context, app string, backends []agent.Backend, exact bool) error {
	if err := t.act("point"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	points := maps.Clone(t.points[app])
	if exact || points == nil {
		points = map[int]agent.Backend{}
	}
	for _, backend := range backends {
		points[backend.Index] = backend
	}
	t.points[app] = points
	return nil
}

func (t traffic) Drain(context.Context, string, time.Duration) (int, error) { return 0, t.act("drain") }

type walk struct{ *process }

func (w walk) Trigger(_ context.Context, name string, args []string, _ agent.Streams) error {
	if plugin := w.plugins[name]; plugin != nil {
		return plugin(args)
	}
	return nil
}

func (w walk) Has(name string) bool { return len(w.Ships(name)) > 0 }

func (w walk) Ships(name string) []string {
	if w.plugins[name] == nil {
		return nil
	}
	return []string{"test"}
}

type checker struct{ *process }

func (c checker) Check(ctx context.Context, _ agent.Probe, _ func(string)) error {
	if c.exited != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return c.unhealthy
}
