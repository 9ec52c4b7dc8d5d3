package manifest

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// addFiles makes candidates of what is said outside dokku.hcl, so that Explain can
// tell of it.
func (l *loader) addFiles() {
	l.addAppJSON()
	l.addProject()
	if p := l.app.Procfile; p != nil {
		for _, process := range p.Processes {
			line := origin{name: fmt.Sprintf("%s:%d", l.inFolder(procfileName), process.Line)}
			l.also("procfile."+process.Name, byProcfile, line, process.Command, false)
			if process.Name == "web" {
				l.also("build.static.command", byProcfile, line, process.Command, false)
			}
		}
	}
	for _, process := range l.app.Procfile.Scaled() {
		quantity := "0"
		if process == "web" {
			quantity = "1"
		}
		l.also("formation."+process+".quantity", byDefault, origin{name: "default"}, quantity, false)
	}
}

// addBuilder tells of the builder that is found out where none is named.
func (l *loader) addBuilder() {
	builder := "pack"
	if _, err := fs.Stat(l.fsys, l.dockerfile()); err == nil {
		builder = "dockerfile"
	}
	l.also("build.builder", byDefault, origin{name: "default"}, builder, false)
}

// also adds what is known for Explain only.
func (l *loader) also(key string, rank rank, source origin, shown string, secret bool) {
	l.said.add(candidate{rank: rank, source: source, finding: finding{key: key, shown: shown, secret: secret}})
}

func (l *loader) addAppJSON() {
	a := l.app.AppJSON
	if a == nil {
		return
	}
	from := func(key string) origin { return origin{in: l.appJSON, at: l.appJSON.places[key]} }
	for _, key := range slices.Sorted(maps.Keys(a.Env)) {
		v := a.Env[key]
		if v.Value != "" || v.Secret {
			l.also("config."+key, byAppJSON, from("env."+key), v.Value, v.Secret || looksSecret(key, v.Value))
		}
	}
	for _, process := range slices.Sorted(maps.Keys(a.Formation)) {
		f, key := a.Formation[process], "formation."+process
		if f.Quantity != nil {
			l.also(key+".quantity", byAppJSON, from(key), strconv.Itoa(*f.Quantity), false)
		}
		if f.MaxParallel != 0 {
			l.also(key+".max_parallel", byAppJSON, from(key), strconv.Itoa(f.MaxParallel), false)
		}
	}
	for _, process := range slices.Sorted(maps.Keys(a.Healthchecks)) {
		key := "healthchecks." + process
		l.also(key, byAppJSON, from(key), described(a.Healthchecks[process]), false)
	}
	if len(a.Buildpacks) > 0 {
		l.also("build.pack.buildpacks", byAppJSON, from("buildpacks"), strings.Join(a.Buildpacks, ", "), false)
	}
}

func (l *loader) addProject() {
	p := l.app.Project
	if p == nil {
		return
	}
	from := func(key string) origin { return origin{in: l.project, at: l.project.places[key]} }
	if p.Builder != "" {
		l.also("build.pack.builder", byProject, from("builder"), p.Builder, false)
	}
	if len(p.Buildpacks) > 0 {
		var ids []string
		for _, b := range p.Buildpacks {
			ids = append(ids, b.String())
		}
		l.also("build.pack.buildpacks", byProject, from("buildpacks"), strings.Join(ids, ", "), false)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		l.also("build.pack.env."+name, byProject, from("env."+name), p.Env[name], looksSecret(name, p.Env[name]))
	}
}

// described says in a line what healthchecks ask.
func described(checks []Healthcheck) string {
	var texts []string
	for _, c := range checks {
		switch {
		case c.Path != "":
			texts = append(texts, c.Type+" GET "+c.Path)
		case len(c.Command) > 0:
			texts = append(texts, c.Type+" command")
		case c.Listening:
			texts = append(texts, c.Type+" listening")
		default:
			texts = append(texts, fmt.Sprintf("%s uptime %s", c.Type, c.Uptime))
		}
	}
	return strings.Join(texts, ", ")
}
