// Package plugin is the plugin manager: it installs, updates, enables, disables and
// removes the plugins of one tree, as plugn and Dokku's plugin commands do
// (PLUGIN-CONTRACT 1.5, 1.6), and fires their own triggers. A plugin is made ready in a
// folder that no walk reads, renamed to its place, and enabled last; what fails before
// that leaves nothing. It runs no other trigger than the plugins' own.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
	"github.com/dokku-push/dokku-push/triggers"
)

// Manager is one plugin tree. All fields but Client are set before use.
type Manager struct {
	Path string // $PLUGIN_PATH: available/, enabled/, config.toml
	// Fire walks all enabled plugins; streams that are nil are empty.
	Fire func(ctx context.Context, trigger string, args []string, streams agent.Streams) error
	// Out is what is said about the work, Err what is warned of. Triggers write to both.
	Out, Err io.Writer
	Client   *http.Client // for archives; nil: one with a time limit
}

// heldVariable tells the commands that a plugin's trigger starts that the command it runs
// in has locked the tree, and waits for them.
const heldVariable = "DOKKU_PUSH_PLUGINS_HELD"

// mostPatience is how long to wait for another plugin command; some compile or pull images.
const mostPatience = 10 * time.Minute

// change does something to the tree while nobody else does, and gives everything in it to
// the tree's owner afterwards, whatever came of it.
func (m *Manager) change(ctx context.Context, op string, do func() error) error {
	for _, dir := range []string{m.Path, filepath.Join(m.Path, "available"), filepath.Join(m.Path, "enabled")} {
		if err := atomicfile.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	if os.Getenv(heldVariable) == m.Path {
		return do()
	}
	patience, cancel := context.WithTimeout(ctx, mostPatience)
	defer cancel()
	release, err := dirlock.Lock(patience, m.Path, func() { m.say("Waiting for another plugin command") })
	if err != nil {
		return api.Errorf(api.Locked, op, "%w", err).WithHint("another plugin command is at work: fuser -v %s", m.Path)
	}
	defer release()
	if err := os.Setenv(heldVariable, m.Path); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer os.Unsetenv(heldVariable)
	return errors.Join(m.sweep(), do(), m.giveBack())
}

// giveBack makes everything the tree's owner's. Only root can, and only root has to. It
// stays inside of the tree, whatever its owner links in the meantime.
func (m *Manager) giveBack() error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(m.Path)
	if err != nil {
		return fmt.Errorf("give the plugins to their owner: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("give the plugins to their owner: %w", err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if now := info.Sys().(*syscall.Stat_t); now.Uid == owner.Uid && now.Gid == owner.Gid {
			return nil
		}
		return root.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		return fmt.Errorf("give the plugins to their owner: %w", err)
	}
	return nil
}

// fire walks all enabled plugins with the manager's streams.
func (m *Manager) fire(ctx context.Context, trigger string, args ...string) error {
	return m.Fire(ctx, trigger, args, agent.Streams{Out: m.Out, Err: m.Err})
}

// candidate runs one plugin's own part in a trigger, enabled or not.
func (m *Manager) candidate(ctx context.Context, name, trigger string, args ...string) error {
	walk := triggers.Walk{Path: m.Path, Env: triggers.Environment()}
	return walk.Candidate(ctx, name, trigger, args, triggers.Streams{Out: m.Out, Err: m.Err})
}

func (m *Manager) say(format string, args ...any) {
	if m.Out != nil {
		fmt.Fprintf(m.Out, "-----> "+format+"\n", args...)
	}
}

func (m *Manager) warn(format string, args ...any) {
	if m.Err != nil {
		fmt.Fprintf(m.Err, " !     "+format+"\n", args...)
	}
}

// Code is the exit code that an error stands for: a failed hook's own, else 1.
func Code(err error) int {
	if err == nil {
		return 0
	}
	if failed, ok := errors.AsType[*triggers.Failure](err); ok {
		return failed.Code
	}
	if ended, ok := errors.AsType[*triggers.Exit](err); ok {
		return ended.Code
	}
	return 1
}

// oneLine is what a program said, for an error: its last words, without control characters.
func oneLine(said string) string {
	words := strings.Join(strings.FieldsFunc(said, func(c rune) bool { return c <= ' ' || c == 0x7f }), " ")
	if len(words) > 600 {
		words = "... " + words[len(words)-600:]
	}
	return words
}
