package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
)

// command is one word that may stand first.
type command struct {
	name  string
	args  string // as help shows them
	about string
	most  int // arguments at most; anyNumber: as many as one likes
	flags []func(*client, *pflag.FlagSet)
	do    func(*client, context.Context) error
}

const anyNumber = -1

// table is every command; the first is the default. The flags of each are its own: one
// that it does not know is refused.
func table() []command {
	return []command{
		{"push", "[DIR]", "build DIR (default .), ship it, deploy it", 1, with(hostFlags, buildFlags, severalFlags, pushFlags, signFlags, resultFlags), (*client).push},
		{"plan", "[DIR]", "what a push would change; -o FILE keeps it for push --plan FILE", 1, with(hostFlags, buildFlags, severalFlags, planFlags, signFlags, resultFlags), (*client).plan},
		{"ci", "[DIR]", "what a CI job asks for by its variables, INPUT_NAME or PLUGIN_NAME: docs/ci.md", 1, with(hostFlags, buildFlags, severalFlags, pushFlags, signFlags, resultFlags), (*client).ci},
		{"check", "[DIR]", "what is wrong with Procfile, app.json and dokku.hcl, or what they mean", 1, with(hostFlags, formatFlag), local((*client).check)},
		{"init", "[DIR]", "write a first dokku.hcl and CI workflow from what is in DIR", 1, with(hostFlags, initFlags), (*client).init},
		{"import", "", "write a dokku.hcl of an app, or a server block of a host, from a running Dokku; secrets by name alone", 0, with(hostFlags, importFlags), (*client).imports},
		{"config", "explain KEY", "who decides a setting (domains, config.KEY, formation.web.quantity …), and who lost", 2, with(hostFlags, buildFlags, formatFlag), local((*client).config)},
		{"build", "[DIR]", "build only; -o FILE writes the image as docker load reads it", 1, with(hostFlags, buildFlags, severalFlags, outputFlag, imageFlags, onHostFlag), (*client).build},
		{"status", "", "what runs, and what became of the last request", 0, with(hostFlags), (*client).status},
		{"releases", "", "the releases, oldest first", 0, with(hostFlags), (*client).releases},
		{"rollback", "[vN]", "back to the last other image, or to vN, with its env and formation", 1, with(hostFlags, waitFlag, resultFlags), (*client).rollback},
		{"review", "up|down|gc|list [DIR]", "a review app of the app, named by its branch: make it and push DIR to it, remove it, remove what has expired, list them", 2, with(hostFlags, buildFlags, signFlags, waitFlag, resultFlags, reviewFlags), (*client).review},
		{"promote", "FROM TO", "run the image of the app FROM under the settings of the app TO", 2, with(hostFlags, waitFlag, signFlags, resultFlags), (*client).promote},
		{"drift", "", "what differs between the current release and what runs; exit 2 if anything does", 0, with(hostFlags, formatFlag), (*client).drift},
		{"doctor", "", "whether the host is ready for deploys; exit 78 if not", 0, with(hostFlags, formatFlag), (*client).doctor},
		{"logs", "[-- ARGS]", "the app's output; -t follows it", anyNumber, with(hostFlags, tailFlag), (*client).logs},
		{"run", "-- COMMAND", "a command in a new container of the current release", anyNumber, with(hostFlags), (*client).runOnce},
		{"host", "apply [FILE]", "make hosts what the server blocks of FILE (default dokku.hcl) say; --plan only looks", 2, with(hostFlags, serverBlockFlags), (*client).host},
		{"auth", "github [APP ...]", "trade the CI job's token for an ssh certificate that deploys APP (default: this one) for some minutes: docs/ci-oidc.md", anyNumber, with(hostFlags, authFlags), (*client).auth},
		{"plugin", "new NAME [DIR]", "write the skeleton of a plugin for Dokku, with a test of its own", 3, with(forceFlag), local((*client).plugin)},
		{"schema", "[NAME]", "the JSON Schema of dokku.hcl.json (manifest) or of a kind of JSON output", 1, nil, local((*client).schema)},
		{"completion", "bash|zsh|fish", "write what makes a shell complete commands and flags", 1, nil, local((*client).completion)},
		{"version", "", "the program's version", 0, nil, local((*client).version)},
		{"help", "[COMMAND]", "this, or a command's flags", 1, with(manFlag), local((*client).help)},
	}
}

func with(flags ...func(*client, *pflag.FlagSet)) []func(*client, *pflag.FlagSet) { return flags }

// local is a command that speaks to no host and builds nothing.
func local(do func(*client) error) func(*client, context.Context) error {
	return func(c *client, _ context.Context) error { return do(c) }
}

// find returns the command of a name.
func find(name string) (command, bool) {
	for _, row := range table() {
		if row.name == name {
			return row, true
		}
	}
	return command{}, false
}

func hostFlags(c *client, flags *pflag.FlagSet) {
	o := &c.options
	flags.StringVarP(&o.App, "app", "a", os.Getenv("DOKKU_APP"), "name of the app (else dokku.hcl's, else the folder's); of several app blocks the one that is meant")
	flags.StringVarP(&o.Host, "host", "H", os.Getenv("DOKKU_HOST"), "[user@]host[:port], or the name of a host block in dokku.hcl")
	flags.StringVar(&o.Environment, "environment", os.Getenv("DOKKU_ENVIRONMENT"), "the environment block of dokku.hcl that counts")
	flags.StringVar(&o.Manifest, "manifest", os.Getenv("DOKKU_MANIFEST"), "dokku.hcl by another name")
	flags.StringVar(&o.Remote.HostKey, "host-key", os.Getenv("DOKKU_SSH_HOST_KEY"), "the host's key, pinned: SHA256:… or a public key line")
	flags.StringVar(&o.Remote.KeyFile, "key", os.Getenv("DOKKU_SSH_KEY_FILE"), "ssh private key file (else ssh-agent and the usual files)")
	flags.BoolVar(&o.Remote.AcceptNew, "accept-new-host-key", truth(os.Getenv("DOKKU_SSH_ACCEPT_NEW_HOST_KEYS")), "trust a host that is not in known_hosts yet, and remember it")
	flags.StringVar(&c.logFormat, "log-format", envOr("DOKKU_LOG_FORMAT", "auto"), "auto, plain, github (annotations, groups; auto in GitHub's CI) or json (one event a line on stdout)")
}

func buildFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.options.Image, "image", "", "deploy this image instead of building one: a reference, an OCI layout folder or a docker-save archive")
	flags.StringVar(&c.options.Registry, "registry", "", "push to this repository instead of over ssh, and let the host pull from it")
	flags.StringArrayVar(&c.options.PluginPaths, "plugin-path", nil, "a folder of plugins, or a plugin, whose triggers run around the build; may be repeated")
	flags.BoolVar(&c.options.NoProjectPlugins, "no-project-plugins", false, "do not run the plugins in .dokku/plugins: for a tree that you do not trust")
}

func pushFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.options.Plan, "plan", "", "carry out exactly the plan in this file, or refuse")
	flags.BoolVar(&c.dryRun, "dry-run", false, "say what would be done, step by step, and do nothing: as plan does")
	flags.BoolVar(&c.options.NewestWins, "newest-wins", false, "stop an older deploy of the app by the same key, instead of being refused or waiting for it")
	waitFlag(c, flags)
}

func planFlags(c *client, flags *pflag.FlagSet) {
	outputFlag(c, flags)
	flags.BoolVar(&c.detailed, "detailed-exitcode", false, "exit with 2 when there is something to do")
	flags.BoolVar(&c.asJSON, "json", false, "print the plan as JSON")
	flags.BoolVar(&c.offline, "offline", false, "ask no host: build here, and say what the release would consist of; needs no key")
	flags.StringVar(&c.format, "format", "", "text, json, or markdown (a pull request's comment)")
}

func signFlags(c *client, flags *pflag.FlagSet) {
	signing := &c.options.Signing
	asked := os.Getenv("DOKKU_SIGN")
	switch {
	case truth(asked):
		asked = push.SignWithSSHKey
	case asked == "0" || strings.EqualFold(asked, "false") || strings.EqualFold(asked, "no"):
		asked = ""
	}
	flags.StringVar(&signing.Key, "sign", asked, "sign the release with the key that ssh connects with, or --sign=PATH: a private key, or a public one that the ssh agent has")
	flags.Lookup("sign").NoOptDefVal = push.SignWithSSHKey
	flags.DurationVar(&signing.For, "sign-for", 0, "how long the signature counts (else 1h)")
	flags.BoolVar(&signing.AllowDowngrade, "allow-downgrade", false, "sign that the release may be older than the one that runs")
}

func waitFlag(c *client, flags *pflag.FlagSet) {
	flags.DurationVar(&c.options.LockWait, "lock-wait", 0, "how long to wait for another deploy of the app: 5m")
}

func outputFlag(c *client, flags *pflag.FlagSet) {
	flags.StringVarP(&c.output, "output", "o", "", "write it to this file")
}

func tailFlag(c *client, flags *pflag.FlagSet) {
	flags.BoolVarP(&c.follow, "tail", "t", false, "follow the output")
}

func formatFlag(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.format, "format", "", "text or json (one document); check has github too (annotations; the default in GitHub's CI)")
}

// version says which one this is.
func (c *client) version() error {
	_, err := fmt.Fprintf(c.out, "dokku-push %s (protocol %d)\n", version, api.Protocol)
	return err
}

// schema prints the JSON Schema of something that is read or printed as JSON.
func (c *client) schema() error {
	if len(c.args) == 0 {
		_, err := fmt.Fprintln(c.out, strings.Join(append([]string{"manifest"}, report.Schemas()...), "\n"))
		return err
	}
	text, err := report.Schema(c.args[0])
	if err != nil {
		return err
	}
	_, err = c.out.Write(text)
	return err
}

const helpText = `dokku-push builds an app here, ships what the host lacks, and deploys exactly that.

Usage: dokku-push [COMMAND] [flags] [arguments]

%s
Flags of every command that looks at an app:
%s
dokku-push help COMMAND shows all that a command knows.

Exit codes:
%s
Everything a flag says can be said by its variable (%s).
`

const variables = `DOKKU_HOST, DOKKU_APP, DOKKU_ENVIRONMENT, DOKKU_MANIFEST, DOKKU_SSH_KEY,
DOKKU_SSH_KEY_FILE, DOKKU_SSH_HOST_KEY, DOKKU_SSH_ACCEPT_NEW_HOST_KEYS, DOKKU_LOG_FORMAT, DOKKU_SUDO,
DOKKU_SIGN`

// help prints what there is, or the flags of one command.
func (c *client) help() error {
	if len(c.args) == 1 {
		row, known := find(c.args[0])
		if !known {
			return unknownCommand(c.args[0])
		}
		if c.manual {
			_, err := io.WriteString(c.out, row.man())
			return err
		}
		_, err := fmt.Fprintf(c.out, "Usage: dokku-push %s [flags] %s\n\n%s\n\n%s", row.name, row.args, row.about, row.set(&client{}).FlagUsages())
		return err
	}
	if c.manual {
		_, err := io.WriteString(c.out, manProgram())
		return err
	}
	var commands, codes strings.Builder
	for _, row := range table() {
		fmt.Fprintf(&commands, "  %-22s %s\n", strings.TrimSpace(row.name+" "+row.args), row.about)
	}
	for _, row := range api.ExitCodes() {
		fmt.Fprintf(&codes, "  %3d  %s\n", row.Exit, row.Meaning)
	}
	common := pflag.NewFlagSet("", pflag.ContinueOnError)
	common.SortFlags = false
	hostFlags(&client{}, common)
	_, err := io.WriteString(c.out, fmt.Sprintf(helpText, commands.String(), common.FlagUsages(), codes.String(), variables))
	return err
}

// helpFlag is a flag of every command.
func helpFlag(flags *pflag.FlagSet) *bool { return flags.BoolP("help", "h", false, "print this") }

// set makes the flags of a command.
func (row command) set(c *client) *pflag.FlagSet {
	flags := pflag.NewFlagSet(row.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	for _, register := range row.flags {
		register(c, flags)
	}
	return flags
}

// unknownCommand says which one was meant, perhaps.
func unknownCommand(word string) error {
	best, least, names := "", 3, []string{}
	for _, row := range table() {
		names = append(names, row.name)
		if d := distance(word, row.name); d < least {
			best, least = row.name, d
		}
	}
	problem := api.Errorf(api.Usage, "", "there is no command %q", word)
	if best != "" {
		return problem.WithHint("did you mean %s?", best)
	}
	return problem.WithHint("the commands are %s", strings.Join(names, ", "))
}

// distance is how many letters must change to make one word of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}
