package plugin

import (
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// kind is how a plugin is fetched.
type kind int

const (
	repository kind = iota
	download        // an archive behind a URL
	archive         // an archive on this host
	folder
)

// source is where a plugin comes from.
type source struct {
	kind kind
	from string // a URL, what git calls one, or an absolute path
}

var (
	// scpForm is ssh as git's users write it: git@host:owner/repository.
	scpForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^:\s]+$`)
	// committishForm is a branch, a tag or a commit; git reads none of them as a flag or a range.
	committishForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}$`)
)

const sources = "https://HOST/REPOSITORY.git, ssh://, git@HOST:REPOSITORY, git://, file://, https://HOST/ARCHIVE.tar.gz, or an absolute path"

// parseSource reads the URL of plugin:install. What git would take for a flag, or for the
// name of a helper program (ext::), is no source.
func parseSource(op, text string) (source, error) {
	refuse := func(format string, args ...any) (source, error) {
		return source{}, api.Errorf(api.Usage, op, format, args...).WithHint("a plugin comes from %s", sources)
	}
	if text == "" || len(text) > 2048 || strings.HasPrefix(text, "-") || strings.ContainsFunc(text, isControlOrBlank) {
		return refuse("%.80q is no plugin's address", text)
	}
	isArchive := strings.HasSuffix(text, ".tar.gz") || strings.HasSuffix(text, ".tgz")
	switch {
	case strings.Contains(text, "::"):
		return refuse("%q names a program for git to run", text)
	case filepath.IsAbs(text) && isArchive:
		return source{archive, filepath.Clean(text)}, nil
	case filepath.IsAbs(text):
		return source{folder, filepath.Clean(text)}, nil
	case scpForm.MatchString(text):
		return source{repository, text}, nil
	}
	address, err := url.Parse(text)
	if err != nil || address.Scheme == "" {
		return refuse("%q is no plugin's address", text)
	}
	if _, secret := address.User.Password(); secret || address.User != nil && strings.HasPrefix(address.Scheme, "http") {
		return source{}, api.Errorf(api.Refused, op, "the address holds a password, which would be kept in the plugin's folder").
			WithHint("give git a credential helper, or use ssh")
	}
	if strings.HasPrefix(address.Host, "-") || address.Host == "" && address.Scheme != "file" {
		return refuse("%q names no host", text)
	}
	switch {
	case address.Scheme == "https" && isArchive, address.Scheme == "http" && isArchive && isLoopback(address.Hostname()):
		return source{download, text}, nil
	case address.Scheme == "file" && isArchive && address.Host == "":
		return source{archive, filepath.Clean(address.Path)}, nil
	case address.Scheme == "http":
		return refuse("%q can be changed by anybody on the way, and root runs it", text)
	case address.Scheme == "https", address.Scheme == "ssh", address.Scheme == "git", address.Scheme == "file":
		return source{repository, text}, nil
	}
	return refuse("%q is no plugin's address", text)
}

func isControlOrBlank(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' || c == '\uFFFD' }

func isLoopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || address != nil && address.IsLoopback()
}

// checkCommittish refuses what is no branch, tag or commit; the empty one stands for the
// repository's own choice.
func checkCommittish(op, committish string) error {
	if committish == "" {
		return nil
	}
	if !committishForm.MatchString(committish) || strings.Contains(committish, "..") || strings.Contains(committish, "//") ||
		strings.HasSuffix(committish, "/") || strings.HasSuffix(committish, ".lock") {
		return api.Errorf(api.Usage, op, "%q is no branch, tag or commit", committish)
	}
	return nil
}
