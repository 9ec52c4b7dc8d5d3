package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// The labels of an app's containers (PLUGIN-CONTRACT 6.2) and our own.
const (
	labelApp     = "com.dokku.app-name"
	labelType    = "com.dokku.container-type"
	labelProcess = "com.dokku.process-type"
	labelDyno    = "com.dokku.dyno"
	labelRequest = "com.dokku-push.request"
	labelHost    = "com.dokku-push.host"
	labelCommit  = "com.dokku-push.commit" // of an image that a request has committed
)

// upcoming stands behind the final name of a container until its release is committed.
const upcoming = ".upcoming-"

// ID tells this host's containers from those of another one on the same engine.
func (h *Host) ID() string { return h.Config.ID }

// labels are those of every container that belongs to an app.
func (h *Host) labels(app, containerType string) map[string]string {
	return map[string]string{
		"org.label-schema.schema-version": "1.0", "org.label-schema.vendor": "dokku", "dokku": "",
		labelApp: app, labelType: containerType, labelHost: h.ID(),
	}
}

// instances lists the containers of the current release: those that carry
// their final name and run.
func (h *Host) instances(ctx context.Context, app string) ([]instance, error) {
	all, err := h.appContainers(ctx, app)
	if err != nil {
		return nil, err
	}
	var current []instance
	for _, c := range all {
		i, ok := instanceOf(c)
		if !ok || c.Name != i.finalName(app) || !c.Running {
			continue
		}
		if i.Process == "web" {
			i.Port = envPort(c.Env)
		}
		current = append(current, i)
	}
	return current, nil
}

// appContainers lists the app's deploy containers, running or not.
func (h *Host) appContainers(ctx context.Context, app string) ([]Container, error) {
	all, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelType: "deploy", labelHost: h.ID()})
	if err != nil {
		return nil, fmt.Errorf("list the containers of %s: %w", app, err)
	}
	return all, nil
}

func instanceOf(c Container) (instance, bool) {
	process, number, ok := strings.Cut(c.Labels[labelDyno], ".")
	index, err := strconv.Atoi(number)
	return instance{Process: process, Index: index, ID: c.ID, Name: c.Name, Address: c.Address}, ok && err == nil
}

func envPort(env []string) int {
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "PORT="); ok {
			port, _ := strconv.Atoi(value)
			return port
		}
	}
	return 0
}

// containersUndo: what is to be removed carries the request's label.
type containersUndo struct {
	Request string `json:"request"`
}

func (r *run) planContainers(context.Context) (any, error) {
	return containersUndo{Request: r.change.Request}, nil
}

// undoContainers removes every container that the request has made.
func undoContainers(ctx context.Context, h *Host, app string, data json.RawMessage) error {
	undo, err := decodeUndo[containersUndo](data)
	if err != nil {
		return err
	}
	made, err := h.Containers.List(ctx, map[string]string{labelApp: app, labelHost: h.ID(), labelRequest: undo.Request})
	if err != nil {
		return fmt.Errorf("list the new containers: %w", err)
	}
	var failures []error
	for _, c := range made {
		if err := ignoreNotFound(h.Containers.Remove(ctx, c.ID)); err != nil {
			failures = append(failures, fmt.Errorf("remove the container %s: %w", c.Name, err))
		}
	}
	return errors.Join(failures...)
}

// start creates and starts every container of every process type, all at once:
// nothing is checked, and no traffic moves, before all of them are there.
func (r *run) start(ctx context.Context) error {
	if err := r.refresh(); err != nil {
		return err
	}
	running, err := r.Host.appContainers(ctx, r.change.App)
	if err != nil {
		return err
	}
	wanted := r.sortContainers(running)
	if len(wanted) == 0 {
		return nil
	}
	if err := r.fire(ctx, api.Precondition, "scheduler-deploy", scheduler, r.change.App, tag, r.change.Process); err != nil {
		return err
	}
	if answer, err := r.ask(ctx, api.Precondition, "bind-external-ip", r.change.App); err != nil {
		return err
	} else if strings.TrimSpace(answer) == "true" {
		r.warn("a plugin asks for published ports (bind-external-ip); containers are reached on the engine's own network instead")
	}
	specs := make([]ContainerSpec, len(wanted))
	for n := range wanted { // plugins are asked one after the other, as Dokku does
		if specs[n], err = r.spec(ctx, wanted[n]); err != nil {
			return err
		}
	}
	r.fresh = wanted
	if err := r.each(func(n int) error { return r.create(ctx, &r.fresh[n], specs[n]) }); err != nil {
		return err
	}
	for n := range r.fresh { // in order, as above: which one comes first is not left to chance
		i := &r.fresh[n]
		if err := r.fire(ctx, api.Unhealthy, "post-container-create", "app", i.ID, r.change.App, "deploy", i.Process); err != nil {
			return err
		}
		// The watch outlives this step: it ends with the check step.
		r.exits[i.ID] = r.Containers.Wait(context.WithoutCancel(ctx), i.ID)
	}
	if err := r.stopFirst(ctx); err != nil {
		return err
	}
	return r.each(func(n int) error { return r.startOne(ctx, &r.fresh[n]) })
}

// each does something to all new containers at once, to as many of a process type as
// its max_parallel allows, and returns every failure.
func (r *run) each(do func(n int) error) error {
	var wait sync.WaitGroup
	failures := make([]error, len(r.fresh))
	places := map[string]chan struct{}{}
	for _, i := range r.fresh {
		if places[i.Process] == nil {
			places[i.Process] = make(chan struct{}, r.parallel(i.Process))
		}
	}
	for n, i := range r.fresh {
		wait.Go(func() {
			places[i.Process] <- struct{}{}
			defer func() { <-places[i.Process] }()
			failures[n] = do(n)
		})
	}
	wait.Wait()
	return errors.Join(failures...)
}

// parallel is how many containers of a process type are started at once: dokku.hcl's
// max_parallel, app.json's, or all, as -1 says of either.
func (r *run) parallel(process string) int {
	n, err := strconv.Atoi(r.settings.Properties[processProperty("ps", process, "max-parallel")])
	if (err != nil || n == 0) && r.appJSON != nil {
		n = r.appJSON.Formation[process].MaxParallel
	}
	if n > 0 {
		return n
	}
	return mostContainers
}

// sortContainers splits what there is into what stays and what goes, and returns
// what is to be made.
func (r *run) sortContainers(running []Container) []instance {
	have := map[string]bool{}
	for _, c := range running {
		i, ok := instanceOf(c)
		if !ok {
			continue
		}
		if i.Process == "web" {
			i.Port = envPort(c.Env)
		}
		stays := r.keeps(i.Process) && c.Running && c.Name == i.finalName(r.change.App) && i.Index <= r.settings.Scale[i.Process]
		if stays {
			have[i.label()] = true
			r.kept = append(r.kept, i)
		} else if c.Labels[labelRequest] != r.change.Request {
			r.old = append(r.old, i)
		}
	}
	var wanted []instance
	for _, process := range slices.Sorted(maps.Keys(r.settings.Scale)) {
		for index := 1; index <= r.settings.Scale[process]; index++ {
			i := instance{Process: process, Index: index}
			if !have[i.label()] {
				wanted = append(wanted, i)
			}
		}
	}
	// web first: it is the one that people look at in the output.
	sort.SliceStable(wanted, func(a, b int) bool { return wanted[a].Process == "web" && wanted[b].Process != "web" })
	return wanted
}

// keeps tells whether what runs of a process type already stays: when only the scale
// changes, or when another process type is restarted.
func (r *run) keeps(process string) bool {
	return r.change.Kind == Scale || r.change.Kind == Restart && r.change.Process != "" && r.change.Process != process
}

// create makes one container.
func (r *run) create(ctx context.Context, i *instance, spec ContainerSpec) error {
	id, err := r.Containers.Create(ctx, spec)
	if err != nil {
		return api.Errorf(api.Unhealthy, "create "+i.label(), "%w", err)
	}
	i.ID, i.Name = id, spec.Name
	return r.connect(ctx, "attach-post-create", *i)
}

// startOne starts one container.
func (r *run) startOne(ctx context.Context, i *instance) error {
	if err := r.Containers.Start(ctx, i.ID); err != nil {
		return api.Errorf(api.Unhealthy, "start "+i.label(), "%w", err).
			WithHint("is the command of %q in the Procfile a program of the image?", i.Process)
	}
	return nil
}

// spec asks the plugins and puts together what the engine is told.
func (r *run) spec(ctx context.Context, i instance) (ContainerSpec, error) {
	app := r.change.App
	args, err := r.dockerArgs(ctx, "docker-args-deploy", app, tag, i.Process, strconv.Itoa(i.Index))
	if err != nil {
		return ContainerSpec{}, err
	}
	more, err := r.dockerArgs(ctx, "docker-args-process-deploy", app, r.builder(), tag, i.Process, strconv.Itoa(i.Index))
	if err != nil {
		return ContainerSpec{}, err
	}
	own, err := optionsOf(r.settings, i.Process, "deploy")
	if err == nil {
		err = r.Host.stillMounts(app, own)
	}
	if err != nil {
		return ContainerSpec{}, err
	}
	own = slices.Concat(limitArgs(r.settings, i.Process), logArgs(r.Host.inherit(r.settings)), own)
	suffix, err := drawn(5)
	if err != nil {
		return ContainerSpec{}, err
	}
	labels := r.Host.labels(app, "deploy")
	labels[labelProcess], labels[labelDyno], labels[labelRequest] = i.Process, i.label(), r.change.Request
	env := r.env()
	env["DYNO"] = i.label()
	env["PORT"] = ""
	if i.Process == "web" {
		env["PORT"] = strconv.Itoa(webPort(r.ports))
	}
	memory, cpus := limits(r.settings, i.Process)
	runs := r.starts(i.Process)
	spec := ContainerSpec{
		Name: i.finalName(app) + upcoming + suffix, Image: r.image.ID,
		Entrypoint: runs.entrypoint, Cmd: runs.command, Env: env, Labels: labels, Args: slices.Concat(own, args, more),
		Init: true, Restart: r.restartPolicy(), Memory: memory, NanoCPUs: cpus,
	}
	r.networked(&spec, i.Process)
	return spec, nil
}

// starts is what a process type runs: property, Procfile, or what the image says.
func (r *run) starts(process string) start {
	line, _ := r.procfile.Command(process)
	for _, property := range []string{"ps/start-cmd", "ps/dockerfile-start-cmd"} {
		own := r.settings.Properties[property]
		if own != "" && process == "web" && (property == "ps/start-cmd" || r.builder() == "dockerfile") {
			return commandIn(r.image, containerCommand(own))
		}
	}
	return startOf(r.image, process, line)
}

func (r *run) restartPolicy() string {
	if policy := r.settings.Properties["ps/restart-policy"]; policy != "" {
		return policy
	}
	return "on-failure:10"
}

// env is the app's config over the host's.
func (r *run) env() map[string]string {
	env := cloned(r.global)
	maps.Copy(env, r.settings.Env)
	return env
}

// dockerArgs asks for docker options and splits them as a shell would, without
// ever running one (PLUGIN-CONTRACT 4.3).
func (r *run) dockerArgs(ctx context.Context, trigger string, args ...string) ([]string, error) {
	answer, err := r.ask(ctx, api.Precondition, trigger, args...)
	if err != nil {
		return nil, err
	}
	words, err := SplitWords(answer)
	if err != nil {
		return nil, api.Errorf(api.Precondition, "read the answer of "+trigger, "%w: %s", err, strings.TrimSpace(answer))
	}
	return words, nil
}

// backendsOf returns those of a list that serve, as backends in order.
func backendsOf(instances []instance) []Backend {
	var backends []Backend
	for _, i := range instances {
		if i.Process == "web" && i.Address != "" && i.Port != 0 {
			backends = append(backends, Backend{Index: i.Index, Address: i.Address, Port: i.Port})
		}
	}
	sort.Slice(backends, func(a, b int) bool { return backends[a].Index < backends[b].Index })
	return backends
}

// lastLines reads what a container has printed at the end.
func (h *Host) lastLines(id string, n int) []string {
	var collected []string
	out := &lines{say: func(line string) { collected = append(collected, line) }}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := h.Containers.Logs(ctx, id, LogOptions{Tail: n}, out); err != nil {
		return []string{"(its output could not be read: " + err.Error() + ")"}
	}
	out.flush()
	return collected
}

const (
	killed  = 137 // exit code of a process that SIGKILL ended
	oomTold = 6   // looks at a killed container before its memory is believed innocent
)

// failure says what became of a container that was found wanting: it ended with code, or
// with what the engine says where that is 0.
func (h *Host) failure(label, id string, code int) *api.Failure {
	failure := &api.Failure{Container: label, ExitCode: code, LastLines: h.lastLines(id, 20)}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := h.Containers.Inspect(ctx, id)
	for range oomTold { // the engine hears of the kernel's kill a moment after the end
		if err != nil || c.ExitCode != killed || c.OOMKilled || c.Memory > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
		c, err = h.Containers.Inspect(ctx, id)
	}
	if err != nil {
		return failure
	}
	failure.Running = c.Running && code == 0
	if code == 0 {
		failure.ExitCode = c.ExitCode
	}
	// Of a container whose cgroup is gone before the kernel's word is read, and of one that
	// was restarted, the engine never tells. The agent has killed nobody yet: with a limit,
	// it was the limit.
	failure.OOMKilled = c.OOMKilled || failure.ExitCode == killed && c.Memory > 0
	return failure
}
