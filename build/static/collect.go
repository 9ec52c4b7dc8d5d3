package static

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/dokku-push/dokku-push/api"
)

// ignoreFiles are looked for in the build context; the first that is there
// counts. None of them goes into an image.
var ignoreFiles = [...]string{".dokkuignore", ".dockerignore"}

// file is one entry of the layer to be.
type file struct {
	name string // relative to the folder, with slashes
	mode fs.FileMode
	link string // target of a symlink
	size int64  // bytes of a file
}

// collector walks a folder in byte order of its parts.
type collector struct {
	root   *os.Root // the folder of the files
	dir    string   // the folder relative to the context, which patterns start from
	ignore *patternmatcher.PatternMatcher
	unseen []string // by their path in the context, too
	files  []file
	added  map[string]bool
}

// collect lists what goes into the layer, or refuses the first entry that may
// not be in an image.
func collect(ctx context.Context, from source) ([]file, error) {
	ignore, err := readIgnore(from.context)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(from.context, from.dir))
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, "build", "open the folder of files: %w", err).
			WithHint("build { static { dir = \"...\" } } is relative to the build context")
	}
	defer func() { _ = root.Close() }()
	c := &collector{root: root, dir: from.dir, ignore: ignore, unseen: from.unseen, added: map[string]bool{}}
	if err := c.walk(ctx, ".", patternmatcher.MatchInfo{}); err != nil {
		return nil, err
	}
	return c.files, nil
}

func readIgnore(context string) (*patternmatcher.PatternMatcher, error) {
	for _, name := range ignoreFiles {
		f, err := os.Open(filepath.Join(context, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		patterns, err := ignorefile.ReadAll(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return nil, fmt.Errorf("read the patterns of %s: %w", name, err)
		}
		return matcher, nil
	}
	return patternmatcher.New(nil)
}

// walk visits a folder. parent is how the patterns met the folder itself.
func (c *collector) walk(ctx context.Context, folder string, parent patternmatcher.MatchInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(c.root.FS(), folder) // sorted by name
	if err != nil {
		return fmt.Errorf("read folder %s: %w", folder, err)
	}
	for _, entry := range entries {
		if entry.Name() == ".git" {
			continue
		}
		name := path.Join(folder, entry.Name())
		seen := path.Join(c.dir, name)
		if slices.Contains(c.unseen, seen) {
			continue
		}
		ignored, info, err := c.ignore.MatchesUsingParentResults(seen, parent)
		if err != nil {
			return fmt.Errorf("match %s with the ignore file: %w", name, err)
		}
		if !ignored && seen != ignoreFiles[0] && seen != ignoreFiles[1] {
			if err := c.add(name, entry); err != nil {
				return err
			}
		}
		// An ignored folder may hold what a later "!" pattern asks for.
		if entry.IsDir() && (!ignored || c.ignore.Exclusions()) {
			if err := c.walk(ctx, name, info); err != nil {
				return err
			}
		}
	}
	return nil
}

// add takes an entry, after folders above it that were ignored themselves.
func (c *collector) add(name string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if reason := c.refusal(name, info); reason != "" {
		return api.Errorf(api.BuildFailed, "build", "%q %s", name, reason).
			WithHint("remove it, or name it in %s", ignoreFiles[0])
	}
	f := file{name: name, mode: info.Mode()}
	if info.Mode().IsRegular() {
		f.size = info.Size()
	}
	if info.Mode().Type() == fs.ModeSymlink {
		if f.link, err = c.root.Readlink(name); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		f.link = filepath.ToSlash(f.link)
	}
	c.addParents(path.Dir(name))
	c.added[name] = true
	c.files = append(c.files, f)
	return nil
}

func (c *collector) addParents(folder string) {
	if folder == "." || c.added[folder] {
		return
	}
	c.addParents(path.Dir(folder))
	c.added[folder] = true
	c.files = append(c.files, file{name: folder, mode: fs.ModeDir})
}

// refusal says why an entry may not go into an image, or nothing.
func (c *collector) refusal(name string, info fs.FileInfo) string {
	base := path.Base(name)
	switch {
	case !utf8.ValidString(base) || strings.ContainsFunc(base, unicode.IsControl):
		return "has a name with control characters or invalid UTF-8"
	case strings.HasPrefix(base, ".wh."):
		return "has a name that deletes a file of the base image"
	}
	mode := info.Mode()
	switch mode.Type() {
	case fs.ModeDir:
		return ""
	case fs.ModeSymlink:
		return c.linkRefusal(name)
	case 0:
		if mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			return "has the setuid, setgid or sticky bit"
		}
		return ""
	case fs.ModeNamedPipe:
		return "is a named pipe"
	case fs.ModeSocket:
		return "is a socket"
	}
	return "is a device or something else that is no file"
}

// linkRefusal follows a symlink: one whose way leaves the folder would lead
// somewhere else in the image. A link to nothing, inside, is kept.
func (c *collector) linkRefusal(name string) string {
	target, err := c.root.Readlink(name)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	if filepath.IsAbs(target) {
		return fmt.Sprintf("is a symlink to the absolute path %q", target)
	}
	if way := path.Join(path.Dir(name), filepath.ToSlash(target)); !filepath.IsLocal(way) {
		return fmt.Sprintf("is a symlink to %q, outside of the folder", target)
	}
	if _, err := c.root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("is a symlink to %q, which leads outside of the folder or in a circle", target)
	}
	return ""
}

// inside joins a path onto a folder that it must not leave.
func inside(folder, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", api.Errorf(api.BuildFailed, "build", "%s is outside of the project", name).
			WithHint("write a path relative to the project, without ..")
	}
	return filepath.Join(folder, name), nil
}
