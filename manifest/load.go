package manifest

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The files that are read, relative to the project.
const (
	procfileName = "Procfile"
	appJSONName  = "app.json"
	manifestName = "dokku.hcl"
)

// Options say how to read a project.
type Options struct {
	// File is dokku.hcl by another name, relative to the project; it must exist.
	// Empty: dokku.hcl, if there is one.
	File string
	// Getenv is what env("X") asks. Nil: no variable is set.
	Getenv func(string) (string, bool)
}

// Load reads Procfile, app.json and dokku.hcl of the project whose folder fsys is.
// It returns every mistake of all three at once, and advice. After a mistake the
// App is nil.
func Load(fsys fs.FS, o Options) (*App, Diagnostics) {
	app := &App{}
	l := loader{fsys: fsys, app: app}
	l.readProcfile()
	l.readAppJSON()
	l.readHCL(o)
	l.settleEmptyProcfile()
	l.compare()
	var found Diagnostics
	for _, s := range []*source{l.procfile, l.appJSON, l.hcl} {
		if s != nil {
			found = append(found, s.result()...)
		}
	}
	if found.Failed() {
		return nil, found
	}
	return app, found
}

// loader holds the files of a project while they are read; a source is nil where
// there is no file.
type loader struct {
	fsys                   fs.FS
	app                    *App
	procfile, appJSON, hcl *source
}

// open reads a file of the project. ok is false when it is missing or refused; what
// was wrong is in the source, which is nil when the file is only missing.
func (l *loader) open(name string) (text []byte, s *source, ok bool) {
	text, err := readFile(l.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false
	}
	if err != nil {
		s = newSource(name, nil)
		problem, hint, _ := strings.Cut(err.Error(), "; ")
		s.whole(Mistake, problem, hint)
		return nil, s, false
	}
	return text, nil, true
}

func (l *loader) readProcfile() {
	text, s, ok := l.open(procfileName)
	if !ok {
		l.procfile = s
		return
	}
	l.app.Procfile, l.procfile = parseProcfile(procfileName, text)
	l.app.ProcfileText = string(text)
}

func (l *loader) readAppJSON() {
	text, s, ok := l.open(appJSONName)
	if !ok {
		l.appJSON = s
		return
	}
	l.app.AppJSON, l.appJSON = parseAppJSON(appJSONName, text)
	l.app.AppJSONText = string(text)
}

func (l *loader) readHCL(o Options) {
	name := path.Clean(filepath.ToSlash(o.File))
	if o.File == "" {
		name = manifestName
	}
	// A link would let the description of an app come from elsewhere unseen.
	if info, err := fs.Lstat(l.fsys, name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		l.hcl = newSource(name, nil)
		l.hcl.whole(Mistake, "it is a symbolic link", "name the file that it leads to with --manifest, or copy it")
		return
	}
	text, s, ok := l.open(name)
	switch {
	case ok:
		l.hcl = parseHCL(l.app, name, text, l.fsys, o.Getenv)
	case s == nil && o.File != "":
		l.hcl = newSource(name, nil)
		l.hcl.whole(Mistake, "there is no such file in the project", "name it relative to the project's folder")
	default:
		l.hcl = s
	}
}

// settleEmptyProcfile takes an empty Procfile for none where the image itself says
// what runs.
func (l *loader) settleEmptyProcfile() {
	if l.app.Procfile == nil || len(l.app.Procfile.Processes) > 0 {
		return
	}
	build := l.app.Build
	dockerfile := path.Join(build.Context, "Dockerfile")
	if build.Dockerfile.Path != "" {
		dockerfile = path.Join(build.Context, build.Dockerfile.Path)
	}
	_, err := fs.Stat(l.fsys, dockerfile)
	l.app.Procfile, l.app.ProcfileText = nil, ""
	if err == nil || build.Builder == "static" {
		l.procfile.whole(Advice, "it declares no process", "the image's own command will run as web; remove the file, or write a line such as web: ./server")
		return
	}
	l.procfile.whole(Mistake, "it declares no process, and there is no Dockerfile", "write a line such as web: ./server, or remove the file")
}

// compare looks at what the files say about each other.
func (l *loader) compare() {
	command := l.app.Build.Static.Command
	if web, ok := l.app.Procfile.Command("web"); ok && command != "" && web != command {
		l.hcl.mistake(l.hcl.places["command"], "command and the Procfile's web are not the same", "keep one of the two")
	}
	if l.app.AppJSON == nil || l.procfile != nil && l.procfile.failed() {
		return
	}
	types := l.app.Procfile.Scaled()
	for name := range l.app.AppJSON.Formation {
		l.compareType(types, "formation", name)
	}
	for name := range l.app.AppJSON.Healthchecks {
		l.compareType(types, "healthchecks", name)
	}
}

func (l *loader) compareType(types []string, key, name string) {
	switch {
	case slices.Contains(types, name):
	case name == Release:
		l.appJSON.advice(l.appJSON.places[key+"."+name], key+".release is not used", "release runs once in each deploy")
	default:
		l.appJSON.advice(l.appJSON.places[key+"."+name], key+"."+name+" is not used: there is no such process type", didYouMean(name, slices.Clone(types)))
	}
}
