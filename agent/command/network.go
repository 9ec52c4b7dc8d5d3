package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// networkCommands are the rows of this noun.
func networkCommands() []Command {
	return []Command{
		{"network:create", "<network>", "Create an attachable docker network", networkCreate},
		{"network:destroy", "<network> [--force]", "Destroy a docker network", networkDestroy},
		{"network:exists", "<network>", "Check if a docker network exists", networkExists},
		{"network:info", "<network> [--format stdout|json]", "Show what a docker network is", networkInfo},
		{"network:list", "[--format stdout|json]", "List all docker networks", networkList},
		{"network:rebuild", "<app>", "Rebuild the network settings of an app", networkRebuild},
		{"network:rebuildall", "", "Rebuild the network settings of all apps", networkRebuildAll},
		{"network:report", "[<app>|--global] [<flag>]", "Display a network report for one or more apps", networkReport},
		{"network:set", "[<app>|--global] <key> (<value>)", "Set or clear a network property of an app", networkSet},
	}
}

var networkForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// network reads the one word of most commands.
func (c *Call) network() (string, error) {
	if len(c.Args) == 0 {
		return "", api.Errorf(api.Usage, "", "No network name specified")
	}
	name := c.Args[0]
	if c.Args = c.Args[1:]; len(c.Args) > 0 {
		return "", c.noMore()
	}
	if !networkForm.MatchString(name) {
		return "", api.Errorf(api.Usage, "", "%q is no name of a network: letters, digits, _, . and -", name)
	}
	return name, nil
}

func networkCreate(ctx context.Context, call *Call) error {
	name, err := call.network()
	if err != nil {
		return err
	}
	if err := call.Host.CreateNetwork(ctx, name); err != nil {
		return err
	}
	call.say("Creating network %s", name)
	return nil
}

func networkDestroy(ctx context.Context, call *Call) error {
	force := call.flag("--force", "-f") || call.Force
	name, err := call.network()
	if err != nil {
		return err
	}
	if _, err := call.Host.Network(ctx, name); err != nil {
		return err
	}
	if !force {
		fmt.Fprintf(call.Err, " !     WARNING: Potentially Destructive Action\n !     This command will destroy network %s.\n !     To proceed, type \"%s\"\n\n> ", name, name)
		if answer, _ := bufio.NewReader(call.In).ReadString('\n'); strings.TrimSpace(answer) != name { // no answer is no yes
			return api.Errorf(api.Usage, "", "Confirmation did not match %s. Aborted.", name)
		}
	}
	if err := call.Host.DestroyNetwork(ctx, name); err != nil {
		return err
	}
	call.say("Destroying network %s", name)
	return nil
}

func networkExists(ctx context.Context, call *Call) error {
	name, err := call.network()
	if err != nil {
		return err
	}
	if _, err := call.Host.Network(ctx, name); err != nil {
		return err
	}
	_, err = fmt.Fprintln(call.Out, "Network exists")
	return err
}

// format takes --format of a command that is no report.
func (c *Call) format() (asJSON bool, err error) {
	format, _, err := c.option("--format")
	if err == nil && format != "" && format != "json" && format != "stdout" {
		err = api.Errorf(api.Usage, "", "Invalid format specified, supported formats: json, stdout")
	}
	return format == "json", err
}

func networkInfo(ctx context.Context, call *Call) error {
	asJSON, err := call.format()
	if err != nil {
		return err
	}
	name, err := call.network()
	if err != nil {
		return err
	}
	network, err := call.Host.Network(ctx, name)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(call.Out).Encode(network)
	}
	call.heading("%s network information", name)
	for _, row := range []reportLine{{"ID", network.ID}, {"Name", network.Name}, {"Driver", network.Driver}, {"Scope", network.Scope},
		{"Attachable", fmt.Sprint(network.Attachable)}, {"Containers", strings.Join(network.Containers, " ")}} {
		call.line("%-30s %s", row.name+":", row.value)
	}
	return nil
}

func networkList(ctx context.Context, call *Call) error {
	asJSON, err := call.format()
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	all, err := call.Host.Networks.ListNetworks(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(call.Out).Encode(all)
	}
	call.heading("Networks")
	for _, network := range all {
		fmt.Fprintln(call.Out, network.Name)
	}
	return nil
}

func networkRebuild(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	return call.Host.RebuildNetwork(ctx, app, call.By)
}

func networkRebuildAll(ctx context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	apps, err := call.visibleApps(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, app := range apps {
		if err := call.Host.RebuildNetwork(ctx, app, call.By); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", app, err))
		}
	}
	return errors.Join(failures...)
}

var tldForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// networkSet takes effect with the next deploy but for static-web-listener, which is the
// site's.
func networkSet(ctx context.Context, call *Call) error {
	some := func(most int) check {
		return func(value string) error { return call.areNetworks(ctx, value, most) }
	}
	known := map[string]check{
		"attach-post-create": some(8), "attach-post-deploy": some(8), "initial-network": some(1), "tld": form(tldForm, "domain"),
		"bind-all-interfaces": func(value string) error {
			if value != "true" && value != "false" {
				return api.Errorf(api.Usage, "", "bind-all-interfaces is true or false")
			}
			return nil
		},
		"static-web-listener": func(value string) error {
			if address, err := netip.ParseAddrPort(value); err != nil || !address.Addr().Is4() || address.Port() == 0 {
				return api.Errorf(api.Usage, "", "%q is no ip:port", value)
			}
			if call.afar() {
				return api.Errorf(api.Refused, "", "what listens on the host or beside it is its owner's to give").WithHint("on the host: dokku network:set APP static-web-listener %s", value)
			}
			return nil
		},
	}
	if len(call.Args) > 1 && call.Args[1] == "static-web-listener" || call.App != "" && len(call.Args) > 0 && call.Args[0] == "static-web-listener" {
		app, err := call.scope(ctx)
		if err != nil {
			return err
		}
		if app != "--global" {
			return call.setSite(ctx, app, "network", known)
		}
		return api.Errorf(api.Usage, "", "Property static-web-listener cannot be specified globally")
	}
	return call.set(ctx, "network", known)
}

// areNetworks checks that a value names networks that there are and that apps may be in.
func (c *Call) areNetworks(ctx context.Context, value string, most int) error {
	names := strings.FieldsFunc(value, func(char rune) bool { return char == ',' || char == ' ' })
	if len(names) == 0 || len(names) > most {
		return api.Errorf(api.Usage, "", "expected at most %d networks", most)
	}
	for _, name := range names {
		if !networkForm.MatchString(name) || name == "host" || name == "none" {
			return api.Errorf(api.Usage, "", "%q is no network that an app can be in", name)
		}
		if _, err := c.Host.Network(ctx, name); err != nil {
			return api.Errorf(api.Precondition, "", "the network %s does not exist", name).WithHint("network:create %s", name)
		}
	}
	return nil
}

func networkReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "network", func(app string, settings agent.Settings) ([]reportLine, error) {
		var rows []reportLine
		for _, key := range []string{"attach-post-create", "attach-post-deploy", "bind-all-interfaces", "initial-network", "tld"} {
			usual := map[string]string{"bind-all-interfaces": "false"}[key]
			rows = append(rows, computed("Network", key, usual, settings, global, "network/"+key)...)
		}
		rows = append(rows, reportLine{"Network static web listener", settings.Properties["network/static-web-listener"]})
		if app == "--global" {
			return rows, nil
		}
		listeners, err := call.Host.Listeners(ctx, app, "web")
		return append(rows, reportLine{"Network web listeners", strings.Join(listeners, " ")}), err
	})
}
