package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What nginx has loaded of the files that an app's own includes is kept as that is: where
// one of them is broken, what it was is served on instead of a 502. One that nginx never
// took is left where it is: it may be what protects the app.

// include is such a file that was put aside for what nginx took last.
type include struct {
	found *problem
	aside string
}

// includesDir is where the copies are. Its mode is as narrow as any file's can be.
func (n *Nginx) includesDir(app string) string {
	return filepath.Join(n.loadedDir(), app+".d")
}

// keepIncludes copies what an app's file includes.
func (n *Nginx) keepIncludes(app string) error {
	dir := n.includesDir(app)
	files, err := filepath.Glob(filepath.Join(n.Places.NginxConfDir(app), "*.conf"))
	if err != nil || len(files) == 0 {
		return os.RemoveAll(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	stay := map[string]bool{}
	for _, file := range files {
		content, gone, err := readFile(file)
		if err != nil || gone {
			continue // who may not read it cannot put it back, either
		}
		stay[filepath.Base(file)] = true
		if err := replaceIfOther(filepath.Join(dir, filepath.Base(file)), content); err != nil {
			return err
		}
	}
	copies, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range copies {
		if !stay[entry.Name()] {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastInclude puts what nginx took last in the place of an included file that it does not
// take; nil: it is no such file, or nothing is known of it, or it may not be touched.
func (n *Nginx) lastInclude(found *problem) (*include, error) {
	if filepath.Dir(found.File) != filepath.Clean(n.Places.NginxConfDir(found.App)) {
		return nil, nil
	}
	live, gone, err := readFile(found.File)
	if err != nil || gone {
		return nil, nil
	}
	last, never, err := readFile(filepath.Join(n.includesDir(found.App), filepath.Base(found.File)))
	if err != nil || never || bytes.Equal(last, live) {
		return nil, nil
	}
	i := &include{found: found, aside: asideOf(found.File)}
	if err := os.Rename(found.File, i.aside); err != nil {
		return nil, nil // the folder is root's, perhaps
	}
	if err := writeFile(found.File, last); err != nil {
		return nil, fmt.Errorf("replace the broken nginx file %s: %w", found.File, errors.Join(err, i.putBack()))
	}
	return i, nil
}

// asideOf is where a broken file is put: beside it, where no include pattern finds it.
func asideOf(file string) string {
	return file + ".broken-" + time.Now().UTC().Format("20060102T150405.000")
}

func (i *include) putBack() error {
	if err := os.Rename(i.aside, i.found.File); err != nil {
		return fmt.Errorf("put the nginx file %s back: %w", i.found.File, err)
	}
	return nil
}

// warningsOf names each file, its mistake, and where it is now.
func warningsOf(includes []*include) []string {
	var warnings []string
	for _, i := range includes {
		warnings = append(warnings, fmt.Sprintf("the nginx file of the app %s was broken before: %s. In its place is what nginx loaded last; the file itself is now %s", i.found.App, i.found, i.aside))
	}
	return warnings
}
