package command

import (
	"context"
	"fmt"
	"io"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	archives "github.com/dokku-push/dokku-push/agent/archive"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/api"
)

// gitArchiveCommands are tar:in, tar:from and git:from-archive: a source tree comes as an
// archive, and is built and deployed as one that was pushed.
func gitArchiveCommands() []Command {
	return []Command{
		{"git:from-archive", "[--archive-type tar|tar.gz|zip] <app> (<url>|--) [<git-username> <git-email>]", "Build and deploy an archive of a web address or of standard input", gitFromArchive},
		{"tar:from", "<app> <url>", "Build and deploy a tar archive of a web address", tarFrom},
		{"tar:in", "<app>", "Build and deploy a tar archive of standard input", tarIn},
	}
}

// What an app's source may be at most, as an archive and laid out.
const (
	mostSource      = 2 << 30
	mostSourceBytes = 8 << 30
	mostSourceFiles = 200_000
)

// arrival is one source archive.
type arrival struct {
	app     string
	kind    archives.Kind // empty: tar, or tar.gz where its first bytes say so
	address *neturl.URL   // nil: standard input
	by      receive.Author
}

func gitFromArchive(ctx context.Context, call *Call) error {
	kind, given, err := call.option("--archive-type")
	if err != nil {
		return err
	}
	if given && !slices.Contains([]archives.Kind{archives.Tar, archives.TarGz, archives.Zip}, archives.Kind(kind)) {
		return api.Errorf(api.Usage, "", "Invalid archive type specified, valid types are: tar, tar.gz, zip")
	}
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 || call.Args[0] == "" {
		return api.Errorf(api.Usage, "", "Please specify an archive url, or -- for standard input")
	}
	one := arrival{app: app, kind: archives.Kind(kind)}
	if from := call.Args[0]; from != "--" {
		if one.address, err = archives.Address(from); err != nil {
			return err
		}
	}
	call.Args = call.Args[1:]
	if _, err := call.author(); err != nil {
		return err
	}
	words := append(call.Args, "", "")
	one.by = receive.Author{Name: words[0], Address: words[1]}
	return call.arrive(ctx, one)
}

func tarIn(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	return call.arrive(ctx, arrival{app: app})
}

func tarFrom(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify the url of a tar archive")
	}
	one := arrival{app: app}
	if one.address, err = archives.Address(call.Args[0]); err != nil {
		return err
	}
	return call.arrive(ctx, one)
}

// arrive lays the archive out in a folder of its own, which is gone afterwards, and has it
// built and deployed. A refused archive changes nothing.
func (c *Call) arrive(ctx context.Context, one arrival) error {
	if err := c.Host.Takes(one.app); err != nil {
		return err
	}
	from, shown := c.In, "standard input"
	if one.address != nil {
		shown = archives.Shown(one.address)
		c.say("Fetching archive %s", shown)
		body, err := archives.Fetch(ctx, one.address, !c.afar())
		if err != nil {
			return err
		}
		defer body.Close()
		from = body
	}
	dir, err := archivePlace(c.Host.Places.AppData(one.app))
	if err != nil {
		return fmt.Errorf("make a place for the archive: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays, the next one clears
	kind, from, err := packed(one.kind, from)
	if err != nil {
		return err
	}
	rules := archives.Rules{Op: "read the archive", Shown: shown, What: "app", DropGit: true, HardLinks: true,
		MostCompressed: mostSource, MostBytes: mostSourceBytes, MostFiles: mostSourceFiles}
	if err := archives.Unpack(from, kind, dir, rules); err != nil {
		return err
	}
	tree, err := oneFolder(dir)
	if err != nil {
		return err
	}
	if err := FromDirectory(ctx, c, one.app, tree, one.by); err != nil {
		return err
	}
	return c.Host.Fire(agent.WithStreams(ctx, agent.Streams{Out: c.Out, Err: c.Err}), "deploy-source-set", one.app, string(kind), shown)
}

// FromDirectory builds and deploys a folder's files as if they had been pushed.
func FromDirectory(ctx context.Context, call *Call, app, dir string, by receive.Author) error {
	changed, err := call.receiver().Tree(ctx, app, dir, "Automated commit", by)
	if err == nil && !changed {
		return call.noChanges(app)
	}
	return said(err)
}

// archivePlace makes a folder to lay an archive out in, and removes those that a process
// which died has left.
func archivePlace(parent string) (string, error) {
	former, err := filepath.Glob(filepath.Join(parent, "archive-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range former {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir) // it is tried again the next time
		}
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, "archive-")
}

// packed tells a packed tar from a plain one by its first bytes, where nobody said.
func packed(kind archives.Kind, from io.Reader) (archives.Kind, io.Reader, error) {
	if kind != "" {
		return kind, from, nil
	}
	first := make([]byte, 2)
	n, err := io.ReadFull(from, first)
	if n == 0 {
		return "", nil, api.Errorf(api.Refused, "read the archive", "nothing came").WithHint("tar c . | ssh … tar:in APP")
	}
	if kind = archives.Tar; err == nil && string(first) == "\x1f\x8b" {
		kind = archives.TarGz
	}
	return kind, io.MultiReader(strings.NewReader(string(first[:n])), from), nil
}

// oneFolder is the folder that all of an archive is in, as forges pack it, or else its top.
func oneFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("look at what was in the archive: %w", err)
	}
	if len(entries) == 1 && entries[0].IsDir() {
		return filepath.Join(dir, entries[0].Name()), nil
	}
	return dir, nil
}
