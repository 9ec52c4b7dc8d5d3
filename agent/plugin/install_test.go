package plugin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

var ctx = context.Background()

// TestInstallRepository: the new plugin's install trigger, then the others', then nothing
// again; a committish by branch, tag and commit.
func TestInstallRepository(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{"install": writes(""), "commands": bash + "exit 10\n"}
	zebra := repositoryOf(t, "dokku-zebra.git", files)
	must(t, w.Install(ctx, Wanted{URL: "file://" + zebra}))
	if got := w.names(t) + ": " + w.logged(t); got != "zebra+: zebra install" {
		t.Errorf("installed %s", got)
	}
	apple := repositoryOf(t, "apple", files)
	must(t, w.Install(ctx, Wanted{URL: "file://" + apple, Name: "other"}))
	if got := w.names(t) + ": " + w.logged(t); got != "other+ zebra+: other install;zebra install" {
		t.Errorf("installed %s", got)
	}
	if to, err := os.Readlink(filepath.Join(w.Path, "enabled", "other")); err != nil || to != filepath.Join(w.Path, "available", "other") {
		t.Errorf("the link leads to %s, %v", to, err)
	}
	must(t, w.Install(ctx, Wanted{URL: "file://" + apple, Name: "other"}))
	if got := w.logged(t); got != "other install;zebra install" || !strings.Contains(w.out.String(), "Plugin other already installed") {
		t.Errorf("again: %s\n%s", got, &w.out)
	}
	must(t, w.InstallAll(ctx))
	must(t, w.Dependencies(ctx))
	if got := w.logged(t); got != "other install;zebra install" {
		t.Errorf("all: %s", got)
	}
}

func TestCommittish(t *testing.T) {
	w := newWorld(t)
	repository := repositoryOf(t, "pinned", map[string]string{"which": "one"})
	first := gitIn(t, repository, "rev-parse", "HEAD")
	gitIn(t, repository, "tag", "v1.0")
	second := commit(t, repository, map[string]string{"which": "two"})
	gitIn(t, repository, "checkout", "--quiet", "-b", "feature/x")
	third := commit(t, repository, map[string]string{"which": "three"})
	gitIn(t, repository, "checkout", "--quiet", "main")
	for n, test := range []struct{ committish, want, branch string }{
		{"v1.0", first, ""}, {first[:10], first, ""}, {"feature/x", third, "feature/x"}, {"main", second, "main"}, {"", second, "main"},
	} {
		name := "p" + string(rune('a'+n))
		must(t, w.Install(ctx, Wanted{URL: "file://" + repository, Committish: test.committish, Name: name}))
		list, err := w.List(ctx)
		must(t, err)
		w.Sources(ctx, list)
		want := Plugin{Name: name, Version: "0.1.0", Enabled: true, Description: "a test", SourceURL: "file://" + repository, Committish: test.want, Branch: test.branch}
		if diff := cmp.Diff(want, list[n]); diff != "" {
			t.Errorf("%q: %s", test.committish, diff)
		}
	}
	before := w.state(t)
	if err := w.Install(ctx, Wanted{URL: "file://" + repository, Committish: "v9", Name: "none"}); err == nil || !strings.Contains(err.Error(), "no branch, tag or commit v9") {
		t.Errorf("an unknown tag: %v", err)
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Error(diff)
	}
}

// TestCompiled: the install trigger makes what the other triggers are.
func TestCompiled(t *testing.T) {
	w := newWorld(t)
	repository := repositoryOf(t, "compiled", map[string]string{
		"install":     bash + "cd \"$(dirname \"$0\")\"\ncp source.txt pre-deploy\nchmod 755 pre-deploy\nrm source.txt\n[[ ! -e $PLUGIN_PATH/enabled/compiled ]]\n[[ $CONFIG_MODE == fast ]]\n",
		"source.txt":  bash + "echo compiled pre-deploy >> \"$LOG\"\n",
		"plugin.toml": plainTOML + "mode = \"fast\"\n",
	})
	must(t, w.Install(ctx, Wanted{URL: "file://" + repository}))
	must(t, w.Fire(ctx, "pre-deploy", nil, streams(w)))
	if got := w.logged(t); got != "compiled pre-deploy" {
		t.Errorf("it wrote %q", got)
	}
	// What install has made stays in an update, and what it took away is no obstacle.
	commit(t, repository, map[string]string{"more": "x", "source.txt": bash + "exit 1\n", "update": writes("")})
	must(t, w.Update(ctx, "compiled", ""))
	must(t, w.Fire(ctx, "pre-deploy", nil, streams(w)))
	if got := w.logged(t); got != "compiled update;compiled pre-deploy" {
		t.Errorf("it wrote %q", got)
	}
	if _, err := os.Stat(filepath.Join(w.Path, "available", "compiled", "more")); err != nil {
		t.Error(err)
	}
}

// TestFailingInstall leaves nothing, and no one else is asked.
func TestFailingInstall(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "good", map[string]string{"install": writes("")})}))
	w.logged(t)
	before := w.state(t)
	bad := repositoryOf(t, "bad", map[string]string{"install": writes("echo no >&2; exit 7")})
	err := w.Install(ctx, Wanted{URL: "file://" + bad})
	if Code(err) != 7 || !strings.Contains(err.Error(), "bad") || !strings.Contains(w.err.String(), "no\n") {
		t.Errorf("%d, %v, %s", Code(err), err, &w.err)
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" || w.logged(t) != "bad install" {
		t.Error(diff)
	}
	// One that fails in what was installed before does not take the new one with it.
	fill(t, filepath.Join(w.Path, "available", "good"), map[string]string{"install": writes("exit 9")})
	err = w.Install(ctx, Wanted{URL: folderOf(t, "new", map[string]string{"install": writes("")})})
	if Code(err) != 9 || !strings.Contains(err.Error(), "the plugin new is installed") || w.names(t) != "good+ new+" {
		t.Errorf("%v, %s", err, w.names(t))
	}
	if err := w.Dependencies(ctx); err != nil {
		t.Error(err)
	}
}

// TestRefused: nothing is changed, and the message says why.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	good := folderOf(t, "good", nil)
	must(t, w.Install(ctx, Wanted{URL: good}))
	outside := folderOf(t, "outside", nil)
	must(t, os.Symlink("/etc/passwd", filepath.Join(outside, "secret")))
	pipe := folderOf(t, "pipe", nil)
	must(t, syscall.Mkfifo(filepath.Join(pipe, "fifo"), 0o600))
	linked := repositoryOf(t, "linked", nil)
	must(t, os.Symlink("../../..", filepath.Join(linked, "up")))
	commit(t, linked, nil)
	noPlugin := repositoryOf(t, "no-plugin", map[string]string{"README": "x", "plugin.toml": ""})
	before := w.state(t)
	for name, test := range map[string]struct {
		wanted Wanted
		want   string
	}{
		"no address":          {Wanted{}, "is no plugin's address"},
		"a flag":              {Wanted{URL: "--upload-pack=x"}, "is no plugin's address"},
		"a helper":            {Wanted{URL: "ext::sh -c id"}, "is no plugin's address"},
		"a quiet helper":      {Wanted{URL: "git::https://example.com/x"}, "names a program"},
		"a relative path":     {Wanted{URL: "plugins/x"}, "is no plugin's address"},
		"http":                {Wanted{URL: "http://example.com/x.git"}, "can be changed by anybody on the way"},
		"an http archive":     {Wanted{URL: "http://example.com/x.tar.gz"}, "can be changed by anybody on the way"},
		"a password":          {Wanted{URL: "https://u:secret@example.com/x.git"}, "holds a password"},
		"a token":             {Wanted{URL: "https://token@example.com/x.git"}, "holds a password"},
		"a flag for ssh":      {Wanted{URL: "ssh://-oProxyCommand=id/x"}, "names no host"},
		"a flag for ssh, scp": {Wanted{URL: "-oProxyCommand=id:x"}, "is no plugin's address"},
		"ftp":                 {Wanted{URL: "ftp://example.com/x"}, "is no plugin's address"},
		"a newline":           {Wanted{URL: "https://example.com/x\ny"}, "is no plugin's address"},
		"nothing there":       {Wanted{URL: "file:///nowhere/at/all"}, "git clone"},
		"no folder there":     {Wanted{URL: "/nowhere/at/all"}, "no such file"},
		"a flag to check out": {Wanted{URL: "file://" + linked, Committish: "--upload-pack=x"}, "is no branch, tag or commit"},
		"a range":             {Wanted{URL: "file://" + linked, Committish: "a..b"}, "is no branch, tag or commit"},
		"a folder's branch":   {Wanted{URL: outside, Committish: "main"}, "only a git repository"},
		"an empty name":       {Wanted{URL: "https://example.com/.git"}, `"" is no plugin name`},
		"a blank":             {Wanted{URL: good, Name: "a b"}, "is no plugin name"},
		"a path":              {Wanted{URL: good, Name: "../x"}, "is no plugin name"},
		"a dot":               {Wanted{URL: good, Name: ".."}, "is no plugin name"},
		"a dash":              {Wanted{URL: good, Name: "-x"}, "is no plugin name"},
		"a long name":         {Wanted{URL: good, Name: strings.Repeat("x", 65)}, "is no plugin name"},
		"a core name":         {Wanted{URL: good, Name: "nginx-vhosts"}, "the name of a plugin of the core"},
		"a core name in it":   {Wanted{URL: "https://github.com/dokku/dokku-config.git"}, "the name of a plugin of the core"},
		"another's name":      {Wanted{URL: outside, Name: "good"}, "installed already, from elsewhere"},
		"a link out":          {Wanted{URL: outside}, outside + "/secret: a link that leads out"},
		"a link up":           {Wanted{URL: "file://" + linked}, "linked/up: a link that leads out"},
		"a pipe":              {Wanted{URL: pipe}, "fifo: is no file"},
		"no plugin.toml":      {Wanted{URL: "file://" + noPlugin}, "no-plugin/plugin.toml:1: there is no such file"},
		"broken toml":         {Wanted{URL: folderOf(t, "b1", map[string]string{"plugin.toml": "[plugin]\nversion = \n"})}, "b1/plugin.toml:2: "},
		"no table":            {Wanted{URL: folderOf(t, "b2", map[string]string{"plugin.toml": "x = 1\n"})}, "b2/plugin.toml:1: there is no table [plugin]"},
		"a number":            {Wanted{URL: folderOf(t, "b3", map[string]string{"plugin.toml": "[plugin]\ndescription = \"x\"\nversion = 1\n"})}, "b3/plugin.toml:3: version is no text"},
		"no config table":     {Wanted{URL: folderOf(t, "b4", map[string]string{"plugin.toml": "[plugin]\n\nconfig = 1\n"})}, "b4/plugin.toml:3: config is no table"},
	} {
		t.Run(name, func(t *testing.T) {
			err := w.Install(ctx, test.wanted)
			if err == nil || !strings.Contains(err.Error(), test.want) || Code(err) != 1 {
				t.Errorf("%v, want %q", err, test.want)
			}
			if diff := cmp.Diff(before, w.state(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := w.Install(ctx, Wanted{URL: "https://u:secret@example.com/x.git"}); strings.Contains(api.AsError(err).Error(), "secret") {
		t.Error("the error tells the password")
	}
}

// TestTwoAtOnce: of two that install at the same time each finds what the other did.
func TestTwoAtOnce(t *testing.T) {
	w := newWorld(t)
	slow := map[string]string{"install": bash + "echo begin >> \"$LOG\"; sleep 0.3; echo end >> \"$LOG\"\n"}
	urls := []string{folderOf(t, "one", slow), folderOf(t, "two", slow)}
	var running sync.WaitGroup
	for n, url := range urls {
		// On a host each is a process of its own. Here the same tree has two names, so that
		// neither is taken for a call out of the other's trigger.
		m := *w.Manager
		m.Path = w.Path + strings.Repeat("/.", n)
		running.Go(func() { must(t, m.Install(ctx, Wanted{URL: url})) })
	}
	running.Wait()
	if got := w.logged(t); strings.Contains(got, "begin;begin") || w.names(t) != "one+ two+" {
		t.Errorf("%s, %s", got, w.names(t))
	}
}

// TestOwner: what root does is the tree's owner's afterwards; where it failed, too.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	w := newWorld(t)
	must(t, os.Chown(w.Path, 12345, 12346))
	must(t, w.Install(ctx, Wanted{URL: "file://" + repositoryOf(t, "good", map[string]string{"install": bash + "touch \"$(dirname \"$0\")/made\"\nln -s /etc/hosts \"$(dirname \"$0\")/hosts\"\n"})}))
	if err := w.Update(ctx, "good", "nowhere"); err == nil {
		t.Error("updated to nowhere")
	}
	must(t, w.Disable(ctx, "good"))
	must(t, w.Enable(ctx, "good"))
	must(t, w.SetConfig(ctx, "good", "key", "value"))
	must(t, filepath.WalkDir(w.Path, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		must(t, err)
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 12345 || owner.Gid != 12346 {
			t.Errorf("%s is %d:%d's", path, owner.Uid, owner.Gid)
		}
		return nil
	}))
	if info, err := os.Stat("/etc/hosts"); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("a link was followed: %v", err)
	}
}

// TestDownload: an archive over https; nowhere else is it led to.
func TestDownload(t *testing.T) {
	w := newWorld(t)
	text := archiveOf(t, entries{{name: "dokku-far-1.0/"}, {name: "dokku-far-1.0/plugin.toml", text: plainTOML}, {name: "dokku-far-1.0/install", text: writes(""), mode: 0o755}})
	server := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		switch request.URL.Path {
		case "/far.tar.gz":
			_, _ = out.Write(text)
		case "/led.tgz":
			http.Redirect(out, request, "http://example.com/far.tar.gz", http.StatusFound)
		default:
			http.NotFound(out, request)
		}
	}))
	defer server.Close()
	w.Client = server.Client()
	must(t, w.Install(ctx, Wanted{URL: server.URL + "/far.tar.gz"}))
	if got := w.names(t) + " " + w.logged(t); got != "far+ far install" {
		t.Errorf("installed %s", got)
	}
	before := w.state(t)
	for path, want := range map[string]string{"/led.tgz": "which is not https", "/none.tar.gz": "404"} {
		if err := w.Install(ctx, Wanted{URL: server.URL + path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Error(diff)
	}
}
