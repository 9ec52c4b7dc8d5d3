package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/checks"
	"github.com/dokku-push/dokku-push/agent/core"
	"github.com/dokku-push/dokku-push/agent/docker"
	"github.com/dokku-push/dokku-push/agent/doctor"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/agent/sshsig"
	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
	exec "github.com/dokku-push/dokku-push/internal/run"
	"github.com/dokku-push/dokku-push/triggers"
)

// storeQuota is how many bytes of received layers an app may keep until the engine has
// them: an upload that would need more is refused.
const storeQuota = 32 << 30

// parts is a host put together from its adapters.
type parts struct {
	host  *agent.Host
	store *store.Store
	proxy *nginx.Nginx
	core  core.Core
	walk  walk // host.Walk
	// asked is the walk of what plugins fire (`plugn trigger`): beside what host.Walk has,
	// the core does there what the agent does itself in its own deploys and commands.
	asked walk
	kit   kit
	close func()
}

// placesFromEnvironment is where Dokku's variables say (PLUGIN-CONTRACT 2.2).
func placesFromEnvironment() agent.Places {
	first := func(names ...string) string {
		for _, name := range names[:len(names)-1] {
			if value := os.Getenv(name); value != "" {
				return value
			}
		}
		return names[len(names)-1]
	}
	return agent.Places{Root: first("DOKKU_ROOT", "/home/dokku"), Lib: first("DOKKU_LIB_ROOT", "DOKKU_LIB_PATH", "/var/lib/dokku"),
		Logs: first("DOKKU_LOGS_DIR", "/var/log/dokku")}
}

// connect makes the host that was set up at these places.
func connect(places agent.Places) (*parts, error) {
	config, err := readConfig(places)
	if err != nil {
		return nil, err
	}
	return assemble(places, config)
}

// assemble connects the adapters to the transaction. It is the only place that
// knows them all.
func assemble(places agent.Places, config agent.HostConfig) (*parts, error) {
	engine, err := docker.New(os.Getenv("DOCKER_HOST"))
	if err != nil {
		return nil, api.Errorf(api.Precondition, "connect to the engine", "%w", err).WithHint("is Docker running?")
	}
	exportVariables(places, config.Embedded)
	helper := rootHelper(config.Helper)
	files := &state.Store{Places: places}
	blobs := &store.Store{Dir: places.Blobs(), Quota: storeQuota}
	host := &agent.Host{Places: places, Config: config, Images: engine, Containers: engine, Networks: engine, Settings: files, Ledger: files,
		Checker: &checks.Checker{Containers: engine}, Registries: engine, Blobs: blobs, Signatures: sshsig.Verifier{}, Version: version}
	blobs.Has = func(ctx context.Context, app, layer string) bool { return engineHas(ctx, blobs, engine, app, layer) }
	proxy := &nginx.Nginx{Places: places, Config: config.Nginx,
		Warn: func(warning string) { fmt.Fprintf(os.Stderr, " !     %s\n", warning) }}
	if helper != nil {
		proxy.Helper = func(ctx context.Context, verb string, args ...string) ([]byte, error) {
			input, err := json.Marshal(args)
			if err != nil {
				return nil, fmt.Errorf("ask the root helper: %w", err)
			}
			return helper(ctx, verb, input)
		}
	}
	host.Proxy = proxy
	if config.Traffic == "map" {
		traffic := &nft.Map{Places: places, Config: config.Map}
		if helper != nil {
			traffic.Helper = func(ctx context.Context, request []byte) ([]byte, error) {
				return helper(ctx, "map", request)
			}
		}
		host.Traffic = traffic
	} else {
		host.Traffic = &nft.Reload{Places: places}
	}
	build := &builder{host: host, store: blobs, memory: doctor.ReadMemory, kit: buildKit(places, config)}
	all := core.Core{Host: host, Submit: submit(host), Builder: build}
	own := walk{&triggers.Walk{Path: places.Plugins(), Env: triggers.Environment(), Core: all.Handlers()}}
	host.Walk, host.Services = own, services{own}
	asked := walk{&triggers.Walk{Path: places.Plugins(), Env: triggers.Environment(), Core: all.AskedByPlugins()}}
	return &parts{host: host, store: blobs, proxy: proxy, core: all, walk: own, asked: asked, kit: build.kit, close: func() { _ = engine.Close() }}, nil
}

// rootHelper calls the helper that may change nginx and the address map, for an
// agent that is not root itself: nil when it is.
func rootHelper(argv []string) func(ctx context.Context, verb string, input []byte) ([]byte, error) {
	if os.Geteuid() == 0 || len(argv) == 0 {
		return nil
	}
	return func(ctx context.Context, verb string, input []byte) ([]byte, error) {
		var out, problems bytes.Buffer
		command := exec.Cmd{Argv: append(slices.Clone(argv), verb), Stdin: bytes.NewReader(input), Stdout: &out, Stderr: &problems,
			Env: os.Environ(), Grace: 5 * time.Second}
		if err := command.Run(ctx); err != nil {
			return out.Bytes(), fmt.Errorf("%w: %s", err, strings.TrimSpace(problems.String()))
		}
		return out.Bytes(), nil
	}
}

// usualPackBuilder is what plugins read of the image that builds with buildpacks where
// nobody names one.
const usualPackBuilder = "heroku/builder:24"

// exportVariables puts what plugins are promised into the environment
// (PLUGIN-CONTRACT 2.2). A value that the caller set stays.
func exportVariables(places agent.Places, embedded bool) {
	plugins, corePlugins := places.Plugins(), places.CorePlugins()
	if self, err := os.Executable(); err == nil { // else the functions ask the program that was laid out
		_ = os.Setenv("DOKKU_SHIM_BIN", self) // whatever the caller says: it is run by everything
	}
	if bin := binFolder(places); embedded && !strings.HasPrefix(os.Getenv("PATH"), bin+":") {
		_ = os.Setenv("PATH", bin+":"+os.Getenv("PATH")) // fails never for a valid name
	}
	distro := "debian"
	if text, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(text)) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
				distro = strings.Trim(id, `"`)
			}
		}
	}
	labels := "--label=org.label-schema.schema-version=1.0 --label=org.label-schema.vendor=dokku --label=dokku"
	for _, pair := range [][2]string{
		{"DOKKU_ROOT", places.Root}, {"DOKKU_HOST_ROOT", places.Root}, {"DOKKU_LIB_ROOT", places.Lib},
		{"PLUGIN_PATH", plugins}, {"PLUGIN_AVAILABLE_PATH", filepath.Join(plugins, "available")}, {"PLUGIN_ENABLED_PATH", filepath.Join(plugins, "enabled")},
		{"PLUGIN_CORE_PATH", corePlugins}, {"PLUGIN_CORE_AVAILABLE_PATH", filepath.Join(corePlugins, "available")}, {"PLUGIN_CORE_ENABLED_PATH", filepath.Join(corePlugins, "enabled")},
		{"DOKKU_SYSTEM_USER", "dokku"}, {"DOKKU_SYSTEM_GROUP", "dokku"}, {"DOKKU_API_VERSION", "1"},
		{"DOKKU_NOT_IMPLEMENTED_EXIT", "10"}, {"DOKKU_VALID_EXIT", "0"}, {"DOKKU_PID", fmt.Sprint(os.Getpid())},
		{"DOCKER_BIN", "docker"}, {"DOKKU_LOGS_DIR", places.Logs}, {"DOKKU_LOGS_HOST_DIR", places.Logs},
		{"DOKKU_EVENTS_LOGFILE", filepath.Join(places.Logs, "events.log")}, {"DOKKU_DISTRO", distro}, {"DOKKU_CONTAINER_LABEL", "dokku"},
		{"DOKKU_GLOBAL_RUN_ARGS", labels}, {"DOKKU_GLOBAL_BUILD_ARGS", labels},
		{"DOKKU_IMAGE", "gliderlabs/herokuish:latest-24"}, {"DOKKU_CNB_BUILDER", usualPackBuilder},
	} {
		if os.Getenv(pair[0]) == "" {
			_ = os.Setenv(pair[0], pair[1]) // fails only for names that are not valid
		}
	}
}

// engineHas tells whether an image of the app that is in the engine has the layer.
func engineHas(ctx context.Context, blobs *store.Store, engine agent.Images, app, layer string) bool {
	layers, err := blobs.Layers(app)
	if err != nil {
		return false
	}
	for _, known := range layers {
		if known.Digest != layer {
			continue
		}
		id, err := blobs.Image(app, known.Manifest)
		if err != nil {
			continue
		}
		if _, err := engine.Image(ctx, id); err == nil {
			return true
		}
	}
	return false
}

// walk makes the plugin walk what the transaction asks for.
type walk struct{ *triggers.Walk }

// Trigger gives plugins the environment of this moment: the entry program adds to it
// whom it found out to be asking, and for what.
func (w walk) Trigger(ctx context.Context, name string, args []string, streams agent.Streams) error {
	logEvent(name, args)
	now := w.now()
	if acts := agent.ActsIn(ctx); acts != "" {
		now.Env = append(now.Env, agent.ActsVariable+"="+acts)
	}
	return now.Trigger(ctx, name, args, triggers.Streams{In: streams.In, Out: streams.Out, Err: streams.Err})
}

// now is the walk with the environment of this moment.
func (w walk) now() *triggers.Walk {
	return &triggers.Walk{Path: w.Path, Env: triggers.Environment(), Core: w.Core}
}
