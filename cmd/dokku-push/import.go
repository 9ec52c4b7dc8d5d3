package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/imports"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/push/scaffold"
	"github.com/dokku-push/dokku-push/remote"
)

// hostsName is the file of server blocks where none is named.
const hostsName = "hosts.hcl"

func importFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVarP(&c.output, "output", "o", "", "write it to this file (else dokku.hcl; - is the standard output); with --all: to files in this folder")
	flags.BoolVar(&c.all, "all", false, "every app that the key may see, each into a folder of its name, and the host itself into "+hostsName)
	flags.StringVar(&c.server.name, "server", "", "write a server block of this name, too: apps, domains, plugins of the host; without --app nothing else")
	flags.StringSliceVar(&c.plain, "plain", nil, "a config key whose value is no secret and is written; may be repeated")
	forceFlag(c, flags)
}

// reading is one thing that is read of a host.
type reading func(context.Context, imports.Options) (*imports.Draft, error)

// imported is a file that an import writes.
type imported struct {
	dir, name string // name "-": the standard output
	read      []reading
}

// imports reads a running Dokku host and writes what it found as dokku.hcl.
func (c *client) imports(ctx context.Context) error {
	_, named := c.options.Flags["app"]
	if !c.all && c.options.App == "" && c.server.name == "" {
		return api.Errorf(api.Usage, "", "import takes --app NAME, --server NAME or --all").WithHint("ssh dokku@host apps:list lists the apps")
	}
	if c.all && (named || c.output == "-") {
		return api.Errorf(api.Usage, "", "--all is every app, each in a file of its own: it goes with no --app and no -o -")
	}
	target, err := c.hostTarget()
	if err != nil {
		return err
	}
	var files []imported
	if !c.all { // a file that is in the way is told before anything is asked
		if files, err = c.importOne(named); err != nil {
			return err
		}
	}
	conn, err := remote.Dial(ctx, target)
	if err != nil {
		return err
	}
	defer conn.Close()
	o := imports.Options{Run: runDokku(conn), Address: target.Target, HostKey: target.HostKey, Plain: c.plain}
	if c.all {
		if files, err = c.importAll(ctx, o); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := c.importFile(ctx, o, file); err != nil {
			return err
		}
	}
	return nil
}

func readApp(name string) reading {
	return func(ctx context.Context, o imports.Options) (*imports.Draft, error) { return imports.App(ctx, o, name) }
}

func (c *client) readServer(ctx context.Context, o imports.Options) (*imports.Draft, error) {
	name := c.server.name
	if name == "" {
		name = "production"
	}
	return imports.Server(ctx, o, name)
}

// importOne is the one file for an app, for the host, or for both.
func (c *client) importOne(named bool) ([]imported, error) {
	file := imported{name: c.output}
	if c.server.name == "" || named {
		file.read = append(file.read, readApp(c.options.App))
	}
	if c.server.name != "" {
		file.read = append(file.read, c.readServer)
	}
	switch {
	case file.name == "-":
		return []imported{file}, nil
	case file.name == "" && c.server.name != "" && !named:
		file.name = hostsName
	case file.name == "":
		file.name = scaffold.ManifestName
	}
	path, err := filepath.Abs(file.name)
	if err != nil {
		return nil, fmt.Errorf("find the file: %w", err)
	}
	file.dir, file.name = filepath.Split(path)
	return []imported{file}, c.unwritten(file)
}

// importAll is a file for each app and one for the host.
func (c *client) importAll(ctx context.Context, o imports.Options) ([]imported, error) {
	dir, err := filepath.Abs(c.output)
	if err != nil {
		return nil, fmt.Errorf("find the folder: %w", err)
	}
	apps, err := imports.Apps(ctx, o)
	if err != nil {
		return nil, err
	}
	files := []imported{{dir, hostsName, []reading{c.readServer}}}
	for _, name := range apps {
		files = append(files, imported{dir, filepath.Join(name, scaffold.ManifestName), []reading{readApp(name)}})
	}
	for _, file := range files {
		if err := c.unwritten(file); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// unwritten refuses a file that is there already, unless it may be replaced.
func (c *client) unwritten(file imported) error {
	path := filepath.Join(file.dir, file.name)
	if _, err := os.Lstat(path); err == nil && !c.first.force {
		return api.Errorf(api.Usage, "import", "%s is there already", path).WithHint("--force replaces it; -o writes to another place")
	}
	return nil
}

// importFile reads and writes one file, and says what is not in it.
func (c *client) importFile(ctx context.Context, o imports.Options, file imported) error {
	var text []string
	var told bytes.Buffer
	mistyped := c.plain
	for _, read := range file.read {
		draft, err := read(ctx, o)
		if err != nil {
			return err
		}
		mistyped = slices.DeleteFunc(slices.Clone(mistyped), func(key string) bool { return !slices.Contains(draft.Unknown, key) })
		text = append(text, draft.Text)
		if len(draft.Secrets) > 0 {
			fmt.Fprintf(&told, "secrets, by name: %s\n", strings.Join(draft.Secrets, ", "))
		}
		for _, sentence := range draft.Stays {
			fmt.Fprintf(&told, "stays on the host: %s\n", report.Legible(sentence))
		}
		if len(draft.Secrets) > 0 {
			told.WriteString("to do: a push takes the secrets from its environment; one that no push has set so far may leave the list, and stays on the host\n")
		}
	}
	if len(mistyped) > 0 && !c.all { // of several apps each has keys of its own
		return api.Errorf(api.Usage, "import", "there is no config %s", strings.Join(mistyped, ", ")).WithHint("ssh HOST config:keys APP lists them")
	}
	whole := strings.Join(text, "\n")
	if file.name == "-" {
		if _, err := io.WriteString(c.out, whole); err != nil {
			return err
		}
		_, err := told.WriteTo(c.err)
		return err
	}
	if c.all {
		if err := os.MkdirAll(file.dir, 0o755); err != nil {
			return api.Errorf(api.Usage, "make the folder", "%w", err)
		}
	}
	if err := c.write(file.dir, []scaffold.File{{Dir: file.dir, Name: filepath.ToSlash(file.name), Text: whole}}); err != nil {
		return err
	}
	_, err := told.WriteTo(c.out)
	return err
}

// mostImported is how much of a command's answer is read, in bytes.
const mostImported = 4 << 20

// runDokku runs Dokku's commands over a connection.
func runDokku(conn *remote.Conn) imports.Command {
	return func(ctx context.Context, argv []string) (imports.Answer, error) {
		out, complaint := &bounded{}, &bounded{}
		exit, err := conn.Run(ctx, argv, nil, out, complaint, remote.RunOptions{})
		if err == nil && out.over {
			err = api.Errorf(api.WrongProtocol, "import", "%s answers with more than %d MiB", argv[0], mostImported>>20)
		}
		return imports.Answer{Out: out.text.String(), Err: complaint.text.String(), Exit: exit}, err
	}
}

// bounded keeps the first bytes of an answer.
type bounded struct {
	text bytes.Buffer
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := mostImported - b.text.Len()
	b.over = b.over || len(p) > room
	b.text.Write(p[:min(len(p), room)])
	return len(p), nil
}
