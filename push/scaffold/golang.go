package scaffold

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxWalk is how many entries of a tree are looked at for Go programs.
const maxWalk = 5000

// moduleForm is the line of go.mod that names the module.
var (
	moduleForm  = regexp.MustCompile(`(?m)^module[ \t]+"?([^\s"]+)"?`)
	goForm      = regexp.MustCompile(`(?m)^go[ \t]+([0-9.]+)`)
	versionPath = regexp.MustCompile(`/v[0-9]+$`)
)

func (l *look) golang() {
	text, ok := l.read("go.mod")
	if !ok {
		return
	}
	l.language = true
	module := ""
	if found := moduleForm.FindSubmatch(text); found != nil {
		module = appName(versionPath.ReplaceAllString(string(found[1]), ""))
		l.candidate(module, "module in go.mod")
	}
	if found := goForm.FindSubmatch(text); found != nil {
		l.guess("runtime", "go "+string(found[1]), "go.mod")
	}
	programs := l.goPrograms()
	if len(programs) == 0 {
		return
	}
	l.guess("programs", joined(programs), "package main")
	for _, program := range programs[:min(len(programs), 3)] {
		name, kind := path.Base(program), "web"
		if program == "." {
			name = module
		} else if len(programs) > 1 {
			kind = appName(name)
		}
		if name != "" && kind != "" {
			l.web = append(l.web, suggestion{kind + ": ./" + name, "package main in " + program})
		}
	}
}

// goPrograms returns the folders that hold a package main, in byte order.
func (l *look) goPrograms() []string {
	var found []string
	seen := 0
	_ = fs.WalkDir(l.fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if seen++; err != nil || seen > maxWalk {
			return fs.SkipAll
		}
		base := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
			if name != "." && (hidden || slices.Contains([]string{"vendor", "testdata", "node_modules"}, base) || strings.Count(name, "/") > 3) {
				return fs.SkipDir
			}
			return nil
		}
		folder := path.Dir(name)
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") || slices.Contains(found, folder) || !isPlain(folder) {
			return nil
		}
		if text, ok := l.read(name); ok && isMain(text) {
			found = append(found, folder)
		}
		return nil
	})
	slices.Sort(found)
	return found
}

func isMain(text []byte) bool {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly)
	return err == nil && file.Name.Name == "main" && !strings.Contains(string(text), "//go:build ignore")
}
