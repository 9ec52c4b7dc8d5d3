package command

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// portsCommands are the rows of this noun, with those that had its place before.
func portsCommands() []Command {
	const maps = "<app> <scheme>:<host-port>:<container-port> [...]"
	const some = "<app> <host-port>|<scheme>:<host-port>:<container-port> [...]"
	return []Command{
		{"ports:add", maps, "Add port mappings to an app", portsAdd},
		{"ports:clear", "<app>", "Clear all port mappings of an app", portsClear},
		{"ports:list", "<app> [--format stdout|json]", "List the port mappings of an app", portsList},
		{"ports:remove", some, "Remove port mappings from an app", portsRemove},
		{"ports:report", "[<app>] [<flag>]", "Display a ports report for one or more apps", portsReport},
		{"ports:set", maps, "Set the port mappings of an app", portsSet},
		{"proxy:ports", "<app>", "List the port mappings of an app, as ports:list", portsList},
		{"proxy:ports-add", maps, "Add port mappings to an app, as ports:add", portsAdd},
		{"proxy:ports-clear", "<app>", "Clear all port mappings of an app, as ports:clear", portsClear},
		{"proxy:ports-remove", some, "Remove port mappings from an app, as ports:remove", portsRemove},
		{"proxy:ports-set", maps, "Set the port mappings of an app, as ports:set", portsSet},
	}
}

// mostPorts is the longest port map.
const mostPorts = 32

// portMaps reads the words of a command. What nginx does not serve is refused, for it
// would change nothing.
func portMaps(words []string) ([]string, error) {
	if len(words) == 0 {
		return nil, api.Errorf(api.Usage, "", "No port mappings specified")
	}
	for _, word := range words {
		port, err := agent.ParsePortMap(word)
		if err != nil {
			return nil, err
		}
		if port.Scheme == "tcp" || port.Scheme == "udp" {
			return nil, api.Errorf(api.Usage, "", "%s: nginx serves http, https, grpc and grpcs here", word).
				WithHint("docker-options:add APP deploy \"-p %d:%d/%s\" publishes the container's own port", port.Host, port.Container, port.Scheme)
		}
	}
	return words, nil
}

// checkPorts refuses a map in which a port of the host is there twice.
func checkPorts(ports []string) error {
	if len(ports) > mostPorts {
		return api.Errorf(api.Usage, "", "a port map has at most %d entries", mostPorts)
	}
	seen := map[int]string{}
	for _, text := range ports {
		port, err := agent.ParsePortMap(text)
		if err != nil {
			return err
		}
		if other, twice := seen[port.Host]; twice {
			return api.Errorf(api.Usage, "", "the port %d of the host is mapped twice: %s and %s", port.Host, other, text)
		}
		seen[port.Host] = text
	}
	return nil
}

// changePorts brings the site up to the new map and tells the plugins.
func (c *Call) changePorts(ctx context.Context, app, action string, change func(now []string) ([]string, error)) error {
	err := c.Host.ChangeSite(ctx, app, c.By, agent.SiteChange{Settings: func(now *agent.Settings) error {
		ports, err := change(slices.Clone(now.Ports))
		if err == nil {
			err = checkPorts(ports)
		}
		now.Ports = ports
		return err
	}})
	if err != nil {
		return err
	}
	return c.tell(ctx, app, "post-proxy-ports-update", app, action)
}

func portsAdd(ctx context.Context, call *Call) error {
	return call.putPorts(ctx, "add", func(now, ports []string) []string {
		return append(now, slices.DeleteFunc(slices.Clone(ports), func(port string) bool { return slices.Contains(now, port) })...)
	})
}

func portsSet(ctx context.Context, call *Call) error {
	return call.putPorts(ctx, "set", func(_, ports []string) []string { return ports })
}

func (c *Call) putPorts(ctx context.Context, action string, change func(now, ports []string) []string) error {
	app, err := c.app(ctx)
	if err != nil {
		return err
	}
	ports, err := portMaps(c.Args)
	if err != nil {
		return err
	}
	err = c.changePorts(ctx, app, action, func(now []string) ([]string, error) { return change(now, ports), nil })
	if err != nil {
		return err
	}
	return c.printPorts(app)
}

func portsClear(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	if err := call.changePorts(ctx, app, "clear", func([]string) ([]string, error) { return nil, nil }); err != nil {
		return err
	}
	call.say("Port mappings of %s cleared", app)
	return nil
}

func portsRemove(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 {
		return api.Errorf(api.Usage, "", "No port mappings specified")
	}
	err = call.changePorts(ctx, app, "remove", func(now []string) ([]string, error) {
		for _, word := range call.Args {
			left := slices.DeleteFunc(slices.Clone(now), func(port string) bool { return names(word, port) })
			if len(left) == len(now) {
				return nil, api.Errorf(api.Usage, "", "%s is in no port mapping of %s", word, app).WithHint("ports:list %s", app)
			}
			now = left
		}
		return now, nil
	})
	if err != nil {
		return err
	}
	return call.printPorts(app)
}

// names tells whether a word means a port mapping: all of it, its scheme and host port, or
// the host port alone.
func names(word, port string) bool {
	scheme, rest, _ := strings.Cut(port, ":")
	host, _, _ := strings.Cut(rest, ":")
	return word == port || word == scheme+":"+host || word == host
}

func portsList(ctx context.Context, call *Call) error {
	format, _, err := call.option("--format")
	if err != nil {
		return err
	}
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	switch format {
	case "", "stdout":
		return call.printPorts(app)
	case "json":
		return call.portsJSON(app)
	}
	return api.Errorf(api.Usage, "", "Invalid format specified, supported formats: json, stdout")
}

func (c *Call) printPorts(app string) error {
	ports, err := c.Host.Ports(app)
	if err != nil {
		return err
	}
	if !c.Quiet {
		c.say("Port mappings for %s", app)
		fmt.Fprintf(c.Out, "-----> %-18s %-25s %s\n", "scheme", "host port", "container port")
	}
	for _, port := range ports {
		fmt.Fprintf(c.Out, "%-25s %-25d %d\n", port.Scheme, port.Host, port.Container)
	}
	return nil
}

func (c *Call) portsJSON(app string) error {
	ports, err := c.Host.Ports(app)
	if err != nil {
		return err
	}
	type row struct {
		Container int    `json:"container_port"`
		Host      int    `json:"host_port"`
		Scheme    string `json:"scheme"`
	}
	rows := []row{}
	for _, port := range ports {
		rows = append(rows, row{port.Container, port.Host, port.Scheme})
	}
	return json.NewEncoder(c.Out).Encode(rows)
}

func portsReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "ports", func(_ string, settings agent.Settings) ([]reportLine, error) {
		return []reportLine{
			{"Ports map", strings.Join(settings.Ports, " ")},
			{"Ports map detected", strings.Join(strings.Fields(settings.Properties["ports/map-detected"]), " ")},
		}, nil
	})
}

// aPort is the check of a property that is a port; the empty value unsets it.
func aPort(value string) error {
	if port, err := strconv.Atoi(value); err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != value {
		return api.Errorf(api.Usage, "", "%q is no port", value)
	}
	return nil
}
