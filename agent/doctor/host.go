package doctor

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// mostSkew is how far two clocks may be apart before logs and certificates mislead.
const mostSkew = 30 * time.Second

// engine asks the engine what it is.
func (d *Doctor) engine(ctx context.Context) []api.HealthFinding {
	info, err := d.Info(ctx)
	switch {
	case err != nil:
		return []api.HealthFinding{fail(api.HealthEngine, "is Docker running, and is the dokku user in its group?", "it does not answer: %v", err)}
	case info.OS != "linux":
		return []api.HealthFinding{fail(api.HealthEngine, "", "it runs %s containers", info.OS)}
	case older(info.Version, 20, 10):
		return []api.HealthFinding{warn(api.HealthEngine, "20.10 is the oldest that is tested", "Docker %s, images in %s", info.Version, info.Store)}
	}
	return []api.HealthFinding{fine(api.HealthEngine, "Docker %s on %s/%s, images in %s", info.Version, info.OS, info.Arch, info.Store)}
}

// older compares the first two numbers of a version. One that cannot be read is not.
func older(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (a < major || a == major && b < minor)
}

// clock compares the client's with this host's.
func (d *Doctor) clock(context.Context) []api.HealthFinding {
	if d.Client.IsZero() {
		return []api.HealthFinding{fine(api.HealthClock, "not compared: the client did not tell its time")}
	}
	skew := d.Now.Sub(d.Client).Round(time.Second)
	if skew.Abs() <= mostSkew {
		return []api.HealthFinding{fine(api.HealthClock, "within %s of the client's", mostSkew)}
	}
	word := "ahead of"
	if skew < 0 {
		word = "behind"
	}
	return []api.HealthFinding{warn(api.HealthClock, "let NTP set both clocks: timedatectl", "it is %s %s the client's", skew.Abs(), word)}
}

// nginx asks whether it answers and whether it takes the tree of sites as it is.
func (d *Doctor) nginx(ctx context.Context) []api.HealthFinding {
	var findings []api.HealthFinding
	host := d.Config.Nginx.Bind
	if host == "" {
		host = "127.0.0.1"
	}
	port := d.Config.Nginx.Port
	if port == 0 {
		port = 80
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if err := d.Dial(ctx, address); err != nil {
		findings = append(findings, fail(api.HealthNginx, "start nginx; its error log says why it ended", "it does not answer: %v", err))
	}
	if d.TestNginx == nil {
		return append(findings, warn(api.HealthNginx, "", "its tree of sites is not examined"))
	}
	if err := d.TestNginx(ctx); err != nil {
		problem := api.AsError(err)
		if errors.Is(err, context.DeadlineExceeded) {
			return append(findings, unknown(api.HealthNginx, err)...)
		}
		findings = append(findings, fail(api.HealthNginx, problem.Hint, "%s", problem.Message))
	}
	return orFine(findings, api.HealthNginx, "it answers at %s and takes the tree of sites", address)
}

// traffic says how traffic is switched, and what that costs.
func (d *Doctor) traffic(context.Context) []api.HealthFinding {
	if d.Traffic == "map" {
		return []api.HealthFinding{fine(api.HealthTraffic, "switched by the kernel's address map: table %s, %s", d.Config.Map.Table, d.Config.Map.Subnet)}
	}
	hint := "`dokku-agent install --traffic map` says why the address map cannot be had, or takes it"
	if d.Config.Embedded {
		hint = "`dokku-agent serve --traffic map` says why the address map cannot be had; it needs root"
	}
	return []api.HealthFinding{warn(api.HealthTraffic, hint, "switched by reloading nginx: each deploy closes idle keep-alive connections, and a client that cannot repeat its request loses it")}
}

// watch looks for the service that keeps traffic and containers together. An embedded
// host does that itself.
func (d *Doctor) watch(context.Context) []api.HealthFinding {
	if d.Config.Embedded {
		return []api.HealthFinding{fine(api.HealthWatch, "part of the embedded host, which runs")}
	}
	running, err := d.Commands()
	if err != nil {
		return unknown(api.HealthWatch, err)
	}
	if slices.ContainsFunc(running, isWatch) {
		return []api.HealthFinding{fine(api.HealthWatch, "running")}
	}
	return []api.HealthFinding{warn(api.HealthWatch, "systemctl enable --now dokku-agent", "`dokku-agent watch` does not run: a container that starts again with another address is not found until the next command")}
}

func isWatch(argv []string) bool {
	return len(argv) >= 2 && filepath.Base(argv[0]) == "dokku-agent" && argv[1] == "watch"
}

// commands reads the command lines of all processes; those of others may be hidden.
func commands() ([][]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var all [][]string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			continue // it has ended, or is the kernel's
		}
		all = append(all, strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00"))
	}
	return all, nil
}

// leftovers tells what is left of apps that do not exist, an app a line.
func (d *Doctor) leftovers(ctx context.Context) []api.HealthFinding {
	left, err := d.Leftovers(ctx)
	if err != nil {
		return unknown(api.HealthLeftovers, err)
	}
	var order []string
	names := map[string][]string{}
	for _, one := range left {
		if names[one.App] == nil {
			order = append(order, one.App)
		}
		names[one.App] = append(names[one.App], one.Kind+" "+one.Name)
	}
	var findings []api.HealthFinding
	for _, app := range order {
		findings = append(findings, warn(api.HealthLeftovers, "dokku-push drift --app "+app+" says what to do about each",
			"there is no app %s any more, but: %s", app, strings.Join(names[app], ", ")))
	}
	return orFine(findings, api.HealthLeftovers, "nothing is left of removed apps")
}

// unfinished tells which requests were cut off.
func (d *Doctor) unfinished(context.Context) []api.HealthFinding {
	var findings []api.HealthFinding
	for _, app := range d.appNames() {
		request, err := d.Unfinished(app)
		if err != nil {
			findings = append(findings, unknown(api.HealthUnfinished, err)...)
		} else if request != "" {
			findings = append(findings, warn(api.HealthUnfinished, "dokku-agent recover "+app+", on the host; its watch service does so by itself",
				"%s: the request %s was cut off and waits for recovery", app, request))
		}
	}
	return orFine(findings, api.HealthUnfinished, "every request is finished or undone")
}

// builds says by what a Dockerfile is held that is built on this host.
func (d *Doctor) builds(context.Context) []api.HealthFinding {
	isolated, err := d.Builds()
	switch {
	case err != nil:
		return []api.HealthFinding{warn(api.HealthBuilds, "install buildkitd and runc (BuildKit's releases, into /usr/local/bin), or build with dokku-push on a laptop or in CI",
			"a Dockerfile that is built here, by git push, has no limits of memory and processor in the engine's own BuildKit: %v", err)}
	case !isolated:
		return []api.HealthFinding{warn(api.HealthBuilds, "install the network plugins that BuildKit gives its steps a network with: apt install containernetworking-plugins",
			"a Dockerfile that is built here has limits of memory and processor, but its steps use this host's own network")}
	}
	return []api.HealthFinding{fine(api.HealthBuilds, "a Dockerfile that is built here has limits of memory and processor")}
}
