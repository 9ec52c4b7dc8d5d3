// Package archive lays archives out in a folder that they cannot leave: tar, tar.gz and zip,
// of plugins and of apps. An archive is never trusted: it is files, folders and links that
// stay inside, each once and within limits, or it is refused as a whole. What was laid out
// before that is the caller's to remove.
package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// Kind is how an archive is packed.
type Kind string

// The kinds of archive.
const (
	Tar   Kind = "tar"
	TarGz Kind = "tar.gz"
	Zip   Kind = "zip"
)

// Rules are what an archive may hold.
type Rules struct {
	Op    string // what is being done, for errors
	Shown string // the archive, for errors
	What  string // whose files they are: "plugin"
	// OneFolder asks that everything is in one folder, which is taken off.
	OneFolder bool
	// DropGit leaves out what is below a folder .git, which is refused otherwise.
	DropGit bool
	// HardLinks takes those that name a file which is laid out already.
	HardLinks bool

	MostCompressed, MostBytes int64
	MostFiles                 int
}

// How much more than its own bytes a compressed archive may be, once it is large, and how
// many folders may stand within each other.
const (
	mostRatio = 200
	ratioFrom = 64 << 20
	mostDepth = 64
)

// unpacker lays one archive out.
type unpacker struct {
	Rules
	root  *os.Root
	top   string            // the one folder that everything is in
	seen  map[string]string // the names as they were, by their names in lower case
	files map[string]bool   // regular ones
	links map[string]bool
	bytes int64
	read  func() int64 // bytes of the compressed archive so far; nil: it is not compressed
}

// Unpack lays an archive out in dir, which must be there and empty. The error of an archive
// that is refused is api.Refused and names the entry.
func Unpack(from io.Reader, kind Kind, dir string, rules Rules) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", rules.Op, err)
	}
	defer root.Close()
	u := &unpacker{Rules: rules, root: root, seen: map[string]string{}, files: map[string]bool{}, links: map[string]bool{}}
	limited := &io.LimitedReader{R: from, N: rules.MostCompressed + 1}
	switch kind {
	case TarGz:
		u.read = func() int64 { return rules.MostCompressed + 1 - limited.N }
		err = u.gzipped(limited)
	case Zip:
		err = u.zipped(limited)
	default:
		err = u.tarred(limited)
	}
	if limited.N <= 0 {
		return u.refuse("", "it is larger than %d MiB", rules.MostCompressed>>20)
	}
	return err
}

func (u *unpacker) refuse(entry, format string, args ...any) error {
	place := u.Shown
	if entry != "" {
		place += fmt.Sprintf(": %.200q", entry)
	}
	return api.Errorf(api.Refused, u.Op, "%s: %s", place, fmt.Sprintf(format, args...))
}

// entry lays one entry out. What it says of itself is tar's words, whatever the archive is.
func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	name, err := u.name(header.Name)
	if err != nil || name == "" {
		return err
	}
	mode := fs.FileMode(header.Mode).Perm()
	if header.Typeflag != tar.TypeSymlink && (header.Mode&0o7000 != 0 || mode&0o002 != 0) {
		return u.refuse(header.Name, "its mode is %o: nobody but its owner and group may write it, and it has no other rights", header.Mode)
	}
	if name == "." { // the top folder itself
		if header.Typeflag != tar.TypeDir {
			return u.refuse(header.Name, "everything must be in one folder")
		}
		u.seen["."] = "."
		return nil
	}
	if err := u.once(header, name); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		err = u.root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		return u.file(content, header, name, mode&^0o022|0o600)
	case tar.TypeSymlink:
		if !StaysInside(name, header.Linkname) {
			return u.refuse(header.Name, "a link that leads out of the %s", u.What)
		}
		u.links[name] = true
		if err = u.root.MkdirAll(path.Dir(name), 0o755); err == nil {
			err = u.root.Symlink(header.Linkname, name)
		}
	case tar.TypeLink:
		return u.hardLink(header, name)
	default:
		return u.refuse(header.Name, "it is no file, folder or link")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	return nil
}

// hardLink gives a file that is there one more name.
func (u *unpacker) hardLink(header *tar.Header, name string) error {
	if !u.HardLinks {
		return u.refuse(header.Name, "it is no file, folder or link")
	}
	target, err := u.name(header.Linkname)
	if err != nil || !u.files[target] {
		return u.refuse(header.Name, "a hard link to what is not in the archive before it")
	}
	if err = u.root.MkdirAll(path.Dir(name), 0o755); err == nil {
		err = u.root.Link(target, name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	u.files[name] = true
	return nil
}

func (u *unpacker) file(content io.Reader, header *tar.Header, name string, mode fs.FileMode) error {
	u.bytes += header.Size
	if header.Size < 0 || u.bytes < 0 || u.bytes > u.MostBytes {
		return u.refuse(header.Name, "there are more than %d MiB", u.MostBytes>>20)
	}
	err := u.root.MkdirAll(path.Dir(name), 0o755)
	if err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	file, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	n, copied := io.Copy(file, io.LimitReader(content, header.Size+1))
	if copied == nil && n != header.Size {
		copied = errors.New("its size is not what it says")
	}
	if err := errors.Join(file.Chmod(mode), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	if copied != nil {
		return u.refuse(header.Name, "it is broken: %v", copied)
	}
	u.files[name] = true
	if u.read != nil && u.bytes > ratioFrom && u.bytes > mostRatio*u.read() {
		return u.refuse(header.Name, "it becomes more than %d times as large when it is unpacked", mostRatio)
	}
	return nil
}

// StaysInside tells whether a link at a place within a folder leads to another within it,
// whatever other links do: it may go up only at its beginning, for what is above a link's
// target is not what its name says.
func StaysInside(at, target string) bool {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\\x00") {
		return false
	}
	rest := target
	for up := true; up; {
		if rest, up = strings.CutPrefix(rest, "../"); !up {
			rest, up = strings.CutPrefix(rest, "./")
		}
	}
	for n, part := range strings.Split(rest, "/") {
		if part == ".." && (n > 0 || rest != "..") {
			return false
		}
	}
	to := path.Join(path.Dir(at), target)
	first, _, _ := strings.Cut(to, "/")
	return to != ".." && !strings.HasPrefix(to, "../") && !strings.EqualFold(first, ".git")
}
