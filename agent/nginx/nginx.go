// Package nginx serves apps by nginx: it renders an app's file, tests it in a copy
// of the tree, swaps it in, reloads and watches until the new workers answer, and
// puts back what was there when that fails. It does not decide when: that is
// package agent's.
//
// What nginx has loaded is kept beside the live files, so that a file that did not
// change costs neither a test nor a reload. nginx's exit codes are not believed:
// both -t and a reload succeed while a new configuration is not taken.
package nginx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Nginx is one nginx and the apps it serves. It implements agent.Proxy. It keeps
// nothing between calls: any number of processes may use the same host.
type Nginx struct {
	Places agent.Places
	Config agent.NginxConfig
	// Helper carries a verb out as root and returns what Perform returned there.
	// Nil: this process may run and signal nginx itself.
	Helper func(ctx context.Context, verb string, args ...string) ([]byte, error)
	// Warn is told when a swap, a restore or a removal had to put another app's
	// broken file aside. Nil: nobody is.
	Warn func(warning string)
	// Patience is how long nginx may take to serve a new configuration; 0: 15 s.
	Patience time.Duration
}

var _ agent.Proxy = (*Nginx)(nil)

const (
	opTest    = "test nginx"
	opReload  = "reload nginx"
	opRestore = "put the nginx file back"
)

// appName is what may become part of a path and of an upstream's name.
var appName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func checkApp(app string) error {
	if !appName.MatchString(app) {
		return api.Errorf(api.Usage, "find the app", "%q is no app name", app)
	}
	return nil
}

// lock takes the host-wide lock and waits for it as long as ctx allows. The kernel
// drops it with the process. A plugin of nginx-pre-reload finds it taken by who waits for that
// plugin, and acts under it.
func (n *Nginx) lock(ctx context.Context) (unlock func(), err error) {
	path := n.Places.NginxLock()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the agent's folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open nginx's lock: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock nginx: %w", err)
		}
		if agent.MakingSite(ctx) {
			_ = file.Close()
			return func() {}, nil
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("wait for nginx's lock: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// apps lists the apps that have a live file, as nginx's own pattern finds them.
func (n *Nginx) apps() ([]string, error) {
	files, err := filepath.Glob(n.sitesPattern())
	if err != nil {
		return nil, fmt.Errorf("list the nginx files: %w", err)
	}
	var apps []string
	for _, file := range files {
		if app := filepath.Base(filepath.Dir(file)); !strings.HasPrefix(app, ".") {
			apps = append(apps, app)
		}
	}
	return apps, nil
}

// sitesPattern is what nginx includes.
func (n *Nginx) sitesPattern() string { return filepath.Join(n.Places.Root, "*", "nginx.conf") }

// httpPort and tlsPort are where nginx serves what the world calls 80 and 443.
func (n *Nginx) httpPort() int { return orElse(n.Config.Port, 80) }
func (n *Nginx) tlsPort() int  { return orElse(n.Config.TLSPort, 443) }

func (n *Nginx) patience() time.Duration { return orElse(n.Patience, 15*time.Second) }

func (n *Nginx) logDir() string { return orElse(n.Config.LogDir, "/var/log/nginx") }

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// readFile returns a file's content; absent tells that there is none.
func readFile(path string) (content []byte, absent bool, err error) {
	content, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	return content, false, err
}

// writeFile replaces a file in one step and waits until it is on disk.
func writeFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, fmt.Sprintf(".new-%d-", os.Getpid()))
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(0o644), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return err
	}
	return syncDir(dir)
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in a folder outlive a power failure.
func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
