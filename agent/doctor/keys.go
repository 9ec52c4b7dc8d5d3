package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/api"
)

// keys looks at who may log in as the dokku user, and what they may do there: a key
// without a forced command is a shell, and with port forwarding it reaches the engine's
// socket, which makes it root.
func (d *Doctor) keys(context.Context) []api.HealthFinding {
	path := filepath.Join(d.Places.Root, ".ssh", "authorized_keys")
	const add = "dokku-agent keys add NAME FILE, as root on the host"
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return []api.HealthFinding{warn(api.HealthKeys, add, "nobody can deploy: there is no %s", path)}
	} else if err != nil {
		return unknown(api.HealthKeys, err)
	}
	var findings []api.HealthFinding
	for _, file := range []string{d.Places.Root, filepath.Dir(path), path} {
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o022 != 0 {
			findings = append(findings, fail(api.HealthKeys, "chmod go-w "+file, "others than its owner can write %s (%s), and let themselves in", file, info.Mode()))
		}
	}
	count := 0
	for line := range bytes.Lines(text) {
		public, comment, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			continue // a comment, or nothing that sshd would take
		}
		count++
		name := strings.TrimSpace(ssh.FingerprintSHA256(public) + " " + comment)
		const hint = "remove its line and add it again with dokku-agent keys add"
		command, forwards := permits(options)
		if !command && !certifies(options) {
			findings = append(findings, fail(api.HealthKeys, hint, "the key %s has no forced command: it opens a shell", name))
		}
		if forwards {
			findings = append(findings, fail(api.HealthKeys, hint, "the key %s may forward ports, and so reach the engine's socket", name))
		}
	}
	if count == 0 {
		findings = append(findings, warn(api.HealthKeys, add, "nobody can deploy: there is no key in %s", path))
	}
	return orFine(findings, api.HealthKeys, "%s, all of which can only call the agent", plural(count, "key", "keys"))
}

// certifies tells whether a line lets in nobody but those to whom the agent itself gives a
// certificate, with the forced command inside.
func certifies(options []string) bool {
	return slices.Contains(options, "cert-authority") && slices.Contains(options, `principals="dokku-push-oidc"`)
}

// permits reads a key's options as sshd does, in their order.
func permits(options []string) (command, forwards bool) {
	forwards = true
	for _, option := range options {
		name, _, _ := strings.Cut(option, "=")
		switch strings.ToLower(name) {
		case "command":
			command = true
		case "restrict", "no-port-forwarding":
			forwards = false
		case "port-forwarding":
			forwards = true
		}
	}
	return command, forwards
}

// describe is a file's owner and mode for people.
func describe(info fs.FileInfo) string {
	return fmt.Sprintf("%s, of user %d", info.Mode(), owner(info))
}
