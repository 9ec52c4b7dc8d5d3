package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

// TestBothWays: with docker options or without, the same container comes out.
func TestBothWays(t *testing.T) {
	w := newWorld(t)
	secret := "it's \"secret\" $X\nsecond line"
	for name, spec := range map[string]agent.ContainerSpec{
		"plain": {},
		"full": {Entrypoint: []string{"/bin/busybox", "env"}, Cmd: []string{"-i", "x"}, Env: map[string]string{"A": secret, "B": "", "PATH": "/bin:/x", "DOCKER_HOST": "tcp://nowhere", "BASE": "2", "no_proxy": "y"},
			Labels: map[string]string{"l": "a=b c"}, Init: true, Restart: "on-failure:10", TTY: true, Stdin: true, Memory: 64 << 20},
		"command": {Cmd: []string{"echo", "-n"}, Restart: "always", Stdin: true},
	} {
		t.Run(name, func(t *testing.T) {
			byAPI := w.create(t, spec)
			spec.Args = []string{"--label", "dkp-docker=overruled", "--env", "A=overruled"}
			if spec.Env == nil {
				spec.Args = spec.Args[:2]
			}
			byProgram := w.create(t, spec)
			one, other := inspect(t, byAPI), inspect(t, byProgram)
			if diff := cmp.Diff(one, other); diff != "" {
				t.Errorf("by the API (-) and by the program (+):\n%s", diff)
			}
		})
	}
}

// inspect is all that the engine says of a container but what is its own alone.
func inspect(t *testing.T, id string) map[string]any {
	t.Helper()
	out, err := exec.Command("docker", "inspect", id).Output()
	must(t, err)
	var all []map[string]any
	must(t, json.Unmarshal(out, &all))
	c := all[0]
	for _, own := range []string{"Id", "Name", "Created", "GraphDriver", "LogPath", "HostnamePath", "HostsPath", "ResolvConfPath"} {
		delete(c, own)
	}
	config := c["Config"].(map[string]any)
	delete(config, "Hostname")
	// Of a variable that is there twice the last is what the process gets.
	last := map[string]string{}
	if env, ok := config["Env"].([]any); ok {
		for _, pair := range env {
			key, value, _ := strings.Cut(pair.(string), "=")
			last[key] = value
		}
	}
	config["Env"] = last
	dropEmpty(c)
	return c
}

// dropEmpty removes what is nothing, which the engine repeats as null, [] or {}.
func dropEmpty(c map[string]any) {
	for key, value := range c {
		switch value := value.(type) {
		case nil:
			delete(c, key)
		case []any:
			if len(value) == 0 {
				delete(c, key)
			}
		case map[string]any:
			if dropEmpty(value); len(value) == 0 {
				delete(c, key)
			}
		}
	}
}

func TestDockerOptions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	linked := w.create(t, agent.ContainerSpec{Name: w.repository + "-db", Cmd: []string{"sleep 100"}})
	must(t, w.Start(ctx, linked))
	dir := t.TempDir()
	spec := script("echo $FROM_ARG $SECRET $GOHEEDED; cat /etc/hosts /data/x; exit 3")
	spec.Args = []string{"--detach", "--link", w.repository + "-db:db", "-v", dir + ":/data", "--env", "FROM_ARG=arg", "-p", "127.0.0.1::5000", "--memory=64m", "--network", "bridge"}
	spec.Env = map[string]string{"SECRET": "value", "GOHEEDED": "through"}
	id := w.create(t, spec)
	must(t, exec.Command("/bin/sh", "-c", `echo mounted > "$1/x"`, "sh", dir).Run())
	var out bytes.Buffer
	exit, err := w.Run(ctx, id, agent.Streams{Out: &out})
	must(t, err)
	for _, want := range []string{"arg value through\n", "\tdb ", "mounted\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if exit != 3 {
		t.Errorf("it exited with %d", exit)
	}

	for name, args := range map[string][]string{"an unknown option": {"--no-such-option"}, "a word": {w.repository + ":v1"}} {
		spec := w.spec(script("true"))
		spec.Args, spec.Env = args, map[string]string{"SECRET": "value"}
		_, err := w.Create(ctx, spec)
		if err == nil || strings.Contains(err.Error(), "value") {
			t.Errorf("%s gave %v", name, err)
		}
		if _, err := w.Inspect(ctx, spec.Name); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%s left a container: %v", name, err)
		}
	}
}

// TestNoSecretInArgv looks at what all users of the host can see, and at what would stay of
// a process that is killed.
func TestNoSecretInArgv(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	spec := agent.ContainerSpec{Image: "sha256:1", Env: map[string]string{"KEY": "s3cret", "PATH": "s3cret"}, Args: []string{"--init"}}
	file, err := envFile(spec.Env)
	must(t, err)
	if file != "PATH=s3cret\n" {
		t.Errorf("the program is handed %q", file)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("on disk there are %v, %v", left, err)
	}
	if none, err := envFile(map[string]string{"KEY": "s3cret"}); none != "" || err != nil {
		t.Errorf("%q, %v", none, err)
	}
	if argv := strings.Join(createArgs(spec, true), " "); strings.Contains(argv, "s3cret") || !strings.Contains(argv, "--env KEY") || !strings.Contains(argv, "--env-file /dev/stdin") {
		t.Error(argv)
	}
	e, err := New("")
	must(t, err)
	if env := e.programEnv(spec.Env); slices.Contains(env, "PATH=s3cret") || !slices.Contains(env, "KEY=s3cret") {
		t.Errorf("the program's own environment: %q", env)
	}
}

func TestLife(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	name := w.repository + "-life"
	id := w.create(t, agent.ContainerSpec{Name: name, Cmd: []string{"trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"}, Env: map[string]string{"K": "v"}, Labels: map[string]string{"empty": ""}, Restart: "always"})
	c, err := w.Inspect(ctx, name)
	must(t, err)
	if c.ID != id || c.Name != name || c.Image != w.image || c.Status != "created" || c.Running || c.Address != "" || !c.Started.IsZero() || !slices.Contains(c.Env, "K=v") {
		t.Errorf("created: %+v", c)
	}
	exit := w.Wait(ctx, id)
	must(t, w.Start(ctx, id))
	must(t, w.Rename(ctx, id, name+"-b"))
	c, err = w.Inspect(ctx, name+"-b")
	must(t, err)
	if !c.Running || c.Status != "running" || !strings.HasPrefix(c.Address, "172.") || time.Since(c.Started) > time.Minute {
		t.Errorf("running: %+v", c)
	}
	other := w.create(t, agent.ContainerSpec{Name: name + "-a"})
	all, err := w.List(ctx, map[string]string{"dkp-docker": w.repository})
	must(t, err)
	if len(all) != 2 || all[0].ID != other || all[1].ID != id || all[1].Address != c.Address {
		t.Errorf("list: %+v", all)
	}
	all, err = w.List(ctx, map[string]string{"dkp-docker": w.repository, "empty": ""})
	must(t, err)
	if len(all) != 1 || all[0].ID != id {
		t.Errorf("list by two labels: %+v", all)
	}
	for n := 0; n < 3000 && !strings.Contains(logs(t, w, id), "up"); n++ {
		time.Sleep(20 * time.Millisecond)
	}
	must(t, w.Stop(ctx, id, time.Minute))
	if end := wait(t, exit); end.Err != nil || end.Code != 7 {
		t.Errorf("it ended with %+v", end)
	}
	if end := wait(t, w.Wait(ctx, id)); end.Err != nil || end.Code != 7 {
		t.Errorf("asked afterwards it ended with %+v", end)
	}
	time.Sleep(200 * time.Millisecond)
	if c, err = w.Inspect(ctx, id); err != nil || c.Running || c.ExitCode != 7 {
		t.Errorf("its restart policy has it back: %+v, %v", c, err)
	}
	must(t, w.Remove(ctx, id))
	for what, err := range map[string]error{"remove": w.Remove(ctx, id), "stop": w.Stop(ctx, id, 0)} {
		if err != nil {
			t.Errorf("%s what is gone: %v", what, err)
		}
	}
	_, inspectErr := w.Inspect(ctx, id)
	_, execErr := w.Exec(ctx, id, []string{"true"}, io.Discard)
	_, runErr := w.Run(ctx, id, agent.Streams{})
	_, createErr := w.Create(ctx, w.spec(agent.ContainerSpec{Image: w.repository + ":none"}))
	for what, err := range map[string]error{"start": w.Start(ctx, id), "inspect": inspectErr, "exec": execErr, "run": runErr, "create": createErr, "rename": w.Rename(ctx, id, "x"),
		"logs": w.Logs(ctx, id, agent.LogOptions{}, io.Discard), "wait": wait(t, w.Wait(ctx, id)).Err} {
		if !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("%s what is not there gave %v", what, err)
		}
	}
}

// TestStubborn: who ignores TERM is killed after the grace.
func TestStubborn(t *testing.T) {
	w := newWorld(t)
	id := w.create(t, script("trap '' TERM; while :; do sleep 0.1; done"))
	must(t, w.Start(t.Context(), id))
	start := time.Now()
	must(t, w.Stop(t.Context(), id, time.Second))
	if took := time.Since(start); took < 900*time.Millisecond || took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if c, err := w.Inspect(t.Context(), id); err != nil || c.ExitCode != 137 || c.OOMKilled {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestOutOfMemory: what the kernel killed is told from what anybody else did. Under cgroup v1
// containerd looks after the kernel's word only once the container runs, and loses it when the
// container is gone before it is read: so it grows when it is told to, which is after its start,
// more than once, and outlives what is killed.
func TestOutOfMemory(t *testing.T) {
	w := newWorld(t)
	for name, spec := range map[string]agent.ContainerSpec{"spec": {Memory: 16 << 20}, "args": {Args: []string{"--memory=16m"}}} {
		// tail keeps all of its endless last line
		made := script("trap 'for n in 1 2 3; do tail /dev/zero; code=$?; sleep 1; done; exit $code' TERM; echo up; while :; do sleep 0.1; done")
		spec.Entrypoint, spec.Cmd = made.Entrypoint, made.Cmd
		id := w.create(t, spec)
		exit := w.Wait(t.Context(), id)
		must(t, w.Start(t.Context(), id))
		for n := 0; n < 3000 && !strings.Contains(logs(t, w, id), "up"); n++ { // it hears TERM from then on
			time.Sleep(20 * time.Millisecond)
		}
		must(t, w.Stop(t.Context(), id, time.Minute))
		end := wait(t, exit)
		if c, err := w.Inspect(t.Context(), id); err != nil || !c.OOMKilled || end.Code != 137 || c.Memory != 16<<20 {
			t.Errorf("%s: %+v, %v (%+v)", name, end, err, c)
		}
	}
}

func logs(t *testing.T, w *world, id string) string {
	t.Helper()
	var out bytes.Buffer
	must(t, w.Logs(t.Context(), id, agent.LogOptions{}, &out))
	return out.String()
}

func TestLogsAndExec(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.create(t, script("echo one; echo two >&2; sleep 0.5; echo three; sleep 100"))
	must(t, w.Start(ctx, id))
	var out bytes.Buffer
	follow, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	seen := writer(func(p []byte) (int, error) {
		if out.Write(p); strings.Contains(out.String(), "three") {
			cancel()
		}
		return len(p), nil
	})
	if err := w.Logs(follow, id, agent.LogOptions{Follow: true}, seen); !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in %q", line, out.String())
		}
	}
	out.Reset()
	must(t, w.Logs(ctx, id, agent.LogOptions{Tail: 1}, &out))
	if out.String() != "three\n" {
		t.Errorf("the last line is %q", out.String())
	}
	out.Reset()
	must(t, w.Logs(ctx, id, agent.LogOptions{Tail: 1, Timestamps: true, Since: time.Now().Add(-time.Minute)}, &out))
	if _, err := time.Parse(time.RFC3339Nano, strings.Fields(out.String() + " -")[0]); err != nil {
		t.Errorf("there is no time in %q", out.String())
	}
	out.Reset()
	exit, err := w.Exec(ctx, id, []string{"/bin/sh", "-c", "echo a; echo b >&2; exit 5"}, &out)
	must(t, err)
	if exit != 5 || !strings.Contains(out.String(), "a\n") || !strings.Contains(out.String(), "b\n") {
		t.Errorf("exec gave %d, %q", exit, out.String())
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestRun(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var out, problems bytes.Buffer
	spec := script("cat; echo problem >&2; exit 4")
	spec.Stdin = true
	exit, err := w.Run(ctx, w.create(t, spec), agent.Streams{In: strings.NewReader("hello"), Out: &out, Err: &problems})
	must(t, err)
	if exit != 4 || out.String() != "hello" || problems.String() != "problem\n" {
		t.Errorf("got %d, %q, %q", exit, out.String(), problems.String())
	}
	out.Reset()
	spec = script("echo out; echo problem >&2")
	spec.TTY = true
	exit, err = w.Run(ctx, w.create(t, spec), agent.Streams{Out: &out})
	must(t, err)
	if exit != 0 || out.String() != "out\r\nproblem\r\n" {
		t.Errorf("with a terminal: %d, %q", exit, out.String())
	}
	if exit, err = w.Run(ctx, w.create(t, script("echo x")), agent.Streams{}); exit != 0 || err != nil {
		t.Errorf("with no streams: %d, %v", exit, err)
	}
	if _, err := w.Run(ctx, w.create(t, agent.ContainerSpec{Entrypoint: []string{"/no/such/program"}}), agent.Streams{}); err == nil {
		t.Error("a program that is not there ran")
	}
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if _, err := w.Run(short, w.create(t, script("sleep 100")), agent.Streams{Out: &out}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ended gave %v", err)
	}
}

// TestCommit: the files are the container's, all else is the base image's.
func TestCommit(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for name, args := range map[string][]string{"by the API": nil, "by the program": {"--user", "0"}} {
		spec := agent.ContainerSpec{Entrypoint: []string{"/bin/sh", "-ec"}, Cmd: []string{"echo made > /made"}, Args: args,
			Env: map[string]string{"SECRET": "s3cret", "BASE": "changed"}, Labels: map[string]string{"dokku_phase_script": "predeploy"}}
		id := w.create(t, spec)
		_, err := w.Run(ctx, id, agent.Streams{})
		must(t, err)
		made, err := w.Commit(ctx, id, w.image, map[string]string{"extra": "1"})
		must(t, err)
		must(t, w.Tag(ctx, made, w.repository+":"+strings.ReplaceAll(name, " ", "-")))
		base, err := w.Image(ctx, w.image)
		must(t, err)
		image, err := w.Image(ctx, made)
		must(t, err)
		if image.ID != made || len(image.DiffIDs) != 2 || image.DiffIDs[0] != base.DiffIDs[0] {
			t.Errorf("%s: %s has the layers %v", name, image.ID, image.DiffIDs)
		}
		base.Labels["extra"] = "1"
		base.ID, base.DiffIDs, base.Names, base.Size = image.ID, image.DiffIDs, image.Names, image.Size
		if diff := cmp.Diff(base, image); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		raw, err := exec.Command("docker", "inspect", made).Output()
		must(t, err)
		history, err := exec.Command("docker", "history", "--no-trunc", made).Output()
		must(t, err)
		if strings.Contains(string(raw)+string(history), "s3cret") || !strings.Contains(string(history), "committed by") {
			t.Errorf("%s: %s\n%s", name, raw, history)
		}
		var out bytes.Buffer
		read := w.create(t, agent.ContainerSpec{Image: made, Cmd: []string{"cat /made; echo $BASE"}})
		_, err = w.Run(ctx, read, agent.Streams{Out: &out})
		must(t, err)
		if out.String() != "made\n1\n" {
			t.Errorf("%s: the image runs as %q", name, out.String())
		}
	}
	dangling, err := exec.Command("docker", "images", "-q", "--no-trunc", "--filter", "dangling=true", "--filter", "label=dokku_phase_script=predeploy", "--filter", "label=dkp-docker="+w.repository).Output()
	must(t, err)
	if len(dangling) > 0 {
		t.Errorf("commits with the app's env are left: %s", dangling)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan agent.ContainerEvent, 100)
	ended := make(chan error, 1)
	go func() { ended <- w.Events(ctx, func(event agent.ContainerEvent) { seen <- event }) }()
	for n := 0; n < 30 && len(seen) == 0; n++ { // until it is listening
		must(t, w.Start(ctx, w.create(t, script("true"))))
		time.Sleep(100 * time.Millisecond << min(n, 4))
	}
	id := w.create(t, script("true"))
	must(t, w.Start(ctx, id))
	for _, action := range []string{"start", "die"} {
		for mine := false; !mine; {
			select {
			case event := <-seen:
				if mine = event.ID == id; mine {
					want := agent.ContainerEvent{Action: action, ID: id, Labels: map[string]string{"dkp-docker": w.repository, "of": "base"}}
					if diff := cmp.Diff(want, event); diff != "" {
						t.Error(diff)
					}
				}
			case <-time.After(2 * time.Minute):
				t.Fatalf("no %s was seen", action)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	lost, err := New("unix:///nowhere/docker.sock")
	must(t, err)
	if err := lost.Events(t.Context(), func(agent.ContainerEvent) {}); err == nil {
		t.Error("an engine that is not there gave no error")
	}
}

func TestInfo(t *testing.T) {
	w := newWorld(t)
	info, err := w.Info(t.Context())
	must(t, err)
	if info.OS != "linux" || info.Arch != "amd64" || info.Root == "" || info.Store == "" || info.Memory == 0 || info.Version == "" {
		t.Errorf("%+v", info)
	}
}
