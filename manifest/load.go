package manifest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// The files that are read, relative to the project.
const (
	procfileName = "Procfile"
	appJSONName  = "app.json"
	manifestName = "dokku.hcl"
	twinName     = "dokku.hcl.json" // dokku.hcl in HCL's JSON syntax
	projectName  = "project.toml"
	checksName   = "CHECKS"
)

// Options say how to read a project.
type Options struct {
	// File is dokku.hcl by another name, relative to the project; it must exist. A name
	// that ends with .json is read as the JSON twin. Empty: dokku.hcl or dokku.hcl.json,
	// if there is one.
	File string
	// App is the app block that counts, where the file has some; it may be left out where
	// there is one alone. Apps lists them.
	App string
	// Environment is the environment block that counts; it must exist. Empty: none.
	Environment string
	// Review says that the project is read for a review app: dokku.hcl's environment "review"
	// counts if there is one and no other is asked for, app.json's environments.review
	// counts, and what belongs to the app itself does not: domains, storage, services, docker
	// options, and secrets that review { inherit } does not name.
	Review bool
	// Flags and Variables are what the command line and the client's own variables
	// say, by dotted key ("app", "host", "build.builder", "config.KEY"), with the name
	// that people know them by. "host" is an address or the name of a host block.
	//
	// Where the file has app blocks, "app" only says which of them counts.
	Flags, Variables map[string]Given
	// Getenv is what env("X") asks. Nil: no variable is set.
	Getenv func(string) (string, bool)
}

// Load reads dokku.hcl of the project whose folder fsys is, and Procfile, app.json,
// project.toml and CHECKS of the app's own folder, which is the project's where nothing else
// is said. It returns every mistake of all of them at once, and advice.
// After a mistake the App is nil. What a flag, a variable, the environment's block and
// dokku.hcl say is settled in the App, in this order; what the other files say stays
// in AppJSON, Procfile and Project, for they travel as they are. Explain tells of all.
func Load(fsys fs.FS, o Options) (*App, Diagnostics) {
	l := loader{fsys: fsys, app: &App{}}
	l.readHCL(o)
	l.give(l.besides(o.Flags), byFlag)
	l.give(l.besides(o.Variables), byVariable)
	l.findFolder()
	l.readProcfile()
	l.readAppJSON(o.Review)
	l.readProject()
	l.readChecks()
	l.addFiles()
	l.settle()
	if o.Review {
		l.forReview()
	}
	l.addBuilder()
	l.settleEmptyProcfile()
	l.readTemplate()
	l.compare()
	l.app.said = l.said
	found := l.given
	for _, s := range []*source{l.procfile, l.appJSON, l.project, l.checks, l.hcl, l.template} {
		if s != nil {
			found = append(found, s.result()...)
		}
	}
	if found.Failed() {
		return nil, found
	}
	return l.app, found
}

const (
	templateName     = "nginx.conf.sigil"
	templateProperty = "nginx-conf-sigil-path"
)

// loader holds the files of a project while they are read; a source is nil where
// there is no file.
type loader struct {
	fsys  fs.FS
	app   *App
	said  said
	given Diagnostics // of flags and variables

	procfile, appJSON, template, project, checks, hcl *source
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
	name := l.inFolder(procfileName)
	text, s, ok := l.open(name)
	if !ok {
		l.procfile = s
		return
	}
	l.app.Procfile, l.procfile = parseProcfile(name, text)
	l.app.ProcfileText = string(text)
}

func (l *loader) readAppJSON(review bool) {
	name := l.inFolder(appJSONName)
	text, s, ok := l.open(name)
	if !ok {
		l.appJSON = s
		return
	}
	l.app.AppJSON, l.appJSON = parseAppJSON(name, text)
	l.app.AppJSONText = string(text)
	if !review || l.app.AppJSON == nil || l.app.AppJSON.Environments[reviewEnvironment] == nil {
		return
	}
	// Places are those of the file as it stands; what is wrong only together is wrong in it.
	merged, err := reviewAppJSON(string(text))
	if err != nil {
		l.appJSON.whole(Mistake, "environments.review cannot be put over the rest", err.Error())
		return
	}
	appJSON, found := ParseAppJSON(name, []byte(merged))
	if found.Failed() {
		l.appJSON.whole(Mistake, "with environments.review: "+found[0].Message, found[0].Hint)
		return
	}
	l.app.AppJSON, l.app.AppJSONText = appJSON, merged
}

// readTemplate reads the app's own nginx template, which travels as it is.
func (l *loader) readTemplate() {
	name := l.app.Nginx[templateProperty]
	named := name != ""
	if !named {
		name = l.inFolder(templateName)
	} else if _, err := fs.Stat(l.fsys, l.inFolder(name)); err == nil {
		name = l.inFolder(name)
	}
	text, s, ok := l.open(name)
	if ok {
		s = newSource(name, text)
		l.app.NginxTemplate = s.text
	}
	if !ok && s == nil && named {
		s = newSource(name, nil)
		s.whole(Mistake, "there is no such file in the project", "nginx."+templateProperty+" names it")
	}
	l.template = s
}

// settleEmptyProcfile takes an empty Procfile for none where the image itself says
// what runs.
func (l *loader) settleEmptyProcfile() {
	if l.app.Procfile == nil || len(l.app.Procfile.Processes) > 0 {
		return
	}
	build := l.app.Build
	_, err := fs.Stat(l.fsys, l.dockerfile())
	l.app.Procfile, l.app.ProcfileText = nil, ""
	if err == nil || slices.Contains([]string{"static", "pack", "image"}, build.Builder) {
		l.procfile.whole(Advice, "it declares no process", "the image's own command will run as web; remove the file, or write a line such as web: ./server")
		return
	}
	l.procfile.whole(Mistake, "it declares no process, and there is no Dockerfile", "write a line such as web: ./server, or remove the file")
}

// compare looks at what the files say about each other.
func (l *loader) compare() {
	command := l.app.Build.Static.Command
	if web, ok := l.app.Procfile.Command("web"); ok && command != "" && web != command && l.hcl != nil {
		l.hcl.mistake(l.hcl.places["build.static.command"], "command and the Procfile's web are not the same", "keep one of the two")
	}
	l.compareImage()
	if l.procfile != nil && l.procfile.failed() {
		return
	}
	types := l.app.Procfile.Scaled()
	if l.app.AppJSON != nil {
		for name := range l.app.AppJSON.Formation {
			l.compareType(l.appJSON, types, "formation", name)
		}
		for name := range l.app.AppJSON.Healthchecks {
			l.compareType(l.appJSON, types, "healthchecks", name)
		}
	}
	if l.app.Procfile != nil && l.hcl != nil {
		for name := range l.app.Formation {
			l.compareType(l.hcl, types, "formation", name)
		}
	}
}

// compareImage looks at build.image, which one builder alone uses.
func (l *loader) compareImage() {
	build := l.app.Build
	if l.hcl == nil || (build.Image != "") == (build.Builder == "image") {
		return
	}
	if build.Image == "" {
		l.hcl.mistake(l.hcl.places["build.builder"], "the builder image has no image", "write image = \"registry.example.com/team/app:1.2\" beside it")
		return
	}
	l.hcl.mistake(l.hcl.places["build.image"], "image is used by the builder image alone", "write builder = \"image\", or take image out")
}

func (l *loader) compareType(s *source, types []string, key, name string) {
	at := s.places[key+"."+name]
	switch {
	case slices.Contains(types, name):
	case name == Release:
		s.advice(at, key+".release is not used", "release runs once in each deploy")
	default:
		s.advice(at, key+"."+name+" is not used: there is no such process type", didYouMean(name, slices.Clone(types)))
	}
}
