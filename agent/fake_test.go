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

// locked does something to the world that nobody else sees half done.
func (p *process) locked(ctx context.Context, name string, effect func() error) error {
	return p.do(ctx, name, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		return effect()
	})
}

// images and the types below have what a transaction asks of them; all else panics. What
// they have they do as the real parts do: the contract suites say so (contract_test.go).
type images struct {
	agent.Images
	*process
}

func (i images) Image(ctx context.Context, ref string) (image agent.Image, err error) {
	err = i.locked(ctx, "look at an image", func() error {
		image, err = i.imageOf(ref)
		return err
	})
	return image, err
}

func (w *world) imageOf(ref string) (agent.Image, error) {
	id, named := w.names[ref]
	if !named {
		id = ref
	}
	image, ok := w.images[id]
	if !ok {
		return agent.Image{}, fmt.Errorf("image %s: %w", ref, agent.ErrNotFound)
	}
	for _, name := range slices.Sorted(maps.Keys(w.names)) {
		switch {
		case w.names[name] != id:
		case strings.Contains(name, "@"):
			image.Digests = append(image.Digests, name)
		default:
			image.Names = append(image.Names, name)
		}
	}
	return image, nil
}

func (i images) Pull(ctx context.Context, ref string, _ *api.RegistryAuth, _ func(api.Progress)) error {
	return i.locked(ctx, "pull", func() error {
		image, ok := i.remote[ref]
		if !ok {
			return errors.New("manifest unknown")
		}
		i.images[image.ID], i.names[ref] = image, image.ID
		return nil
	})
}

func (i images) Tag(ctx context.Context, id, name string) error {
	return i.locked(ctx, "tag", func() error {
		if _, ok := i.images[id]; !ok {
			return agent.ErrNotFound
		}
		i.names[name] = id
		return nil
	})
}

// Untag lets the image go with its last name, unless a container of it runs.
func (i images) Untag(ctx context.Context, name string) error {
	return i.locked(ctx, "untag", func() error {
		id, named := i.names[name]
		if !named {
			id = name
		}
		delete(i.names, name)
		if !slices.Contains(slices.Collect(maps.Values(i.names)), id) && !i.used(id) {
			delete(i.images, id)
		}
		return nil
	})
}

func (w *world) used(image string) bool {
	for _, c := range w.containers {
		if c.Image == image && c.Running {
			return true
		}
	}
	return false
}

func (i images) Names(ctx context.Context, repository string) (found []string, err error) {
	err = i.locked(ctx, "list the image names", func() error {
		for _, name := range slices.Sorted(maps.Keys(i.names)) {
			if strings.HasPrefix(name, repository+":") {
				found = append(found, name)
			}
		}
		return nil
	})
	return found, err
}

// Dangling lists the images without a name that carry every label.
func (i images) Dangling(ctx context.Context, labels map[string]string) (found []agent.Image, err error) {
	err = i.locked(ctx, "list the images without a name", func() error {
		for _, id := range slices.Sorted(maps.Keys(i.images)) {
			carries := !slices.Contains(slices.Collect(maps.Values(i.names)), id)
			for key, value := range labels {
				carries = carries && i.images[id].Labels[key] == value
			}
			if carries {
				found = append(found, i.images[id])
			}
		}
		return nil
	})
	return found, err
}

type containers struct {
	agent.Containers
	*process
}

// find is the id of a container, by its id or its name.
func (w *world) find(ref string) (agent.Container, error) {
	if one, ok := w.containers[ref]; ok {
		return one, nil
	}
	for _, one := range w.containers {
		if one.Name == ref {
			return one, nil
		}
	}
	return agent.Container{}, fmt.Errorf("container %s: %w", ref, agent.ErrNotFound)
}

// change changes one container as an act.
func (c containers) change(ctx context.Context, act, ref string, f func(*agent.Container) error) error {
	return c.locked(ctx, act, func() error {
		one, err := c.find(ref)
		if err == nil {
			err = f(&one)
		}
		if err == nil {
			c.containers[one.ID] = one
		}
		return err
	})
}

func (w *world) taken(name, by string) error {
	for _, other := range w.containers {
		if other.Name == name && other.ID != by {
			return fmt.Errorf("the name %s is taken", name)
		}
	}
	return nil
}

func (c containers) Create(ctx context.Context, spec agent.ContainerSpec) (id string, err error) {
	err = c.locked(ctx, "create", func() error {
		if _, err := c.imageOf(spec.Image); err != nil {
			return err
		}
		name, _, _ := strings.Cut(spec.Name, ".upcoming-")
		if spec.Labels["com.dokku.container-type"] == "phase" {
			name = spec.Labels["dokku_phase_script"]
		}
		one := agent.Container{ID: spec.Labels["com.dokku.app-name"] + "/" + spec.Labels["com.dokku-push.request"] + "/" + name, Name: spec.Name,
			Image: spec.Image, Labels: spec.Labels, Status: "created", Memory: c.memory}
		if err := c.taken(one.Name, ""); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(spec.Env)) {
			one.Env = append(one.Env, key+"="+spec.Env[key])
		}
		one.Env = append(one.Env, "TEST_CMD="+strings.Join(append(spec.Entrypoint, spec.Cmd...), " "))
		c.containers[one.ID], id = one, one.ID
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (c containers) Start(ctx context.Context, ref string) error {
	return c.change(ctx, "start", ref, func(one *agent.Container) error {
		one.Running, one.Status, one.Address = true, "running", "address of "+one.ID
		return nil
	})
}

func (c containers) Resume(ctx context.Context, ref, _ string) error { return c.Start(ctx, ref) }

func (c containers) Inspect(ctx context.Context, ref string) (one agent.Container, err error) {
	err = c.locked(ctx, "look at a container", func() error {
		one, err = c.find(ref)
		return err
	})
	return one, err
}

func (c containers) List(ctx context.Context, labels map[string]string) (found []agent.Container, err error) {
	err = c.locked(ctx, "list the containers", func() error {
		for _, id := range slices.Sorted(maps.Keys(c.containers)) {
			one, all := c.containers[id], true
			for key, value := range labels {
				all = all && one.Labels[key] == value
			}
			if all {
				found = append(found, one)
			}
		}
		slices.SortFunc(found, func(a, b agent.Container) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return found, err
}

func (c containers) Rename(ctx context.Context, ref, name string) error {
	return c.change(ctx, "rename", ref, func(one *agent.Container) error {
		one.Name = name
		return c.taken(name, one.ID)
	})
}

func (c containers) Stop(ctx context.Context, ref string, _ time.Duration) error {
	err := c.change(ctx, "stop", ref, func(one *agent.Container) error {
		one.Running, one.Status, one.Address = false, "exited", ""
		return nil
	})
	if errors.Is(err, agent.ErrNotFound) {
		return nil
	}
	return err
}

func (c containers) Remove(ctx context.Context, ref string) error {
	return c.locked(ctx, "remove", func() error {
		if one, err := c.find(ref); err == nil {
			delete(c.containers, one.ID)
		}
		return nil
	})
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

func (c containers) Run(ctx context.Context, ref string, _ agent.Streams) (int, error) {
	exit := 0
	err := c.change(ctx, "run", ref, func(one *agent.Container) error {
		one.Status = "exited"
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
func (c containers) Commit(ctx context.Context, ref, base string, labels map[string]string) (id string, err error) {
	err = c.locked(ctx, "commit", func() error {
		image := c.images[base]
		image.ID = base + "-after-" + ref
		image.Labels = merged(image.Labels, labels)
		c.images[image.ID], id = image, image.ID
		return nil
	})
	return id, err
}

func (c containers) ReadFile(ctx context.Context, ref, path string, most int64) (content []byte, err error) {
	err = c.locked(ctx, "read a file", func() error {
		one, err := c.find(ref)
		if err != nil {
			return err
		}
		text, there := c.files[one.Image][path]
		if !there {
			return fmt.Errorf("%s: %w", path, agent.ErrNotFound)
		}
		if content = []byte(text); int64(len(content)) > most {
			return errors.New("it is too large")
		}
		return nil
	})
	return content, err
}

func (c containers) Volumes(ctx context.Context, prefix string) (found []string, err error) {
	err = c.locked(ctx, "list the volumes", func() error {
		for _, name := range slices.Sorted(maps.Keys(c.volumes)) {
			if strings.HasPrefix(name, prefix) {
				found = append(found, name)
			}
		}
		return nil
	})
	return found, err
}

func (c containers) RemoveVolume(ctx context.Context, name string) error {
	return c.locked(ctx, "remove a volume", func() error {
		if !c.volumes[name] {
			delete(c.volumes, name)
		}
		return nil
	})
}

func (c containers) Info(ctx context.Context) (info agent.EngineInfo, err error) {
	err = c.do(ctx, "ask the engine", func() error {
		info = agent.EngineInfo{OS: "linux", Arch: "amd64", Memory: 8 << 30}
		return nil
	})
	return info, err
}

// proxy keeps the app's file where nginx has it, and what is loaded beside it.
type proxy struct {
	agent.Proxy
	*process
}

func (p proxy) Baseline(ctx context.Context, _ string) ([]string, error) {
	return nil, p.do(ctx, "baseline", func() error { return nil })
}

func (p proxy) Render(_ context.Context, site agent.Site) ([]byte, error) {
	return fmt.Appendf(nil, "%v %v %v\n", site.Domains, site.Ports, site.Listeners), nil
}

func (p proxy) Check(ctx context.Context, _ string, conf []byte) error {
	return p.do(ctx, "check the site", func() error { return p.valid(conf) })
}

// valid is what nginx -t says: a file may not hold nonsense.
func (p proxy) valid(conf []byte) error {
	if strings.Contains(string(conf), "nonsense") {
		return api.Errorf(api.ProxyFailed, "test nginx", `unknown directive "nonsense"`)
	}
	return nil
}

func (p proxy) Domain(string) error { return nil }

func (p proxy) Diff(_ string, conf []byte) (string, error) { return "+" + string(conf), nil }

func (p proxy) load(app string) (reloaded bool, err error) {
	places := p.world.places()
	live, err := os.ReadFile(places.NginxConf(app))
	loaded, loadedErr := os.ReadFile(places.NginxLoaded(app))
	if errors.Is(err, fs.ErrNotExist) {
		return loadedErr == nil, os.RemoveAll(places.NginxLoaded(app))
	}
	if err == nil {
		err = p.valid(live)
	}
	if err != nil || loadedErr == nil && string(live) == string(loaded) {
		return false, err
	}
	return true, errors.Join(os.MkdirAll(filepath.Dir(places.NginxLoaded(app)), 0o755), os.WriteFile(places.NginxLoaded(app), live, 0o644))
}

func (p proxy) keep(app, kept string) error {
	former, err := os.ReadFile(p.world.places().NginxConf(app))
	other := kept + ".absent"
	if errors.Is(err, fs.ErrNotExist) {
		kept, other, err = other, kept, nil
	}
	return errors.Join(err, os.MkdirAll(filepath.Dir(kept), 0o755), os.RemoveAll(other), os.WriteFile(kept, former, 0o644))
}

func (p proxy) Swap(ctx context.Context, app string, conf []byte, kept string, preReload func() error) (bool, error) {
	if err := p.do(ctx, "keep the site", func() error { return p.keep(app, kept) }); err != nil {
		return false, err
	}
	reloaded := false
	err := p.do(ctx, "swap the site", func() error { return os.WriteFile(p.world.places().NginxConf(app), conf, 0o644) })
	if err == nil && preReload != nil {
		err = preReload()
	}
	if err == nil {
		err = p.do(ctx, "reload", func() (err error) {
			reloaded, err = p.load(app)
			return err
		})
	}
	if err != nil {
		return false, errors.Join(err, p.Restore(context.WithoutCancel(ctx), app, kept))
	}
	return reloaded, nil
}

func (p proxy) Restore(ctx context.Context, app, kept string) error {
	return p.do(ctx, "restore the site", func() error {
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
	})
}

func (p proxy) Remove(ctx context.Context, app string) error {
	return p.do(ctx, "remove the site", func() error {
		err := os.RemoveAll(p.world.places().NginxConf(app))
		if err == nil {
			_, err = p.load(app)
		}
		return err
	})
}

type traffic struct {
	agent.Traffic
	*process
}

func (traffic) Name() string { return "map" }

func (t traffic) Listeners(ctx context.Context, app string, backends []agent.Backend) (addresses []string, err error) {
	err = t.locked(ctx, "give addresses", func() error {
		for _, backend := range backends {
			if backend.Port < 1 || backend.Port > 65535 {
				return fmt.Errorf("%d is no port", backend.Port)
			}
			key := fmt.Sprint(app, ".", backend.Index)
			if t.addresses[key] == "" {
				t.addresses[key] = t.free()
			}
			addresses = append(addresses, fmt.Sprintf("%s:%d", t.addresses[key], backend.Port))
		}
		return nil
	})
	return addresses, err
}

// free is the lowest address that nobody has.
func (w *world) free() string {
	for n := 1; ; n++ {
		address := fmt.Sprintf("198.18.0.%d", n)
		if !slices.Contains(slices.Collect(maps.Values(w.addresses)), address) {
			return address
		}
	}
}

func (t traffic) Point(ctx context.Context, app string, backends []agent.Backend, exact bool) error {
	return t.locked(ctx, "point", func() error {
		points := maps.Clone(t.points[app])
		if exact || points == nil {
			points = map[int]agent.Backend{}
		}
		for _, backend := range backends {
			points[backend.Index] = backend
		}
		t.points[app] = points
		return nil
	})
}

func (t traffic) Sync(ctx context.Context, apps map[string][]agent.Backend) error {
	return t.locked(ctx, "sync", func() error {
		clear(t.points)
		for app, backends := range apps {
			t.points[app] = map[int]agent.Backend{}
			for _, backend := range backends {
				t.points[app][backend.Index] = backend
			}
		}
		return nil
	})
}

func (t traffic) Forget(ctx context.Context, app string) error {
	return t.locked(ctx, "forget the addresses", func() error {
		delete(t.points, app)
		maps.DeleteFunc(t.addresses, func(key, _ string) bool { return key[:strings.LastIndex(key, ".")] == app })
		return nil
	})
}

func (t traffic) Drain(ctx context.Context, _ string, _ time.Duration) (int, error) {
	return 0, t.do(ctx, "drain", func() error { return nil })
}

// blobs has received nothing: images come from a registry here.
type blobs struct {
	agent.Blobs
	*process
}

func (b blobs) Tidy(string) error { return nil }

func (b blobs) Forget(string) error {
	return b.disk("forget the layers", func() error { return nil })
}

type walk struct{ *process }

func (w walk) Trigger(ctx context.Context, name string, args []string, streams agent.Streams) error {
	if plugin := w.plugins[name]; plugin != nil {
		return plugin(args)
	}
	if w.plugin == nil {
		return nil
	}
	return w.do(ctx, "trigger "+name, func() error { return w.plugin(ctx, name, streams) })
}

func (w walk) Has(name string) bool { return len(w.Ships(name)) > 0 }

func (w walk) Ships(name string) []string {
	if w.plugins[name] == nil && w.plugin == nil {
		return nil
	}
	return []string{"test"}
}

type checker struct{ *process }

// Check is an act that only waits: who is killed in it is killed before the next one.
func (c checker) Check(ctx context.Context, _ agent.Probe, _ func(string)) error {
	if c.exited != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	c.mu.Lock()
	hung := false
	if !c.dead {
		c.did = append(c.did, act{"check", true})
		hung = len(c.did) == c.process.fault.at && c.process.fault.how == hangs
	}
	c.mu.Unlock()
	if hung {
		c.process.fault.cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	return c.unhealthy
}
