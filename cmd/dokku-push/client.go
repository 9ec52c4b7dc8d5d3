package main

import (
	"context"
	"errors"
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
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

// client is one run of the program: what was asked for, and where to say what.
type client struct {
	command   command
	args      []string // after the command and the flags
	options   push.Options
	logFormat string // auto, plain, json, github
	story     story  // that is told and written
	job       ci.Job // what CI asks for
	room      string // a folder of the job's own; empty: none
	format    string // of an answer that is no event stream: text, json, github; empty: as the log
	output    string // -o
	follow    bool   // -t
	detailed  bool   // plan: exit 2 for changes
	asJSON    bool   // plan: print JSON
	dryRun    bool   // push: only plan
	onHost    bool   // build: for this host's agent
	all       bool   // every app of dokku.hcl
	since     string // every app that has changed since this commit
	digest    bool   // build: print the manifest's digest
	sbom      string // build: folder for bills of materials
	layout    string // build: folder for an OCI layout
	first     firstFlags
	server    serverFlags
	audience  string // auth: what the token is to be for
	reviews   bool   // auth: for review apps, not for the app
	offline   bool   // plan: no host is asked
	pull      reviewing
	plain     []string // import: config keys whose values are no secrets
	manual    bool     // help: as a manual page
	in        io.Reader
	out       io.Writer
	err       io.Writer
}

// parse turns the command line and the environment into a client. A flag wins over
// its variable. Without a command it is a push of a folder.
func parse(args []string, in io.Reader, out, err io.Writer) (*client, error) {
	c := &client{command: table()[0], in: in, out: out, err: err, logFormat: "auto"}
	c.options.Getenv, c.options.Version = os.LookupEnv, version
	named := false
	if len(args) > 0 {
		if row, known := find(args[0]); known {
			c.command, args, named = row, args[1:], true
		} else if isWord(args[0]) {
			return nil, unknownCommand(args[0])
		}
	}
	flags := c.command.set(c)
	asked := helpFlag(flags)
	if c.command.name == "run" {
		flags.SetInterspersed(false)
	}
	problem := flags.Parse(args)
	if word := behindFlags(args); !named && word != "" && (problem != nil || flags.Arg(0) == word) {
		return nil, api.Errorf(api.Usage, "", "the command %s stands behind a flag: it comes first", word).WithHint("dokku-push %s --…", word)
	}
	if problem != nil {
		return nil, api.Errorf(api.Usage, "", "%w", problem).WithHint("dokku-push help %s lists the flags", c.command.name)
	}
	c.args = flags.Args()
	if *asked {
		c.args = nil
		if named {
			c.args = []string{c.command.name}
		}
		c.command, _ = find("help")
	}
	if most := c.command.most; most != anyNumber && len(c.args) > most {
		return nil, api.Errorf(api.Usage, "", "%s takes %s, not %q", c.command.name, orNothing(c.command.args), c.args).WithHint("dokku-push help %s", c.command.name)
	}
	if !slices.Contains(logFormats(), c.logFormat) {
		return nil, api.Errorf(api.Usage, "", "--log-format is github, auto, plain or json, not %q", c.logFormat)
	}
	c.options.Flags, c.options.Variables = given(flags)
	c.options.Remote.Key = redact.Secret(os.Getenv("DOKKU_SSH_KEY"))
	c.options.Remote.Passphrase = askPassphrase
	return c, nil
}

// behindFlags is the first argument that is a command, and no folder.
func behindFlags(args []string) string {
	for _, arg := range args {
		if _, known := find(arg); known && isWord(arg) {
			return arg
		}
	}
	return ""
}

// isWord tells a mistyped command from the folder of a push: a folder is there, or is
// written with a slash or a dot.
func isWord(text string) bool {
	if strings.HasPrefix(text, "-") || strings.ContainsAny(text, "./\\") {
		return false
	}
	_, err := os.Stat(text)
	return err != nil
}

func orNothing(args string) string {
	if args == "" {
		return "no arguments"
	}
	return "one argument"
}

// given is what flags and variables say of dokku.hcl's keys, each by its name.
func given(flags *pflag.FlagSet) (said, variables map[string]manifest.Given) {
	said, variables = map[string]manifest.Given{}, map[string]manifest.Given{}
	for _, row := range []struct{ key, flag, variable string }{
		{"app", "app", "DOKKU_APP"}, {"host", "host", "DOKKU_HOST"}, {"host.host_key", "host-key", "DOKKU_SSH_HOST_KEY"},
		{"image.registry", "registry", ""}, {"build.image", "image", ""},
	} {
		if flag := flags.Lookup(row.flag); flag != nil && flag.Changed {
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
	var unread error
	if c.command.name == "ci" {
		unread = c.readJob()
		defer c.leave()
	}
	if err := c.begin(); err != nil {
		return err
	}
	renderer := c.tell(c.renderer())
	c.options.Report = renderer.Event
	err := unread
	if unread == nil {
		err = c.command.do(c, ctx)
	}
	_, told := errors.AsType[*exitError](err)
	tells := slices.Contains([]string{"ci", "push", "plan", "rollback", "promote"}, c.command.name)
	if tells && err != nil && !told && ctx.Err() == nil && !c.story.accounts.Failed() { // outputs and result say so, wherever it ended
		_ = c.noVerdict(err)
	}
	renderer.Close()
	return c.finish(err)
}

// renderer chooses how events are shown. JSON goes to stdout, for it is the answer.
func (c *client) renderer() report.Renderer {
	if c.logFormat == "json" {
		return report.JSON(c.out)
	}
	if c.story.github != nil {
		return open{c.story.github}
	}
	if size, ok := c.terminal(); ok {
		return report.Terminal(c.err, size)
	}
	return report.Plain(c.err)
}

// leave takes the job's folder away.
func (c *client) leave() {
	if c.room != "" {
		_ = os.RemoveAll(c.room) // nobody else knows of it
	}
}

// open is a renderer that is not closed when the events end: the answer and the failure are
// written by it, too.
type open struct{ report.Renderer }

func (open) Close() {}

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
	if c.logFormat != "json" {
		if v.Changed {
			deployed := time.Duration(v.DurationMS) * time.Millisecond
			fmt.Fprintf(c.err, "=====> %s v%d is live (%s, deployed in %s%s)\n", app, v.Release, short(v.Run), deployed, c.inAll(", %s in all"))
		} else {
			fmt.Fprintf(c.err, "=====> %s v%d runs this already: nothing to do%s\n", app, v.Release, c.inAll(" (%s in all)"))
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

// inAll is how long it has taken since the first event, in words; empty where none was told.
func (c *client) inAll(words string) string {
	if c.story.accounts == nil || c.story.accounts.Took() <= 0 {
		return ""
	}
	return fmt.Sprintf(words, c.story.accounts.Took().Round(time.Millisecond))
}

func short(id string) string {
	return id[:min(len(id), len("sha256:")+12)]
}
