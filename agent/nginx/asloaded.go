package nginx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// readers is how many apps' files are read at the same time.
const readers = 4

// A test of the whole tree takes nginx longer the more sites there are (measured: 350 ms
// of a deploy beside 1,000 apps), and the usual deploy changes no site. What nginx has
// loaded it need not be asked about again.

func (n *Nginx) mainFile() string { return filepath.Join(n.loadedDir(), "main.digest") }

// mainSum is a digest of the files that belong to no app: nginx's own, where Debian
// keeps them, and the host's.
func (n *Nginx) mainSum() string {
	all := sha256.New()
	dir := filepath.Dir(n.Config.Conf)
	for _, pattern := range []string{"*.conf", "conf.d/*", "sites-enabled/*", "modules-enabled/*"} {
		hashFiles(all, filepath.Join(dir, pattern))
	}
	hashFiles(all, n.Config.Conf)
	hashFiles(all, n.hostPattern())
	return hex.EncodeToString(all.Sum(nil))
}

func (n *Nginx) recordMain() error {
	if err := replaceIfOther(n.mainFile(), []byte(n.mainSum())); err != nil {
		return fmt.Errorf("record what nginx has loaded: %w", err)
	}
	return nil
}

// asLoaded tells whether nginx serves the whole tree as it is on disk.
func (n *Nginx) asLoaded() (bool, error) {
	if !n.recordHolds() {
		return false, nil
	}
	main, never, err := readFile(n.mainFile())
	if err != nil {
		return false, fmt.Errorf("read what nginx has loaded: %w", err)
	}
	if never || string(main) != n.mainSum() {
		return false, nil
	}
	apps, err := n.apps()
	if err != nil {
		return false, err
	}
	// Beside a thousand apps the reading is what a deploy waits for.
	var wait sync.WaitGroup
	var other atomic.Bool
	failures := make([]error, readers)
	for part := range readers {
		wait.Go(func() {
			for i := part; i < len(apps) && !other.Load(); i += readers {
				same, err := n.matches(apps[i])
				if err != nil || !same {
					failures[part] = err
					other.Store(true)
				}
			}
		})
	}
	wait.Wait()
	err = errors.Join(failures...)
	return err == nil && !other.Load(), err
}
