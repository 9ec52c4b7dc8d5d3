package nginx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// What nginx has loaded is kept as a copy of each app's file, with a digest of what
// that file includes, and the workers that loaded it. Any reload, whoever asked
// for it, makes new workers: then the record is not believed any more.

func (n *Nginx) loadedDir() string { return filepath.Dir(n.Places.NginxLoaded("app")) }

func (n *Nginx) workersFile() string { return filepath.Join(n.loadedDir(), "workers.json") }

func (n *Nginx) sumFile(app string) string {
	return strings.TrimSuffix(n.Places.NginxLoaded(app), ".conf") + ".sum"
}

// loaded tells whether nginx serves exactly what is on disk for an app.
func (n *Nginx) loaded(app string) (bool, error) {
	if !n.recordHolds() {
		return false, nil
	}
	return n.matches(app)
}

// matches tells whether an app's files are those of the record.
func (n *Nginx) matches(app string) (bool, error) {
	live, gone, err := readFile(n.Places.NginxConf(app))
	if err != nil {
		return false, fmt.Errorf("read the nginx file of %s: %w", app, err)
	}
	record, never, err := readFile(n.Places.NginxLoaded(app))
	if err != nil {
		return false, fmt.Errorf("read what nginx has loaded for %s: %w", app, err)
	}
	if gone || never {
		return gone && never, nil
	}
	sum, _, err := readFile(n.sumFile(app))
	if err != nil {
		return false, fmt.Errorf("read what nginx has loaded for %s: %w", app, err)
	}
	return bytes.Equal(live, record) && string(sum) == n.sum(app), nil
}

// recordHolds tells whether a worker that the record was made with is still there.
func (n *Nginx) recordHolds() bool {
	text, err := os.ReadFile(n.workersFile())
	if err != nil {
		return false
	}
	var recorded []string
	if json.Unmarshal(text, &recorded) != nil {
		return false
	}
	master, err := n.master()
	if err != nil {
		return false
	}
	now, known := workers(master)
	return !known || anyOf(recorded, now)
}

// recordLoaded writes down that nginx serves what is on disk.
func (n *Nginx) recordLoaded() error {
	apps, err := n.apps()
	if err != nil {
		return err
	}
	stale, err := filepath.Glob(filepath.Join(n.loadedDir(), "*.conf"))
	if err != nil {
		return fmt.Errorf("list what nginx had loaded: %w", err)
	}
	there := map[string]bool{}
	for _, app := range apps {
		there[app] = true
		live, gone, err := readFile(n.Places.NginxConf(app))
		if err == nil && !gone {
			err = replaceIfOther(n.Places.NginxLoaded(app), live)
		}
		if err == nil {
			err = n.recordIncluded(app)
		}
		if err != nil {
			return fmt.Errorf("record what nginx has loaded for %s: %w", app, err)
		}
	}
	for _, path := range stale {
		if app := strings.TrimSuffix(filepath.Base(path), ".conf"); !there[app] {
			if err := n.dropLoaded(app); err != nil {
				return err
			}
		}
	}
	if err := n.recordMain(); err != nil {
		return err
	}
	return n.recordWorkers()
}

// recordIncluded keeps what an app's file includes, and its digest.
func (n *Nginx) recordIncluded(app string) error {
	sum := []byte(n.sum(app))
	former, never, err := readFile(n.sumFile(app))
	if err != nil || !never && bytes.Equal(former, sum) {
		return err
	}
	if err := n.keepIncludes(app); err != nil {
		return err
	}
	return writeFile(n.sumFile(app), sum)
}

func (n *Nginx) recordWorkers() error {
	master, err := n.master()
	if err != nil {
		return fmt.Errorf("record what nginx has loaded: %w", err)
	}
	now, _ := workers(master)
	text, err := json.Marshal(now)
	if err == nil {
		err = writeFile(n.workersFile(), text)
	}
	if err != nil {
		return fmt.Errorf("record what nginx has loaded: %w", err)
	}
	return nil
}

// forgetLoaded says that nobody knows what nginx has loaded. The copies stay: they
// are the last that it took.
func (n *Nginx) forgetLoaded() error {
	if err := removeFile(n.workersFile()); err != nil {
		return fmt.Errorf("forget what nginx has loaded: %w", err)
	}
	return nil
}

func (n *Nginx) dropLoaded(app string) error {
	err := os.RemoveAll(n.includesDir(app))
	for _, path := range []string{n.sumFile(app), n.Places.NginxLoaded(app)} {
		if err == nil {
			err = removeFile(path)
		}
	}
	if err != nil {
		return fmt.Errorf("forget what nginx has loaded for %s: %w", app, err)
	}
	return nil
}

func replaceIfOther(path string, content []byte) error {
	former, absent, err := readFile(path)
	if err != nil || !absent && bytes.Equal(former, content) {
		return err
	}
	return writeFile(path, content)
}

// sum is a digest of what an app's file includes, and one of its certificate alone: the
// files of plugins and the certificate change without the file itself changing.
func (n *Nginx) sum(app string) string {
	all := sha256.New()
	hashFiles(all, filepath.Join(n.Places.NginxConfDir(app), "*.conf"))
	return hex.EncodeToString(all.Sum(nil)) + " " + n.tlsSum(app)
}

func hashFiles(sum io.Writer, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return // the pattern is ours, and well-formed
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		fmt.Fprintf(sum, "%s %t %x\n", file, err == nil, sha256.Sum256(content))
	}
}
