package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/buildkitd"
	"github.com/dokku-push/dokku-push/agent/cgroup"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// What a build may use where nothing is said: of a busy processor a fifth, beside all the
// apps' containers together. A container of buildpacks is one among those of the apps.
const buildShares = 256

// verbBuildKit is the root helper's verb that runs BuildKit's daemon.
const verbBuildKit = "buildkit"

// kit is how this host comes to a BuildKit with limits.
type kit struct {
	place buildkitd.Place
	argv  []string // calls the program that is root and runs it; nil: there is none
	env   []string
}

// buildKit is the one of a host: by the root helper, or by this program where it is root.
func buildKit(places agent.Places, config agent.HostConfig) kit {
	k := kit{place: buildkitd.PlaceOf(places, config), env: append(os.Environ(), "DOKKU_ROOT="+places.Root, "DOKKU_LIB_ROOT="+places.Lib)}
	self, err := os.Executable()
	switch {
	case os.Geteuid() != 0 && len(config.Helper) > 0:
		k.argv = append(slices.Clone(config.Helper), verbBuildKit)
	case os.Geteuid() == 0 && err == nil && config.Embedded:
		k.argv = []string{self, verbBuildKit}
	case os.Geteuid() == 0 && err == nil:
		k.argv = []string{self, "root", verbBuildKit}
	}
	return k
}

// ready tells why builds of Dockerfiles have no limits here.
func (k kit) ready() error {
	if k.argv == nil {
		return fmt.Errorf("only root can set them")
	}
	return k.place.Ready()
}

// sweep takes away what a killed build has left of its BuildKit.
func (k kit) sweep(ctx context.Context) error {
	if k.argv == nil || !k.place.Left() {
		return nil
	}
	return buildkitd.Sweep(ctx, k.argv, k.env)
}

// buildkit is the side that is root, for an embedded host.
func (p *program) buildkit(args []string) int {
	if len(args) > 0 {
		return p.usage()
	}
	places := placesFromEnvironment()
	config, err := readConfig(places)
	if err == nil && !config.Embedded {
		err = api.Errorf(api.Refused, "run BuildKit", "this host has a root helper")
	}
	if err == nil {
		err = buildkitd.Serve(p.ctx, buildkitd.PlaceOf(places, config), p.in, p.out)
	}
	if err != nil {
		return p.fail(err)
	}
	return 0
}

// lease is the BuildKit of one build: started when it is asked for, ended with the build.
type lease struct {
	kit    kit
	ctx    context.Context // the build's
	limits cgroup.Limits
	said   bool // the limits were asked for by name

	mu      sync.Mutex
	asked   bool
	answer  api.HostBuildKit
	running *buildkitd.Running
}

// ServeHTTP answers the build, the second time as the first.
func (l *lease) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asked {
		l.asked = true
		l.start()
	}
	_ = json.NewEncoder(w).Encode(l.answer) // who no longer listens builds no more
}

func (l *lease) start() {
	if err := l.kit.ready(); err != nil {
		if l.said {
			l.answer.Note = fmt.Sprintf("the steps of this Dockerfile have no limits: %v", err)
		}
		return
	}
	running, err := buildkitd.Start(l.ctx, l.kit.argv, l.kit.env, buildkitd.Request{Limits: l.limits})
	if err != nil {
		l.answer.Note = strings.Join(strings.Fields(fmt.Sprintf("the steps of this Dockerfile have no limits, for BuildKit could not be started with any: %v", err)), " ")
		return
	}
	l.running, l.answer.Address = running, running.Address
}

// close ends what was started, and tells whether the kernel ended a part of the build for
// want of memory.
func (l *lease) close() (killed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = true
	if l.running == nil {
		return false
	}
	killed = l.running.Close()
	l.running = nil
	return killed
}

// buildOptions are docker's options for a build: the host's, and what the dokku.hcl of the
// tree has beside them, which the host is told of only as the release is deployed. A tree
// that cannot be read has none: its build says why.
func buildOptions(source receive.Source) []string {
	getenv := func(name string) (string, bool) {
		if value, ok := source.Config[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	}
	options := slices.Clone(source.Options)
	app, found := manifest.Load(os.DirFS(source.Dir), manifest.Options{App: source.App, Getenv: getenv})
	if found.Failed() {
		return options
	}
	for _, one := range app.DockerOptions.Build {
		if !slices.Contains(options, one) {
			options = append(options, one)
		}
	}
	return options
}

// limitOption tells docker's options for a build that limit it, and the longer name of each.
func limitOption(name string) (long string, limit bool) {
	switch name {
	case "-m":
		return "--memory", true
	case "-c":
		return "--cpu-shares", true
	case "--memory", "--memory-swap", "--cpu-shares", "--cpus", "--cpu-period", "--cpu-quota":
		return name, true
	}
	return "", false
}

// buildLimits takes the limits out of docker's options for a build, a line each; the others
// are returned. Memory is never more than most, in bytes.
func buildLimits(options []string, most int64) (limits cgroup.Limits, rest []string, said bool, err error) {
	values := map[string]string{}
	for _, line := range options {
		words, others := strings.Fields(line), []string{}
		for len(words) > 0 {
			name, value, joined := strings.Cut(words[0], "=")
			long, limit := limitOption(name)
			switch {
			case !limit:
				others, words = append(others, words[0]), words[1:]
			case joined:
				values[long], words = value, words[1:]
			case len(words) > 1:
				values[long], words = words[1], words[2:]
			default:
				return limits, nil, true, badLimit(name, "it has no value")
			}
		}
		switch {
		case len(others) == len(strings.Fields(line)):
			rest = append(rest, line)
		case len(others) > 0:
			rest = append(rest, strings.Join(others, " "))
		}
	}
	limits = cgroup.Limits{Memory: most, Shares: buildShares}
	if err := setLimits(&limits, values); err != nil {
		return limits, nil, true, err
	}
	return limits, rest, len(values) > 0, nil
}

// setLimits reads what was said.
func setLimits(limits *cgroup.Limits, values map[string]string) error {
	if text, ok := values["--memory"]; ok {
		bytes, err := dockerBytes(text)
		if err != nil || bytes < leastLimit {
			return badLimit("--memory "+text, "it is an amount from 64m on")
		}
		limits.Memory = min(limits.Memory, bytes)
	}
	if text, ok := values["--cpu-shares"]; ok {
		shares, err := strconv.ParseInt(text, 10, 64)
		if err != nil || shares < 2 || shares > 1<<18 {
			return badLimit("--cpu-shares "+text, "it is a number from 2 to 262144; anybody else has 1024")
		}
		limits.Shares = shares
	}
	quota, period := 0.0, 100_000.0
	var err error
	for name, to := range map[string]*float64{"--cpu-quota": &quota, "--cpu-period": &period} {
		if text, ok := values[name]; ok {
			if *to, err = strconv.ParseFloat(text, 64); err != nil || !(*to >= 1000 && *to <= 1e9) {
				return badLimit(name+" "+text, "it is a number of microseconds from 1000 on")
			}
		}
	}
	cpus := quota / period
	if text, ok := values["--cpus"]; ok {
		if cpus, err = strconv.ParseFloat(text, 64); err != nil || !(cpus >= 0.01 && cpus <= 4096) {
			return badLimit("--cpus "+text, "it is a number of processors, such as 1.5")
		}
	}
	limits.CPUs = int64(math.Round(cpus * 1e9))
	return nil
}

// leastLimit is the least memory that a build can be told to do with, in bytes.
const leastLimit = 64 << 20

// dockerBytes reads an amount as docker's options for a build have it: a bare number is
// bytes.
func dockerBytes(text string) (int64, error) {
	if bytes, err := strconv.ParseInt(text, 10, 64); err == nil {
		return bytes, nil
	}
	return agent.ParseMemory(text)
}

func badLimit(option, why string) error {
	return api.Errorf(api.Configuration, "limit the build", "docker's option for the build %s cannot be used: %s", option, why).
		WithHint("`dokku docker-options:report APP` shows it, docker-options:remove takes it away; in dokku.hcl it stands in docker_options { build }")
}
