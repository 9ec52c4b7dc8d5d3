package scaffold

import (
	"bytes"
	"context"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/internal/run"
	"github.com/dokku-push/dokku-push/manifest"
)

// gitLimit is how long git may take to answer a question about its settings.
const gitLimit = 10 * time.Second

// repository is what git says about a folder. The zero value is a folder without git.
type repository struct {
	top     string // the repository's folder, absolute; empty: none
	prefix  string // the project's folder in it, with slashes; empty: it is the same
	branch  string // that is deployed; empty: git does not say
	remotes []gitRemote
}

// gitRemote is one remote's name and URL.
type gitRemote struct{ name, url string }

// dokkuRemote is a remote that is a Dokku host.
type dokkuRemote struct{ name, address, app string }

func (r dokkuRemote) from() string { return "git's remote " + r.name }

// repositoryOf asks git, rather than reading .git/config: git knows its quoting and its
// includes, that .git is a file in worktrees and submodules, and that a project may be a
// folder of a larger repository. A machine without git has no remotes to tell of.
func repositoryOf(ctx context.Context, dir string) repository {
	top, ok := git(ctx, dir, "rev-parse", "--show-toplevel")
	if !ok || top == "" {
		return repository{}
	}
	prefix, _ := git(ctx, dir, "rev-parse", "--show-prefix")
	r := repository{top: filepath.FromSlash(top), prefix: strings.TrimSuffix(prefix, "/")}
	if r.prefix != "" {
		// A repository further up that knows nothing of the project, such as a home
		// folder's, is not the project's.
		if tracked, _ := git(ctx, dir, "ls-files", "-z", "--", "."); tracked == "" {
			return repository{}
		}
	}
	r.branch = branchOf(ctx, dir)
	settings, _ := git(ctx, dir, "config", "--local", "--null", "--get-regexp", `^remote\..*\.url$`)
	for entry := range strings.SplitSeq(settings, "\x00") {
		key, address, ok := strings.Cut(entry, "\n")
		if name := strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".url"); ok && isPlain(name) {
			r.remotes = append(r.remotes, gitRemote{name, address})
		}
	}
	return r
}

// branchOf is the branch that origin calls its own, else the one that is checked out.
func branchOf(ctx context.Context, dir string) string {
	branch, ok := git(ctx, dir, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
	branch = strings.TrimPrefix(branch, "origin/")
	if !ok {
		branch, _ = git(ctx, dir, "symbolic-ref", "--quiet", "--short", "HEAD")
	}
	if !isPlain(branch) {
		return ""
	}
	return branch
}

func git(ctx context.Context, dir string, args ...string) (answer string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, gitLimit)
	defer cancel()
	var out bytes.Buffer
	cmd := run.Cmd{Argv: append([]string{"git", "-C", dir}, args...), Env: append(os.Environ(), "LC_ALL=C"), Stdout: &out, Limit: maxFile}
	err := cmd.Run(ctx)
	return strings.TrimSuffix(out.String(), "\n"), err == nil
}

// host is the remote to deploy to: the one that is named as if it were, else the first.
func (r repository) host() (dokkuRemote, bool) {
	hosts := r.hosts()
	for _, name := range []string{"dokku", "production", "prod"} {
		if i := slices.IndexFunc(hosts, func(h dokkuRemote) bool { return h.name == name }); i >= 0 {
			return hosts[i], true
		}
	}
	if len(hosts) == 0 {
		return dokkuRemote{}, false
	}
	return hosts[0], true
}

// hosts are the remotes that are Dokku hosts: user dokku, and an app's name for a path.
func (r repository) hosts() []dokkuRemote {
	var hosts []dokkuRemote
	for _, remote := range r.remotes {
		if address, app, ok := parseRemote(remote.url); ok {
			hosts = append(hosts, dokkuRemote{remote.name, address, app})
		}
	}
	return hosts
}

// on says whether a remote's URL has a word in its host.
func (r repository) on(word string) (remote string, ok bool) {
	for _, remote := range r.remotes {
		_, host, _ := strings.Cut(remote.url, "@")
		if _, behind, isURL := strings.Cut(remote.url, "://"); isURL {
			host = behind[strings.LastIndex(behind, "@")+1:]
		}
		host, _, _ = strings.Cut(host, "/")
		host, _, _ = strings.Cut(host, ":")
		if strings.Contains(strings.ToLower(host), word) {
			return remote.name, true
		}
	}
	return "", false
}

// parseRemote reads dokku@host:app and ssh://dokku@host[:port]/app. A password in it is
// dropped.
func parseRemote(text string) (address, app string, ok bool) {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "ssh" && u.Scheme != "git+ssh" || u.User.Username() != "dokku" {
			return "", "", false
		}
		address, app = "dokku@"+u.Host, u.Path
	} else {
		rest, isDokku := strings.CutPrefix(text, "dokku@")
		end := strings.Index(rest, ":")
		if strings.HasPrefix(rest, "[") {
			end = strings.Index(rest, "]:") + 1
		}
		if !isDokku || end <= 0 {
			return "", "", false
		}
		address, app = "dokku@"+rest[:end], rest[end+1:]
	}
	app = strings.TrimSuffix(strings.Trim(app, "/"), ".git")
	return address, app, isAddress(address) && manifest.ExistingAppName(app) == nil
}

// addressForm is [user@]host[:port] without anything that a text around it could take
// for its own.
var addressForm = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9_.-]*@)?([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$`)

func isAddress(text string) bool {
	found := addressForm.FindStringSubmatch(text)
	if found == nil || len(text) > 300 {
		return false
	}
	if strings.HasPrefix(found[2], "[") {
		if ip, err := netip.ParseAddr(strings.Trim(found[2], "[]")); err != nil || !ip.Is6() {
			return false
		}
	}
	port, err := strconv.Atoi(strings.TrimPrefix(found[3], ":"))
	return found[3] == "" || err == nil && port < 1<<16
}
