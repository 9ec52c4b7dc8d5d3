package manifest

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Apps lists the app blocks of dokku.hcl or its twin, in the file's order. There are none
// where the file describes one app, or cannot be read: then Load says what is wrong.
func Apps(fsys fs.FS, o Options) []string {
	l := loader{fsys: fsys, app: &App{}}
	text, name := l.openHCL(o)
	if text == nil {
		return nil
	}
	r := newHCLReader(name, text, fsys, o.Getenv)
	root, ok := r.parse()
	if !ok {
		return nil
	}
	table := rootBlock()
	r.sink, r.lenient = func(finding) {}, true
	r.block(&table, root, scope{})
	return appLabels(r.apart)
}

func appLabels(parts []part) []string {
	var labels []string
	for _, part := range parts {
		if part.block == "app" {
			labels = append(labels, part.labels[0])
		}
	}
	return labels
}

// chooseApp decides which app block counts, if there are some.
func (l *loader) chooseApp(parts []part, asked string) {
	labels := appLabels(parts)
	switch {
	case len(labels) == 0:
	case asked == "" && len(labels) == 1:
		l.app.Block = labels[0]
	case asked == "":
		l.hcl.whole(Mistake, "it describes several apps: "+strings.Join(labels, ", "), "name one with --app")
	case slices.Contains(labels, asked):
		l.app.Block = asked
	default:
		l.hcl.whole(Mistake, "there is no app "+show(asked), didYouMean(asked, labels))
	}
}

// environments reads the environment blocks of one place. It returns their names.
func (l *loader) environments(r *hclReader, table *block, parts []part, asked string, rank rank, of string) []string {
	var names []string
	for _, part := range parts {
		if part.block != "environment" {
			continue
		}
		label := part.labels[0]
		names = append(names, label)
		r.sink, r.lenient = func(finding) {}, true
		if label == asked && rank >= 0 {
			r.sink, r.lenient = l.take(rank, strings.TrimSpace(of+" environment "+label)), false
		}
		r.block(table.block("environment"), part.node, scope{where: "environment.", label: label, exists: l.exists})
	}
	return names
}

// appPart reads one app block, and lets it count if it is the one that was asked for. It
// returns the names of the environments in it.
func (l *loader) appPart(r *hclReader, table *block, p part, environment string) []string {
	label := p.labels[0]
	chosen := label == l.app.Block
	r.apart, r.sink, r.lenient = nil, func(finding) {}, true
	if chosen {
		r.sink, r.lenient = l.take(byApp, "app "+label), false
	}
	r.block(table, p.node, scope{where: "app.", label: label, exists: l.exists})
	if !chosen {
		return l.environments(r, table, r.apart, environment, none, "")
	}
	return l.environments(r, table, r.apart, environment, byAppEnvironment, "app "+label)
}

// none is the rank of what does not count.
const none rank = -1

// nameBlock takes the block's label for the app's name where the block says no other. A
// name outside of the blocks would be the name of every app.
func (l *loader) nameBlock(table *block) {
	if l.app.Block == "" {
		return
	}
	for _, c := range l.said.candidates["app"] {
		if c.rank == byFile || c.rank == byEnvironment {
			l.hcl.mistake(c.at, "app names one app, and the file has app blocks", "take it out; a block's label is its app's name, or app within the block")
		}
	}
	at := l.hcl.places["app."+l.app.Block]
	l.take(byApp, "app "+l.app.Block)(finding{key: "app", attribute: table.attribute("app"), value: value{text: l.app.Block}, shown: l.app.Block, at: at})
}

// besides leaves out which app is meant, where that only chooses a block.
func (l *loader) besides(given map[string]Given) map[string]Given {
	if _, said := given["app"]; !said || l.app.Block == "" {
		return given
	}
	rest := maps.Clone(given)
	delete(rest, "app")
	return rest
}

// findFolder decides where the app's own files are: in build { dir }. An app of several has
// them in its context where nothing else is said.
func (l *loader) findFolder() {
	for _, key := range []string{"build.dir", "build.context"} {
		list, ok := l.said.ranked(key)
		if !ok || key == "build.context" && l.app.Block == "" {
			continue
		}
		c := list[0]
		if l.app.Folder = path.Clean(c.value.text); l.app.Folder == "." {
			l.app.Folder = ""
		}
		if err := l.isFolder(c.value.text); err != nil && c.source.in != nil {
			problem, hint, _ := strings.Cut(err.Error(), "; ")
			c.source.in.mistake(c.at, strings.TrimPrefix(key, "build.")+": "+problem, hint)
		}
		return
	}
}

// isFolder says why a path of the project is no folder inside it.
func (l *loader) isFolder(name string) error {
	found, err := resolve(l.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no folder " + show(name) + "; write it relative to the project's folder")
	}
	if err != nil {
		return err
	}
	info, err := fs.Stat(l.fsys, found)
	if err == nil && !info.IsDir() {
		return errors.New(show(name) + " is no folder; write the folder that it is in")
	}
	return err
}

// inFolder is the path of one of the app's own files.
func (l *loader) inFolder(name string) string { return path.Join(l.app.Folder, name) }

// dockerfile is where the builder of that name would look.
func (l *loader) dockerfile() string {
	said := l.app.Build
	switch {
	case said.Dockerfile.Path != "":
		return path.Join(said.Context, said.Dockerfile.Path)
	case said.Dir != "":
		return path.Join(said.Dir, "Dockerfile")
	}
	return path.Join(said.Context, "Dockerfile")
}
