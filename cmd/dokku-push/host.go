package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

// serverFlags are what only host knows.
type serverFlags struct {
	name string
	plan bool
	sudo bool
}

func serverBlockFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.server.name, "server", "", "the server block that is meant, where the file has several")
	flags.BoolVar(&c.server.plan, "plan", false, "only say what would change")
	flags.BoolVar(&c.server.plan, "dry-run", false, "the same")
	flags.BoolVar(&c.server.sudo, "sudo", truth(os.Getenv("DOKKU_SUDO")), "become root by sudo -n whatever the user's name (else unless it is root); DOKKU_SUDO says the same")
	flags.BoolVar(&c.detailed, "detailed-exitcode", false, "with --plan: exit with 2 when there is something to do")
	flags.BoolVar(&c.asJSON, "json", false, "with --plan: print the plan as JSON")
}

// host makes hosts what the server blocks of a file say.
func (c *client) host(ctx context.Context) error {
	if len(c.args) == 0 || c.args[0] != "apply" {
		return api.Errorf(api.Usage, "", "host takes the word apply, not %q", c.args).WithHint("dokku-push host apply dokku.hcl")
	}
	c.args = c.args[1:]
	servers, err := c.servers()
	if err != nil {
		return err
	}
	differ := false
	for _, server := range servers {
		o := push.HostOptions{Server: server, PlanOnly: c.server.plan, Sudo: c.server.sudo, Remote: c.options.Remote, Report: c.options.Report}
		if _, said := c.options.Flags["host"]; said || server.Address == "" { // DOKKU_HOST is where apps are pushed to
			o.Host = c.options.Host
		}
		if c.server.plan {
			o.Report = func(event api.Event) {
				if event.Plan == nil && event.Verdict == nil {
					c.options.Report(event)
				}
			}
		}
		plan, verdict, err := push.ApplyHost(ctx, o)
		if err != nil {
			return err
		}
		differ = differ || !plan.Empty()
		if err := c.hostAnswer(plan, verdict); err != nil {
			return err
		}
	}
	if c.server.plan && c.detailed && differ {
		return &exitError{code: exitOf(api.Differences)}
	}
	return nil
}

// hostAnswer prints the plan, or what became of it.
func (c *client) hostAnswer(plan api.Plan, verdict api.Verdict) error {
	switch {
	case c.server.plan && (c.asJSON || c.logFormat == "json"):
		return json.NewEncoder(c.out).Encode(plan)
	case c.server.plan:
		return report.Plan(c.answer(), plan)
	case c.logFormat == "json":
		return nil // the events said it
	case !verdict.Changed:
		fmt.Fprintf(c.err, "=====> %s is so already: nothing to do\n", plan.Server)
	default:
		fmt.Fprintf(c.err, "=====> %s is made (%d changes)\n", plan.Server, len(plan.Changes))
	}
	return nil
}

// servers reads the server blocks that are meant.
func (c *client) servers() ([]manifest.Server, error) {
	file := c.options.Manifest
	if len(c.args) > 0 {
		file = c.args[0]
	}
	dir, name := ".", ""
	if file != "" {
		dir, name = filepath.Split(file)
		if dir == "" {
			dir = "."
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			dir, name = file, ""
		}
	}
	servers, found := manifest.LoadServers(os.DirFS(dir), manifest.Options{File: name, Getenv: c.options.Getenv})
	if found.Failed() {
		return nil, api.Errorf(api.InvalidManifest, "", "%w", found)
	}
	var names []string
	for _, server := range servers {
		names = append(names, server.Name)
	}
	if c.server.name != "" {
		servers = slices.DeleteFunc(servers, func(s manifest.Server) bool { return s.Name != c.server.name })
	}
	_, one := c.options.Flags["host"]
	switch {
	case len(names) == 0:
		return nil, api.Errorf(api.InvalidManifest, "", "there is no server block in the file").WithHint("server \"NAME\" { address = \"root@host\" … }")
	case len(servers) == 0:
		return nil, api.Errorf(api.Usage, "", "there is no server block %q", c.server.name).WithHint("there are: %s", strings.Join(names, ", "))
	case len(servers) > 1 && one:
		return nil, api.Errorf(api.Usage, "", "--host is one host, and the file has %d server blocks", len(servers)).WithHint("--server says which: %s", strings.Join(names, ", "))
	}
	return servers, nil
}
