package push

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
)

// place names the line of the project's files that a failure on the host is about: the
// healthchecks of a container that runs and is not well, else its process in the Procfile.
func (p *Project) place(problem *api.Error) {
	if problem == nil || problem.Place != nil || p.App == nil {
		return
	}
	process := ""
	if f := problem.Failure; f != nil {
		process, _, _ = strings.Cut(f.Container, ".")
	}
	var keys []string
	switch {
	case problem.Code == api.ReleaseFailed && strings.HasSuffix(problem.Op, " "+manifest.Release):
		keys = []string{"procfile." + manifest.Release}
	case process != "" && problem.Failure.Running:
		keys = []string{"healthchecks." + process, "procfile." + process}
	case process != "":
		keys = []string{"procfile." + process}
	}
	for _, key := range keys {
		if said, err := p.App.Explain(key); err == nil {
			if problem.Place = placeIn(said.Winner.Source); problem.Place != nil {
				return
			}
		}
	}
}

// placeIn reads "app.json:4:5"; nil where a source is no place in a file.
func placeIn(source string) *api.Place {
	first, _, _ := strings.Cut(source, " ")
	parts := strings.Split(first, ":")
	if len(parts) < 2 {
		return nil
	}
	place := &api.Place{File: parts[0]}
	var err error
	if place.Line, err = strconv.Atoi(parts[1]); err != nil {
		return nil
	}
	if len(parts) > 2 {
		place.Column, _ = strconv.Atoi(parts[2]) // 0: not known
	}
	return place
}

// Secrets are the values that this project's pushes read from the environment and that
// nobody is to see. It tells of no mistake: whatever else is done with the project does.
func Secrets(o Options) (secrets []redact.Secret) {
	add := func(names []string) {
		for _, name := range names {
			if value, ok := o.Getenv(name); ok && value != "" {
				secrets = append(secrets, redact.Secret(value))
			}
		}
	}
	if o.Remote.Key != "" {
		secrets = append(secrets, o.Remote.Key)
	}
	o.Report = func(api.Event) {}
	blocks, err := Apps(o)
	if err != nil || o.App != "" || len(blocks) == 0 {
		blocks = []string{o.App}
	}
	var seen []string
	for _, block := range blocks {
		one := o
		one.App = block
		project, err := Load(one)
		if err != nil {
			continue
		}
		for _, name := range slices.Concat(project.App.Secrets, project.App.Build.Secrets) {
			if !slices.Contains(seen, name) {
				seen = append(seen, name)
			}
		}
	}
	add(seen)
	return secrets
}
