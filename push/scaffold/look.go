package scaffold

import (
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// look is a tree while it is looked at.
type look struct {
	options    Options
	fsys       fs.FS
	repository repository
	draft      Draft

	app, host  setting
	build      manifest.Build
	buildFrom  string
	candidates []setting          // names that the app could have, best first
	web        []suggestion       // what could run, by what the languages' files say
	kept       string             // dokku.hcl or its twin, where one is there and stays
	procfile   *manifest.Procfile // nil: there is none, or it has mistakes
	language   bool               // some language's file is there
}

// setting is a value and where it was found.
type setting struct{ value, from string }

// suggestion is a line that a Procfile could have.
type suggestion struct{ line, from string }

// all looks at everything, in the order in which one thing decides another.
func (l *look) all() error {
	l.existing()
	l.processes()
	l.languages()
	if err := l.nameApp(); err != nil {
		return err
	}
	if err := l.findHost(); err != nil {
		return err
	}
	l.chooseBuild()
	l.suggestProcesses()
	if err := l.chooseCI(); err != nil {
		return err
	}
	if l.kept == TwinName {
		l.missing(TwinName + " is there already; no " + ManifestName + " is written beside it")
		return nil
	}
	l.draft.Files = append([]File{{Dir: l.options.Dir, Name: ManifestName, Text: l.manifest()}}, l.draft.Files...)
	return nil
}

func (l *look) guess(what, value, from string) {
	l.draft.Guesses = append(l.draft.Guesses, Guess{What: what, Value: value, From: from})
}

func (l *look) missing(sentence string) { l.draft.Missing = append(l.draft.Missing, sentence) }

// existing learns from a dokku.hcl that is kept: what CI is to deploy must be what that
// file says. A twin is always kept: what is written here is no JSON.
func (l *look) existing() {
	switch {
	case l.has(ManifestName) && !l.options.Force:
		l.kept = ManifestName
	case l.has(TwinName) && !l.has(ManifestName):
		l.kept = TwinName
	default:
		return
	}
	app, found := manifest.Load(l.fsys, manifest.Options{App: l.options.App, Getenv: l.options.Getenv})
	if found.Failed() {
		return
	}
	l.app, l.host = setting{app.Name, l.kept}, setting{app.Host.Address, l.kept}
	l.build = app.Build
	if l.build.Builder != "" {
		l.buildFrom = l.kept
	}
}

// processes reads Procfile and app.json.
func (l *look) processes() {
	if text, ok := l.read("Procfile"); ok {
		if procfile, found := manifest.ParseProcfile("Procfile", text); !found.Failed() {
			l.procfile = procfile
			l.guess("processes", joined(procfile.Scaled()), "Procfile")
			if _, release := procfile.Command(manifest.Release); release {
				l.guess("release task", "runs once in each release", "Procfile")
			}
		}
	}
	var about struct {
		Name         string
		Healthchecks map[string]any
	}
	if l.readJSON("app.json", &about) {
		l.candidate(about.Name, "name in app.json")
		if len(about.Healthchecks) > 0 {
			l.guess("healthchecks", joined(plainKeys(about.Healthchecks)), "app.json")
		}
	}
}

// nameApp decides the app's name: what was asked for, what the tree says, the folder.
func (l *look) nameApp() error {
	said := l.options.App
	remote, hasRemote := l.repository.host()
	switch {
	case said != "":
		if err := manifest.AppName(said); err != nil {
			return api.Errorf(api.Usage, "name the app", "%w", err)
		}
		l.app = setting{said, "--app or DOKKU_APP"}
	case l.app.value != "":
	case hasRemote:
		l.app = setting{remote.app, remote.from()} // it exists: kept as it is
	default:
		l.candidate(filepath.Base(l.options.Dir), "the folder's name")
		l.candidate("app", "nothing else had a usable name")
		l.app = l.candidates[0]
	}
	l.guess("app", l.app.value, l.app.from)
	return nil
}

// candidate remembers a name for the app in the form that Dokku takes, if there is one.
func (l *look) candidate(name, from string) {
	if fixed := appName(name); fixed != "" {
		l.candidates = append(l.candidates, setting{fixed, from})
	}
}

// findHost decides the host: what was asked for, or git's remote.
func (l *look) findHost() error {
	remote, hasRemote := l.repository.host()
	switch {
	case l.host.value != "" && l.host.value == l.options.Host: // the kept dokku.hcl says the same
	case l.options.Host != "":
		if !isAddress(l.options.Host) {
			return api.Errorf(api.Usage, "name the host", "%q is no host to reach over ssh", l.options.Host).
				WithHint("write [user@]host[:port], such as dokku@host.example.com; an IPv6 address stands in brackets")
		}
		l.host = setting{l.options.Host, "--host or DOKKU_HOST"}
	case l.host.value != "":
	case hasRemote:
		l.host = setting{remote.address, remote.from()}
		for _, other := range l.repository.hosts() {
			if other != remote {
				l.guess("left out", "app "+other.app+" on "+other.address, other.from())
			}
		}
	default:
		l.missing("name the host: host \"production\" { address = \"dokku@host.example.com\" } in dokku.hcl, --host or DOKKU_HOST")
		return nil
	}
	l.guess("host", l.host.value, l.host.from)
	return nil
}

// inManifest says whether dokku.hcl, the drafted or the kept one, names the host.
func (l *look) inManifest() bool {
	return l.host.value != "" && (l.kept == "" || l.host.from == l.kept)
}

// chooseBuild asks who will build the tree, and where nobody can, says so.
func (l *look) chooseBuild() {
	if l.kept == "" && !l.has("Dockerfile") {
		l.otherBuild()
	}
	name, why, err := build.Choose(&manifest.App{Build: l.build, Procfile: l.procfile}, l.fsys)
	if err != nil {
		problem := api.AsError(err)
		l.missing(problem.Message + "; " + problem.Hint)
		return
	}
	if l.buildFrom != "" {
		why = l.buildFrom
	}
	l.guess("builder", name, strings.TrimPrefix(why, "there is a "))
	l.build.Builder = name
}

// suggestProcesses says what a Procfile could hold where there is none and the image
// will not know either.
func (l *look) suggestProcesses() {
	switch {
	case l.procfile != nil || l.has("Procfile"):
	case l.has("Dockerfile") || l.build.Dockerfile.Path != "":
		l.guess("processes", "web, the image's own command", "the Dockerfile; there is no Procfile")
	default:
		for _, one := range l.web {
			l.missing("write a Procfile with the line `" + one.line + "` (" + one.from + ")")
		}
	}
}
