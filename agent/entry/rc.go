package entry

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
	"syscall"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/run"
)

// This file is the settings that Dokku reads as shell files before everything else
// (PLUGIN-CONTRACT 2.1).

// systemRC is the host's own file; an embedded host has none.
const systemRC = "/etc/default/dokku"

// rcProgram sources the files that it is given and prints the environment they leave.
// What they print is for people: stdout is a command's answer.
const rcProgram = `set -a; for file in "$@"; do source "$file" >&2; done; set +a; exec /usr/bin/env -0`

// ReadRC reads /etc/default/dokku where system is true, $ROOT/dokkurc and every file of
// $ROOT/.dokkurc into the environment. A file that neither root nor the caller owns is
// passed over: nobody runs another user's shell code. One that is there and cannot be
// read is an error.
func ReadRC(ctx context.Context, root string, system bool) error {
	files, err := rcFiles(root, system)
	if err != nil || len(files) == 0 {
		return err
	}
	var out bytes.Buffer
	command := run.Cmd{Argv: append([]string{"bash", "-c", rcProgram, "dokkurc"}, files...), Env: os.Environ(), Stdout: &out, Stderr: os.Stderr}
	if err := command.Run(ctx); err != nil {
		return api.Errorf(api.Configuration, "read "+strings.Join(files, ", "), "%w", err)
	}
	return adopt(out.String())
}

func rcFiles(root string, system bool) ([]string, error) {
	names := []string{filepath.Join(root, "dokkurc")}
	if system {
		names = append([]string{systemRC}, names...)
	}
	entries, err := os.ReadDir(filepath.Join(root, ".dokkurc"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read .dokkurc: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names = append(names, filepath.Join(root, ".dokkurc", entry.Name()))
		}
	}
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || !trusted(info)) {
			continue
		}
		if err == nil {
			err = syscall.Access(name, 4) // R_OK
		}
		if err != nil && name != systemRC {
			return nil, api.Errorf(api.Configuration, "", "%s is not readable: %w", name, err)
		}
		if err == nil {
			files = append(files, name)
		}
	}
	return files, nil
}

func trusted(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && (owner.Uid == 0 || int(owner.Uid) == os.Geteuid())
}

// adopt makes the environment what `env -0` has printed, but for what is the shell's own.
func adopt(text string) error {
	now := map[string]string{}
	for pair := range strings.SplitSeq(text, "\x00") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			now[key] = value
		}
	}
	own := []string{"_", "SHLVL", "PWD", "OLDPWD"}
	for key, value := range now {
		if slices.Contains(own, key) || os.Getenv(key) == value && value != "" {
			continue
		}
		if err := os.Setenv(key, value); err != nil {
			return fmt.Errorf("set %s: %w", key, err)
		}
	}
	for _, pair := range os.Environ() {
		key, _, _ := strings.Cut(pair, "=")
		if _, is := now[key]; !is && !slices.Contains(own, key) {
			_ = os.Unsetenv(key) // fails never for a name that is set
		}
	}
	return nil
}
