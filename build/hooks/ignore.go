package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/dokku-push/dokku-push/build"
)

// selection is what of a project is copied: what its builder would look at. A plugin that
// changes nothing must change nothing in the image, so that an entry is left out only
// where the builder leaves it out too.
type selection struct {
	context string // where the ignore file's patterns start from, relative to the project
	ignore  *patternmatcher.PatternMatcher
	noGit   bool            // the builder never looks at .git
	kept    map[string]bool // whatever an ignore file says
	self    string          // the place of the copy itself, absolute
	root    string          // the project
	met     map[string]patternmatcher.MatchInfo
	left    bool // the ignore file kept something out
}

// selectFiles makes the selection for the builder that the project has as it is. read
// opens what belongs to the manifest.
func selectFiles(o Options, builder, self string) (*selection, error) {
	s := &selection{context: path.Join(".", o.App.Build.Context), kept: map[string]bool{}, self: self, root: o.Dir, met: map[string]patternmatcher.MatchInfo{}}
	var files []string
	switch builder {
	case "dockerfile":
		file := build.Dockerfile(o.App)
		files = []string{file + ".dockerignore", path.Join(s.context, ".dockerignore")}
		s.kept[file] = true
	case "static":
		files = []string{path.Join(s.context, ".dokkuignore"), path.Join(s.context, ".dockerignore")}
		if base := path.Clean(o.App.Build.Static.Base); fs.ValidPath(base) {
			s.kept[base] = true
		}
	}
	s.noGit = builder == "static" || builder == "pack" || builder == "image"
	for _, file := range files {
		s.kept[file] = true
	}
	seen := &witness{FS: os.DirFS(o.Dir), opened: s.kept}
	_, _ = o.Read(seen) // its mistakes are no news: the manifest was read before
	var err error
	s.ignore, err = firstIgnore(o.Dir, files)
	return s, err
}

// firstIgnore reads the first of the files that is there.
func firstIgnore(dir string, files []string) (*patternmatcher.PatternMatcher, error) {
	for _, name := range files {
		file, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		patterns, err := ignorefile.ReadAll(file)
		_ = file.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return nil, fmt.Errorf("read the patterns of %s: %w", name, err)
		}
		return matcher, nil
	}
	return nil, nil
}

// choose says what becomes of an entry.
func (s *selection) choose(name string, entry fs.DirEntry) (choice, error) {
	if filepath.Join(s.root, name) == s.self || s.noGit && entry.Name() == ".git" {
		return choice{leave: true}, nil
	}
	below, inside := name, true
	if s.context != "." {
		below, inside = strings.CutPrefix(name, s.context+"/")
	}
	if s.ignore == nil || !inside {
		return choice{}, nil
	}
	ignored, info, err := s.ignore.MatchesUsingParentResults(below, s.met[path.Dir(below)])
	if err != nil {
		return choice{}, fmt.Errorf("match %s with the ignore file: %w", name, err)
	}
	if entry.IsDir() {
		s.met[below] = info
	}
	if !ignored || s.keeps(name) {
		return choice{}, nil
	}
	s.left = true
	return choice{leave: true, descend: s.ignore.Exclusions() || s.holds(name)}, nil
}

// keeps tells that an entry, or a folder that it is in, is kept whatever the ignore file
// says.
func (s *selection) keeps(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if s.kept[name] {
			return true
		}
	}
	return false
}

// holds tells that something is kept below a folder.
func (s *selection) holds(folder string) bool {
	for name := range s.kept {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return false
}

// witness notes which files are opened.
type witness struct {
	fs.FS
	mu     sync.Mutex
	opened map[string]bool
}

// Open opens a file, and notes one that is there.
func (w *witness) Open(name string) (fs.File, error) {
	file, err := w.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && !info.IsDir() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.opened[path.Clean(name)] = true
	}
	return file, nil
}
