package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
	"github.com/dokku-push/dokku-push/internal/run"
)

// What the host says to other git hosts, in the places of the dokku user's own programs.
func netrcFile(places agent.Places) string { return filepath.Join(places.Root, ".netrc") }
func knownHostsFile(places agent.Places) string {
	return filepath.Join(places.Root, ".ssh", "known_hosts")
}

// deployKeys are the ssh keys that the host fetches with, the first that is there.
var deployKeys = [...]string{"id_ed25519", "id_ecdsa", "id_rsa"}

// alone waits until nobody else changes these files.
func alone(ctx context.Context, places agent.Places) (done func(), err error) {
	dir := filepath.Join(places.Data(), "git-hosts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the place for a lock: %w", err)
	}
	return dirlock.Lock(ctx, dir, func() {})
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// GitHost refuses what is no host's name or address, with or without a port.
func GitHost(text string) (host, port string, err error) {
	host = text
	if name, number, err := net.SplitHostPort(text); err == nil {
		host, port = name, number
	}
	if !hostForm.MatchString(host) || len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return "", "", api.Errorf(api.Usage, "", "%.80q is no host", text).WithHint("a name alone, as in github.com or git.example.com:2222")
	}
	return host, port, nil
}

// Authenticate keeps what git says to a host over http(s), in .netrc; with no user it is
// forgotten. The file is read by nobody but the host's own user.
func Authenticate(ctx context.Context, places agent.Places, host, user, password string) error {
	for _, word := range []string{user, password} {
		if len(word) > 4096 || strings.ContainsFunc(word, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) || strings.ContainsAny(word, `"\`) {
			return api.Errorf(api.Usage, "", `a user or a password with a blank, a quote or \ cannot be written into .netrc`)
		}
	}
	done, err := alone(ctx, places)
	if err != nil {
		return err
	}
	defer done()
	text, err := os.ReadFile(netrcFile(places))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what git says to hosts: %w", err)
	}
	rest, otherwise := withoutMachine(string(text), host)
	if user != "" {
		rest += "machine " + host + " login " + user + " password " + password + "\n"
	}
	if err := atomicfile.WriteFile(netrcFile(places), []byte(rest+otherwise), 0o600); err != nil {
		return fmt.Errorf("write what git says to hosts: %w", err)
	}
	return nil
}

var netrcWord = regexp.MustCompile(`\S+`)

// withoutMachine takes a host's entries out of a .netrc. What holds for all others, which has
// to be last, is returned apart.
func withoutMachine(text, host string) (rest, otherwise string) {
	var kept strings.Builder
	from, drops := 0, false // the entry that has begun, and whether it goes
	cut := func(to int) {
		if !drops {
			kept.WriteString(text[from:to])
		}
		from = to
	}
	words := netrcWord.FindAllStringIndex(text, -1)
	for n, at := range words {
		switch word := text[at[0]:at[1]]; {
		case n > 0 && isValueOf(text[words[n-1][0]:words[n-1][1]]):
		case word == "machine":
			cut(at[0])
			drops = n+1 < len(words) && strings.EqualFold(text[words[n+1][0]:words[n+1][1]], host)
		case word == "default" || word == "macdef":
			cut(at[0])
			return lineEnded(kept.String()), text[at[0]:]
		}
	}
	cut(len(text))
	return lineEnded(kept.String()), ""
}

// isValueOf tells words of .netrc that have a value behind them.
func isValueOf(word string) bool {
	return slices.Contains([]string{"machine", "login", "password", "account"}, word)
}

// AllowHost asks a host for its ssh keys and writes down those that are not known yet, as
// lines of known_hosts, which it returns.
func AllowHost(ctx context.Context, places agent.Places, host, port string) (added []string, err error) {
	argv := []string{"ssh-keyscan", "-T", "10"}
	if port != "" {
		argv = append(argv, "-p", port)
	}
	var out, problems bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := run.Cmd{Argv: append(argv, "--", host), Env: environment(), Stdout: &out, Stderr: &problems, Limit: 1 << 20}
	err = command.Run(ctx)
	if exit, ok := errors.AsType[*run.ExitError](err); err != nil && (!ok || exit.Cause != nil || problems.Len() > 0) { // without a word, it has found nobody
		return nil, api.Errorf(api.Precondition, "ask "+host+" for its keys", "%w: %s", err, strings.Join(strings.Fields(problems.String()), " "))
	}
	done, err := alone(ctx, places)
	if err != nil {
		return nil, err
	}
	defer done()
	known, err := os.ReadFile(knownHostsFile(places))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the known hosts: %w", err)
	}
	lines := strings.Split(string(known), "\n")
	found := false
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if found = true; !slices.Contains(lines, line) {
			added = append(added, line)
		}
	}
	if !found {
		return nil, api.Errorf(api.Precondition, "ask "+host+" for its keys", "no ssh server answers there").WithHint("is the name right, and may this host reach it?")
	}
	if len(added) == 0 {
		return nil, nil
	}
	text := lineEnded(string(known)) + strings.Join(added, "\n") + "\n"
	err = os.MkdirAll(filepath.Dir(knownHostsFile(places)), 0o700)
	if err == nil {
		err = atomicfile.WriteFile(knownHostsFile(places), []byte(text), 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("write the known hosts: %w", err)
	}
	return added, nil
}

func lineEnded(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// PublicKey is the public half of the key that the host fetches with; empty: it has none.
func PublicKey(places agent.Places) (string, error) {
	for _, name := range deployKeys {
		text, err := os.ReadFile(filepath.Join(places.Root, ".ssh", name+".pub"))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read the deploy key: %w", err)
		}
	}
	return "", nil
}

// GenerateKey makes the key that the host fetches with over ssh. One that is there stays.
func GenerateKey(ctx context.Context, places agent.Places) error {
	done, err := alone(ctx, places)
	if err != nil {
		return err
	}
	defer done()
	dir := filepath.Join(places.Root, ".ssh")
	for _, name := range deployKeys {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return api.Errorf(api.Precondition, "", "there is a deploy key already: %s", filepath.Join(dir, name)).WithHint("git:public-key prints its public half")
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the place for the deploy key: %w", err)
	}
	var out bytes.Buffer
	command := run.Cmd{Argv: []string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dokku", "-f", filepath.Join(dir, deployKeys[0])}, Env: environment(), Stdout: &out, Stderr: &out, Limit: mostGitText}
	if err := command.Run(ctx); err != nil {
		return api.Errorf(api.Precondition, "make a deploy key", "%w: %s", err, strings.Join(strings.Fields(out.String()), " "))
	}
	return nil
}

// fetching are the variables of a git that fetches from other hosts: with what this host
// says to them, wherever it keeps its files. The words are a shell's, which fills in HOME.
func fetching(places agent.Places) []string {
	ssh := `ssh -o BatchMode=yes -o "UserKnownHostsFile=\"$HOME/.ssh/known_hosts\""`
	for _, name := range deployKeys {
		if _, err := os.Stat(filepath.Join(places.Root, ".ssh", name)); err == nil {
			ssh += ` -o "IdentityFile=\"$HOME/.ssh/` + name + `\""`
		}
	}
	more := []string{"HOME=" + places.Root}
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		more = append(more, "GIT_SSH_COMMAND="+ssh)
	}
	return more
}
