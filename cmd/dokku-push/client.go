package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

// client is one run of the program: what was asked for, and where to say what.
type client struct {
	command  string
	args     []string // after the command and the flags
	options  push.Options
	format   string // auto, plain, json
	output   string // -o
	follow   bool   // -t
	checking checkFlags
	first    initFlags
	planning planFlags
	usage    string
	in       io.Reader
	out      io.Writer
	err      io.Writer
}

// commands are all the words that may stand first; the first is the default.
var commands = []string{"push", "plan", "build", "config", "status", "releases", "rollback", "logs", "run", "check", "init", "drift", "doctor", "help", "version"}

// parse turns the command line and the environment into a client. A flag wins over
// its variable.
func parse(args []string, in io.Reader, out, err io.Writer) (*client, error) {
	c := &client{command: commands[0], in: in, out: out, err: err}
	if len(args) > 0 && slices.Contains(commands, args[0]) {
		c.command, args = args[0], args[1:]
	}
	o := &c.options
	o.Getenv = os.LookupEnv
	flags := pflag.NewFlagSet("dokku-push", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	flags.StringVarP(&o.App, "app", "a", os.Getenv("DOKKU_APP"), "name of the app (else dokku.hcl's, else the folder's)")
	flags.StringVarP(&o.Host, "host", "H", os.Getenv("DOKKU_HOST"), "[user@]host[:port], or the name of a host block in dokku.hcl")
	flags.StringVar(&o.Remote.HostKey, "host-key", os.Getenv("DOKKU_SSH_HOST_KEY"), "the host's key, pinned: SHA256:… or a public key line")
	flags.StringVar(&o.Remote.KeyFile, "key", os.Getenv("DOKKU_SSH_KEY_FILE"), "ssh private key file (else ssh-agent and the usual files)")
	flags.BoolVar(&o.Remote.AcceptNew, "accept-new-host-key", truth(os.Getenv("DOKKU_SSH_ACCEPT_NEW_HOST_KEYS")), "trust a host that is not in known_hosts yet, and remember it")
	flags.StringVar(&o.Registry, "registry", "", "push to this repository instead of over ssh, and let the host pull from it")
	flags.StringVar(&o.Image, "image", "", "deploy this image instead of building one: a reference, an OCI layout folder or a docker-save archive")
	flags.StringVar(&o.Manifest, "manifest", os.Getenv("DOKKU_MANIFEST"), "dokku.hcl by another name")
	flags.StringVar(&o.Plan, "plan", "", "push: carry out exactly this plan, or refuse")
	flags.DurationVar(&o.LockWait, "lock-wait", 0, "how long to wait for another deploy of the app: 5m")
	flags.StringVar(&c.format, "log-format", envOr("DOKKU_LOG_FORMAT", "auto"), "auto, plain or json (one event a line on stdout)")
	flags.StringVarP(&c.output, "output", "o", "", "build: write the image to this file; plan: the plan")
	flags.BoolVarP(&c.follow, "tail", "t", false, "logs: follow")
	c.checking.register(flags)
	c.first.register(flags)
	c.planning.register(flags)
	asked := flags.BoolP("help", "h", false, "print this")
	c.usage = flags.FlagUsages()
	if c.command == "run" {
		flags.SetInterspersed(false)
	}
	if problem := flags.Parse(args); problem != nil {
		return nil, api.Errorf(api.Usage, "", "%w", problem).WithHint("dokku-push help lists the flags")
	}
	c.args = flags.Args()
	o.Environment = c.checking.environment
	o.Flags, o.Variables = given(flags)
	if *asked {
		c.command = "help"
	}
	if !slices.Contains([]string{"auto", "plain", "json"}, c.format) {
		return nil, api.Errorf(api.Usage, "", "--log-format is auto, plain or json, not %q", c.format)
	}
	o.Remote.Key = redact.Secret(os.Getenv("DOKKU_SSH_KEY"))
	o.Remote.Passphrase = askPassphrase
	return c, nil
}

// given is what flags and variables say of dokku.hcl's keys, each by its name.
func given(flags *pflag.FlagSet) (said, variables map[string]manifest.Given) {
	said, variables = map[string]manifest.Given{}, map[string]manifest.Given{}
	for _, row := range []struct{ key, flag, variable string }{
		{"app", "app", "DOKKU_APP"}, {"host", "host", "DOKKU_HOST"}, {"host.host_key", "host-key", "DOKKU_SSH_HOST_KEY"},
		{"image.registry", "registry", ""}, {"build.image", "image", ""},
	} {
		if flag := flags.Lookup(row.flag); flag.Changed {
			said[row.key] = manifest.Given{Name: "--" + row.flag, Value: flag.Value.String()}
		}
		if value := os.Getenv(row.variable); row.variable != "" && value != "" {
			variables[row.key] = manifest.Given{Name: "$" + row.variable, Value: value}
		}
	}
	return said, variables
}

func truth(value string) bool {
	return value == "1" || strings.EqualFold(value, "true") || strings.EqualFold(value, "yes")
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// askPassphrase asks on the terminal; without one it says what to do instead.
func askPassphrase(file string) (string, error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", api.Errorf(api.Refused, "unlock "+file, "the key has a passphrase and there is no terminal to ask on").
			WithHint("load it into an ssh-agent, or use a key without a passphrase in CI")
	}
	defer terminal.Close()
	fmt.Fprintf(terminal, "Passphrase for %s: ", file)
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(terminal)
	return string(text), err
}

// do carries out the command.
func (c *client) do(ctx context.Context) error {
	renderer := c.renderer()
	defer renderer.Close()
	c.options.Report = renderer.Event
	if (c.command == "push" || c.command == "plan" || c.command == "build") && len(c.args) > 1 {
		return api.Errorf(api.Usage, "", "one folder at a time, not %q", c.args).WithHint("dokku-push help")
	}
	switch c.command {
	case "push":
		return c.push(ctx)
	case "plan":
		return c.plan(ctx)
	case "config":
		return c.config()
	case "build":
		return c.build(ctx)
	case "status":
		return c.status(ctx)
	case "releases":
		return c.releases(ctx)
	case "rollback":
		return c.rollback(ctx)
	case "logs":
		return c.remoteCommand(ctx, "logs", c.logArgs())
	case "run":
		return c.remoteCommand(ctx, "run", c.args)
	case "check":
		return c.check()
	case "init":
		return c.init(ctx)
	case "drift":
		return c.drift(ctx)
	case "doctor":
		return c.doctor(ctx)
	case "version":
		_, err := fmt.Fprintf(c.out, "dokku-push %s (protocol %d)\n", version, api.Protocol)
		return err
	}
	_, err := io.WriteString(c.out, help(c.usage))
	return err
}

// renderer chooses how events are shown. JSON goes to stdout, for it is the answer.
func (c *client) renderer() report.Renderer {
	if c.format == "json" {
		return report.JSON(c.out)
	}
	file, isFile := c.err.(*os.File)
	if c.format == "auto" && isFile && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == "" {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return report.Terminal(c.err, width)
		}
	}
	return report.Plain(c.err)
}

func (c *client) folder() string {
	if len(c.args) > 0 {
		return c.args[0]
	}
	return "."
}

// project loads the manifest for commands that only need its app and host. A folder
// without one is fine as long as flags name both.
func (c *client) connect(ctx context.Context) (*push.Connection, string, error) {
	o := quiet(c.options) // what a manifest could do better is for a push to say
	project, err := push.Load(o)
	if err != nil && (o.App == "" || o.Host == "") {
		return nil, "", err
	}
	name := o.App
	var target remote.Options
	if project != nil {
		name = project.Name
		target, err = push.Target(o, project.App)
	} else {
		target, err = push.Target(o, nil)
	}
	if err != nil {
		return nil, "", err
	}
	connection, err := push.Connect(ctx, target)
	return connection, name, err
}

// verdict prints the answer of a deploy: its URLs on stdout, the rest on stderr.
func (c *client) verdict(v api.Verdict, app string) error {
	if v.Error != nil && !v.OK {
		return v.Error
	}
	if c.format != "json" {
		took := (time.Duration(v.DurationMS) * time.Millisecond).String()
		if v.Changed {
			fmt.Fprintf(c.err, "=====> %s v%d is live (%s, deployed in %s)\n", app, v.Release, short(v.Run), took)
		} else {
			fmt.Fprintf(c.err, "=====> %s v%d runs this already: nothing to do\n", app, v.Release)
		}
		for _, url := range v.URLs {
			fmt.Fprintln(c.out, url)
		}
	}
	if v.Error != nil {
		return v.Error
	}
	return nil
}

func short(id string) string {
	return id[:min(len(id), len("sha256:")+12)]
}
