// Package doctor examines a host: is it ready for deploys, and will it stay so? It only
// looks; what it finds is told with a stable code (api.HealthCodes) and what to do. What
// one app's containers are like beside its release is drift's matter, in package agent.
//
//	H001 disk          H006 nginx           H011 traffic
//	H002 inodes        H007 certificates    H012 watch
//	H003 memory        H008 domains         H013 leftovers
//	H004 engine        H009 ssh keys        H014 unfinished
//	H005 clock         H010 plugins       H015 builds
package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/buildkitd"
	"github.com/dokku-push/dokku-push/api"
)

// Doctor is everything that a host is judged by. New fills it in with the real ones.
type Doctor struct {
	Places  agent.Places
	Config  agent.HostConfig
	Traffic string                    // map or reload
	Apps    map[string]agent.Settings // that are looked at, by name
	Now     time.Time
	Client  time.Time // the client's clock at the same moment; zero: not told

	Info       func(ctx context.Context) (agent.EngineInfo, error)
	Volume     func(path string) (Volume, error)
	Memory     func() (Memory, error)
	Dial       func(ctx context.Context, address string) error
	TestNginx  func(ctx context.Context) error // of the tree of sites; the error names the app
	Resolve    func(ctx context.Context, domain string) ([]netip.Addr, error)
	Addresses  func() ([]netip.Addr, error) // this host's own
	Commands   func() ([][]string, error)   // command lines of running processes
	Leftovers  func(ctx context.Context) ([]agent.Leftover, error)
	Unfinished func(app string) (request string, err error)
	Builds     func() (isolated bool, err error) // of Dockerfiles here: err says why they have no limits
}

// tester is a Proxy that can test the tree without changing anything.
type tester interface {
	Test(ctx context.Context) error
}

// New examines a host by its own adapters and the machine's. apps are those that the
// caller may see.
func New(host *agent.Host, apps map[string]agent.Settings) *Doctor {
	place := buildkitd.PlaceOf(host.Places, host.Config)
	d := &Doctor{Places: host.Places, Config: host.Config, Traffic: host.Traffic.Name(), Apps: apps, Now: time.Now(),
		Info: host.Containers.Info, Volume: volume, Memory: ReadMemory, Dial: dial, Resolve: resolve, Addresses: addresses,
		Commands: commands, Leftovers: host.Leftovers, Unfinished: host.Unfinished,
		Builds: func() (bool, error) { return place.Isolated(), place.Ready() }}
	if proxy, ok := host.Proxy.(tester); ok {
		d.TestNginx = proxy.Test
	}
	return d
}

// longest bounds the whole examination.
const longest = time.Minute

// Examine makes every check at the same time, and returns what they found in the order
// of their codes. A check that cannot be made is a warning, not an error.
func (d *Doctor) Examine(ctx context.Context) api.Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	checks := []func(context.Context) []api.HealthFinding{d.disks, d.memory, d.engine, d.clock, d.nginx, d.certificates,
		d.domains, d.keys, d.plugins, d.traffic, d.watch, d.leftovers, d.unfinished, d.builds}
	found := make([][]api.HealthFinding, len(checks))
	var wait sync.WaitGroup
	for n, check := range checks {
		wait.Go(func() { found[n] = check(ctx) })
	}
	wait.Wait()
	findings := slices.Concat(found...)
	slices.SortStableFunc(findings, func(a, b api.HealthFinding) int { return strings.Compare(a.Code, b.Code) })
	return api.Diagnosis{Findings: findings}
}

func fine(code, format string, args ...any) api.HealthFinding {
	return api.HealthFinding{Code: code, Level: api.HealthOK, Message: oneLine(format, args...)}
}

func warn(code, hint, format string, args ...any) api.HealthFinding {
	return api.HealthFinding{Code: code, Level: api.HealthWarning, Message: oneLine(format, args...), Hint: hint}
}

func fail(code, hint, format string, args ...any) api.HealthFinding {
	return api.HealthFinding{Code: code, Level: api.HealthFailure, Message: oneLine(format, args...), Hint: hint}
}

// unknown is a check that could not be made.
func unknown(code string, err error) []api.HealthFinding {
	return []api.HealthFinding{warn(code, "", "not examined: %v", err)}
}

func oneLine(format string, args ...any) string {
	return strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
}

// orFine returns the findings, or what is to be said when there are none.
func orFine(findings []api.HealthFinding, code, format string, args ...any) []api.HealthFinding {
	if len(findings) > 0 {
		return findings
	}
	return []api.HealthFinding{fine(code, format, args...)}
}

func (d *Doctor) appNames() []string {
	var names []string
	for app := range d.Apps {
		names = append(names, app)
	}
	slices.Sort(names)
	return names
}

func dial(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
