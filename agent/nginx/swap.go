package nginx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// absent marks, beside where a file would be kept, that there was none.
const absent = ".absent"

// longestRestore bounds the way back, which goes on when its caller has given up.
const longestRestore = time.Minute

// Check tests conf as the app's file in a copy of the tree; nothing live changes.
// Other apps' files that are broken are left out of the copy.
func (n *Nginx) Check(ctx context.Context, app string, conf []byte) error {
	if err := checkApp(app); err != nil {
		return err
	}
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := n.certificates(app, conf); err != nil {
		return err
	}
	dir, err := n.overrides()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the next test begins with an empty one
	if err := writeFile(filepath.Join(dir, app+".conf"), conf); err != nil {
		return fmt.Errorf("write the file to test: %w", err)
	}
	apps, err := n.apps()
	if err != nil {
		return err
	}
	for range len(apps) + 1 {
		found, err := n.test(ctx, dir)
		if err != nil || found == nil {
			return err
		}
		if found.App == "" || found.App == app {
			return found.err(api.ProxyFailed)
		}
		if err := writeFile(filepath.Join(dir, found.App+".conf"), nil); err != nil {
			return fmt.Errorf("leave a broken file out of the test: %w", err)
		}
	}
	return api.Errorf(api.ProxyFailed, opTest, "nginx keeps naming files that were left out of the test")
}

// overrides makes an empty folder for files to test.
func (n *Nginx) overrides() (string, error) {
	dir := filepath.Join(n.Places.Data(), "nginx-test")
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make a folder for the test: %w", err)
	}
	return dir, nil
}

// Swap makes conf the app's live file; see agent.Proxy. Whatever fails, the former
// file is back and loaded before it returns.
func (n *Nginx) Swap(ctx context.Context, app string, conf []byte, kept string, preReload func() error) (reloaded bool, err error) {
	if err := checkApp(app); err != nil {
		return false, err
	}
	unlock, err := n.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := n.certificates(app, conf); err != nil {
		return false, err // before anything changes: to put back a file would load what is new beside it
	}
	if err := n.keep(app, kept); err != nil {
		return false, err
	}
	reloaded, err = n.swapIn(ctx, app, conf, preReload)
	if err == nil {
		return reloaded, nil
	}
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestRestore)
	defer cancel()
	if undo := n.restore(back, app, kept); undo != nil {
		return false, &api.Error{Code: api.UndoFailed, Op: opRestore, Message: fmt.Sprintf("%v; and before: %v", undo, err),
			Hint: "look at nginx on the host: nginx -t, and its error log", Cause: errors.Join(undo, err)}
	}
	return false, err
}

// keep copies the app's live file aside, or notes that there is none.
func (n *Nginx) keep(app, kept string) error {
	live, gone, err := readFile(n.Places.NginxConf(app))
	switch {
	case err != nil:
	case gone:
		if err = removeFile(kept); err == nil {
			err = writeFile(kept+absent, nil)
		}
	default:
		if err = writeFile(kept, live); err == nil {
			err = removeFile(kept + absent)
		}
	}
	if err != nil {
		return fmt.Errorf("keep the former nginx file of %s: %w", app, err)
	}
	return nil
}

func (n *Nginx) swapIn(ctx context.Context, app string, conf []byte, preReload func() error) (bool, error) {
	if err := replaceIfOther(n.Places.NginxConf(app), conf); err != nil {
		return false, fmt.Errorf("write the nginx file of %s: %w", app, err)
	}
	if preReload != nil {
		if err := preReload(); err != nil {
			return false, err
		}
	}
	same, err := n.loaded(app)
	if err != nil || same {
		return false, err
	}
	if err := n.apply(ctx, app); err != nil {
		return false, err
	}
	return true, nil
}

// Restore puts the kept file back byte for byte and reloads if nginx has other
// bytes. Where nothing was kept, nothing had changed. Where nginx does not run, the
// file is enough: nginx reads it when it starts.
func (n *Nginx) Restore(ctx context.Context, app, kept string) error {
	if err := checkApp(app); err != nil {
		return err
	}
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.restore(ctx, app, kept)
}

func (n *Nginx) restore(ctx context.Context, app, kept string) error {
	former, missing, err := readFile(kept)
	if err == nil && missing && !exists(kept+absent) {
		return nil
	}
	if err == nil && missing {
		err = removeFile(n.Places.NginxConf(app))
	} else if err == nil {
		err = replaceIfOther(n.Places.NginxConf(app), former)
	}
	if err != nil {
		return fmt.Errorf("put the nginx file of %s back: %w", app, err)
	}
	return n.settle(ctx, app)
}

// settle makes nginx load an app's file unless it has, or does not run.
func (n *Nginx) settle(ctx context.Context, app string) error {
	same, err := n.loaded(app)
	if err != nil || same || !n.running() {
		return err
	}
	return n.apply(ctx, app)
}

// Remove takes the app's file away and reloads. An app without one is no error.
func (n *Nginx) Remove(ctx context.Context, app string) error {
	if err := checkApp(app); err != nil {
		return err
	}
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := removeFile(n.Places.NginxConf(app)); err != nil {
		if !exists(n.Places.App(app)) {
			return n.settle(ctx, app)
		}
		return fmt.Errorf("remove the nginx file of %s: %w", app, err)
	}
	return n.settle(ctx, app)
}

// Reload makes nginx load the tree as it is, whatever the record says: after
// plugins changed files of an app ("" for none in particular). It must not be
// called from within Swap's preReload: the lock is held there.
func (n *Nginx) Reload(ctx context.Context, app string) error {
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return n.apply(ctx, app)
}

// Test tests the live tree; the error names app, file and line.
func (n *Nginx) Test(ctx context.Context) error {
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := n.test(ctx)
	if err == nil && found != nil {
		return found.err(api.ProxyFailed)
	}
	return err
}

// TestApp tests the live tree as Test does, for what is wrong with one app's files: where
// nginx stumbles over another app's, the app is tested without the others. "" is Test.
func (n *Nginx) TestApp(ctx context.Context, app string) error {
	if app == "" {
		return n.Test(ctx)
	}
	if err := checkApp(app); err != nil {
		return err
	}
	unlock, err := n.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := n.test(ctx)
	if err == nil && found != nil && found.App != app {
		found, err = n.testAlone(ctx, app)
	}
	if err != nil || found == nil {
		return err
	}
	return found.err(api.ProxyFailed)
}

// testAlone tests an app's files and nginx's own. What names no app's file is the app's if
// nginx takes the tree without it.
func (n *Nginx) testAlone(ctx context.Context, app string) (*problem, error) {
	apps, err := n.apps()
	if err != nil {
		return nil, err
	}
	dir, err := n.alone(apps, app)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the next test begins with an empty one
	found, err := n.test(ctx, dir)
	if err != nil || found == nil || found.App != "" {
		return found, err
	}
	if err := writeFile(filepath.Join(dir, app+".conf"), nil); err != nil {
		return nil, fmt.Errorf("leave the app out of the test: %w", err)
	}
	without, err := n.test(ctx, dir)
	if err == nil && without == nil {
		found.App = app
	}
	return found, err
}
