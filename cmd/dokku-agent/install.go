package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/agent/install"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
)

// install makes this machine a host.
func (p *program) install(args []string) int {
	self, err := os.Executable()
	if err != nil {
		return p.fail(fmt.Errorf("find the agent's program: %w", err))
	}
	options := install.Options{Self: self, Say: func(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }}
	flags := pflag.NewFlagSet("install", pflag.ContinueOnError)
	flags.SetOutput(p.err)
	flags.StringVar(&options.Traffic, "traffic", "auto", "how traffic is switched: map, reload, or auto: map where it can be had")
	flags.StringVar(&options.Domain, "domain", "", "apps answer at APP.DOMAIN")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || !slices.Contains([]string{"auto", "map", "reload"}, options.Traffic) {
		return p.usage()
	}
	if options.Domain != "" {
		if err := nginx.Domain(options.Domain); err != nil {
			return p.fail(api.Errorf(api.Usage, "install", "%w", err))
		}
	}
	if err := install.Run(p.ctx, options); err != nil {
		return p.fail(err)
	}
	if err := layOut(install.Places(), install.Program); err != nil {
		return p.fail(err)
	}
	return 0
}

// keys says who may deploy: keys add NAME [FILE], keys list.
func (p *program) keys(args []string) int {
	file := keys.At(placesFromEnvironment().Root)
	switch {
	case len(args) == 1 && args[0] == "list":
		known, err := file.List()
		if err != nil {
			return p.fail(err)
		}
		for _, key := range known {
			fmt.Fprintf(p.out, "%s NAME=%q\n", key.Fingerprint, key.Name)
		}
		return 0
	case (len(args) == 2 || len(args) == 3) && args[0] == "add":
		shown, text, err := keys.Read(args[2:], p.in)
		if err != nil {
			return p.fail(fmt.Errorf("read the key: %w", err))
		}
		fingerprint, err := file.Add(args[1], shown, text)
		if err != nil {
			return p.fail(err)
		}
		fmt.Fprintln(p.out, fingerprint)
		return 0
	case len(args) == 2 && args[0] == "remove":
		if err := file.Remove(args[1]); err != nil {
			return p.fail(err)
		}
		return 0
	}
	return p.usage()
}

// domain sets the global domains, under which apps get theirs.
func (p *program) domain(args []string) int {
	if len(args) == 0 {
		return p.usage()
	}
	for _, name := range args {
		if err := nginx.Domain(name); err != nil {
			return p.fail(api.Errorf(api.Usage, "set the global domain", "%w", err))
		}
	}
	if err := install.SetDomains(placesFromEnvironment(), args, func() { fmt.Fprintf(p.out, "apps answer at APP.%s\n", args[0]) }); err != nil {
		return p.fail(err)
	}
	return 0
}
