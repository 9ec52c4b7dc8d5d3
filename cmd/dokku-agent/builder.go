package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/doctor"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
	running "github.com/dokku-push/dokku-push/internal/run"
)

// builder has the program dokku-push build what arrives by git: its limits, its crashes and
// its modules stay out of this one (DESIGN 9).
type builder struct {
	host   *agent.Host
	store  *store.Store
	memory func() (doctor.Memory, error)
	kit    kit
}

var _ receive.Builder = (*builder)(nil)

// The memory that a build is given: none is begun where less than leastMemory is available,
// and a container of buildpacks may use what is, less a part for the apps.
const (
	leastMemory = 256 << 20
	keptMemory  = 128 << 20
)

// leastMemoryVariable is another least, in bytes, for hosts that know better.
const leastMemoryVariable = "DOKKU_PUSH_BUILD_MEMORY"

// mostDocument is the longest answer of a build, in bytes.
const mostDocument = api.MaxDocument

// Build runs `dokku-push build` and takes the image's layers into the store meanwhile.
func (b *builder) Build(ctx context.Context, source receive.Source, out io.Writer) (document api.ReleaseDocument, err error) {
	program, err := clientProgram()
	if err != nil {
		return document, err
	}
	available, err := b.enough()
	if err != nil {
		return document, err
	}
	limits, options, said, err := buildLimits(buildOptions(source), max(available-keptMemory, leastMemory-keptMemory))
	if err != nil {
		return document, err
	}
	dir, err := os.MkdirTemp("", "dokku-push-build-") // a socket's path must be short
	if err != nil {
		return document, fmt.Errorf("make the place for the build: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "agent")
	daemon := &lease{kit: b.kit, ctx: ctx, limits: limits, said: said}
	defer daemon.close()
	stop, err := b.listen(ctx, socket, source, daemon)
	if err != nil {
		return document, err
	}
	defer stop()
	asked, err := json.Marshal(api.HostBuild{Agent: socket, Source: source.From, Config: source.Config, Options: options,
		Plugins: b.host.Places.Plugins(), Builder: source.Builder, Missing: source.Missing, Memory: limits.Memory, Shares: limits.Shares, CPUs: limits.CPUs})
	if err != nil {
		return document, fmt.Errorf("ask for the build: %w", err)
	}
	var answer bytes.Buffer
	story := &tail{to: out}
	command := running.Cmd{Argv: []string{program, "build", "--on-host", "--log-format", "plain", "--app", source.App, source.Dir}, Dir: source.Dir,
		Env: b.environment(), Stdin: bytes.NewReader(asked), Stdout: &answer, Stderr: story, Limit: 64 << 20}
	if err := command.Run(ctx); err != nil {
		if daemon.close() && ctx.Err() == nil {
			return document, outOfMemory(limits.Memory, said, err)
		}
		return document, b.failed(ctx, err, story)
	}
	decoder := json.NewDecoder(io.LimitReader(&answer, mostDocument))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return document, api.Errorf(api.WrongProtocol, "read what was built", "%w", err).WithHint("dokku-push and dokku-agent may be of different versions: install both from one release")
	}
	return document, nil
}

// failed says why there is no image; what the build printed stands above.
func (b *builder) failed(ctx context.Context, err error, story *tail) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", context.Cause(ctx))
	}
	exit, ok := errors.AsType[*running.ExitError](err)
	if !ok {
		return api.Errorf(api.BuildFailed, "build", "%w", err)
	}
	if exit.Signal != 0 || strings.Contains(story.text(), "signal: killed") || strings.Contains(story.text(), "exit code: 137") {
		return api.Errorf(api.BuildFailed, "build", "%w: was it out of memory?", err).
			WithHint("build where there is more of it: dokku-push on a laptop or in CI sends this host the image alone")
	}
	return api.Errorf(api.BuildFailed, "build", "%w", err)
}

// outOfMemory is a build that its limit has ended; said tells that the app's own options
// have set it.
func outOfMemory(limit int64, said bool, err error) error {
	hint := "build where there is more of it: `dokku-push` on a laptop or in CI sends this host the image alone"
	if said {
		hint += "; or raise the limit in the app's docker options for the build (docker-options:report)"
	}
	return api.Errorf(api.BuildFailed, "build", "out of memory: its steps wanted more than the %d MiB that a build may use here now: %w", limit>>20, err).WithHint("%s", hint)
}

// clientProgram finds dokku-push: beside this program, or on PATH.
func clientProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "dokku-push")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return beside, nil
		}
	}
	program, err := exec.LookPath("dokku-push")
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return "", api.Errorf(api.Precondition, "build", "this host has no program dokku-push, which builds what is pushed by git").
			WithHint("put dokku-push beside dokku-agent (/usr/local/bin/dokku-push), or deploy with dokku-push from where it is")
	}
	return program, nil
}

// enough refuses a build that the machine has no memory for, and says how much there is.
func (b *builder) enough() (available int64, err error) {
	m, err := b.memory()
	if err != nil {
		return 0, nil // it is not told: the build will find out
	}
	least := uint64(leastMemory)
	if said, err := agent.ParseMemory(os.Getenv(leastMemoryVariable)); err == nil && said > 0 {
		least = uint64(said)
	}
	if m.Available < least {
		return 0, api.Errorf(api.Precondition, "build", "this host is too small to build now: %d MiB of memory are available, and a build wants %d MiB", m.Available>>20, least>>20).
			WithHint("build elsewhere: `dokku-push` on a laptop or in CI builds there and sends this host the image alone; or scale something down, or add memory")
	}
	return int64(m.Available), nil
}

// environment is the agent's, with a cache of the host's own and without what says where
// the agent itself runs: CI's variables would be taken for the app's.
func (b *builder) environment() []string {
	var kept []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case name == "XDG_CACHE_HOME", name == "XDG_STATE_HOME", strings.HasPrefix(name, "CI"), strings.HasPrefix(name, "GITHUB_"), strings.HasPrefix(name, "GIT_"),
			pair == "DOKKU_CNB_BUILDER="+usualPackBuilder, // told to plugins; a build would take it for somebody's choice
			name == "DOKKU_HOST", name == "DOKKU_APP", name == "DOKKU_ENVIRONMENT", name == "DOKKU_MANIFEST", name == "DOKKU_LOG_FORMAT":
		default:
			kept = append(kept, pair)
		}
	}
	cache := filepath.Join(b.host.Places.Data(), "cache")
	return append(kept, "XDG_CACHE_HOME="+cache, "XDG_STATE_HOME="+cache, "HOME="+b.host.Places.Root, "NO_COLOR=1")
}

// listen serves the store's push side for one app to the build.
func (b *builder) listen(ctx context.Context, socket string, source receive.Source, daemon http.Handler) (stop func(), err error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the build: %w", err)
	}
	may := func(other string) bool {
		return b.host.Exists(other) == nil && b.host.May(ctx, source.By, other, "git-receive-pack", other) == nil
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+api.BuildKitPath, daemon)
	mux.Handle("/v2/", b.store.Handler(source.App, may))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), BaseContext: func(net.Listener) context.Context { return ctx }}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // it ends when it is closed
	return func() {
		_ = server.Close() // whoever is still connected is the build, which is over
		serving.Wait()
	}, nil
}

// tail passes on what is written and keeps its end.
type tail struct {
	to   io.Writer
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-4<<10):]
	return t.to.Write(p)
}

func (t *tail) text() string { return string(t.last) }
