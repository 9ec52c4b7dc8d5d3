package manifest

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
)

// readHCL reads dokku.hcl, or its twin dokku.hcl.json.
func (l *loader) readHCL(o Options) {
	text, name := l.openHCL(o)
	if text == nil {
		if _, must := o.environment(); must && l.hcl == nil {
			l.hcl = newSource(manifestName, nil)
			l.hcl.whole(Mistake, "there is no environment "+show(o.Environment)+": there is no such file", "write environment \""+o.Environment+"\" { … } into it, or name none")
		}
		return
	}
	r := newHCLReader(name, text, l.fsys, o.Getenv)
	l.hcl = r.source
	root, ok := r.parse()
	if !ok {
		return
	}
	table := rootBlock()
	r.sink = l.take(byFile, "")
	r.block(&table, root, scope{})
	parts := r.apart
	l.chooseApp(parts, o.App)
	environment, must := o.environment()
	names := l.environments(r, &table, parts, environment, byEnvironment, "")
	for _, part := range parts {
		switch part.block {
		case "app":
			names = append(names, l.appPart(r, table.block("app"), part, environment)...)
		case "server":
			r.sink, r.lenient = func(finding) {}, true
			r.block(table.block("server"), part.node, scope{where: "server.", label: part.labels[0]})
		}
	}
	l.nameBlock(&table)
	if must && !slices.Contains(names, o.Environment) {
		slices.Sort(names)
		names = slices.Compact(names)
		hint := "this file has none: write environment \"" + o.Environment + "\" { … }"
		if len(names) > 0 {
			hint = didYouMean(o.Environment, names)
		}
		l.hcl.whole(Mistake, "there is no environment "+show(o.Environment), hint)
	}
}

// take makes candidates of what the file says.
func (l *loader) take(rank rank, where string) func(finding) {
	return func(f finding) {
		l.said.add(candidate{finding: f, rank: rank, source: origin{in: l.hcl, at: f.at, more: where}})
	}
}

// exists says whether the file says something of a key outside environments.
func (l *loader) exists(key string) bool { return len(l.said.candidates[key]) > 0 }

// openHCL returns the text of dokku.hcl or its twin; nil: there is none, or it was
// refused and l.hcl says why.
func (l *loader) openHCL(o Options) (text []byte, name string) {
	name = path.Clean(filepath.ToSlash(o.File))
	if o.File == "" {
		name = manifestName
		_, plain := fs.Lstat(l.fsys, manifestName)
		_, twin := fs.Lstat(l.fsys, twinName)
		switch {
		case plain == nil && twin == nil:
			l.hcl = newSource(twinName, nil)
			l.hcl.whole(Mistake, "there is a "+manifestName+", too", "keep one of the two, or name one with --manifest")
			return nil, name
		case errors.Is(plain, fs.ErrNotExist) && twin == nil:
			name = twinName
		}
	}
	// A link would let the description of an app come from elsewhere unseen.
	if info, err := fs.Lstat(l.fsys, name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		l.hcl = newSource(name, nil)
		l.hcl.whole(Mistake, "it is a symbolic link", "name the file that it leads to with --manifest, or copy it")
		return nil, name
	}
	text, s, ok := l.open(name)
	switch {
	case ok && text == nil:
		text = []byte{}
	case ok:
	case s == nil && o.File != "":
		l.hcl = newSource(name, nil)
		l.hcl.whole(Mistake, "there is no such file in the project", "name it relative to the project's folder")
	default:
		l.hcl = s
	}
	return text, name
}

// LoadServers reads the server blocks of dokku.hcl or its twin: the hosts that
// host apply makes. The rest of the file is looked at, too, but variables of the
// environment that are not set matter only in server blocks. After a mistake there is
// no Server.
func LoadServers(fsys fs.FS, o Options) ([]Server, Diagnostics) {
	l := loader{fsys: fsys, app: &App{}}
	text, name := l.openHCL(o)
	if text == nil {
		if l.hcl == nil {
			l.hcl = newSource(manifestName, nil)
			l.hcl.whole(Mistake, "there is no such file in the project", "write server \"NAME\" { … } into it")
		}
		return nil, l.hcl.result()
	}
	r := newHCLReader(name, text, fsys, o.Getenv)
	root, ok := r.parse()
	if !ok {
		return nil, r.result()
	}
	table := rootBlock()
	r.sink, r.lenient = func(finding) {}, true
	r.block(&table, root, scope{})
	var servers []Server
	for _, part := range r.apart {
		within := scope{where: part.block + ".", label: part.labels[0]}
		r.sink, r.lenient = func(finding) {}, part.block != "server"
		if part.block == "server" {
			server := Server{Name: part.labels[0]}
			d := &draft{server: &server}
			r.sink = func(f finding) { f.attribute.set(d, f.name, f.value) }
			r.block(table.block(part.block), part.node, within)
			servers = append(servers, server)
			continue
		}
		within.exists = func(string) bool { return true }
		r.block(table.block(part.block), part.node, within)
	}
	if r.failed() {
		return nil, r.result()
	}
	return servers, r.result()
}
