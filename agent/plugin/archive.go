package plugin

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/api"
)

// mostCompressed is the largest archive, in bytes.
const mostCompressed = 128 << 20

// unpacker lays an archive out below a folder that it cannot leave.
type unpacker struct {
	op, shown string
	root      *os.Root
	top       string          // the one folder that everything is in
	seen      map[string]bool // by their names in lower case
	links     map[string]bool
	bytes     int64
}

// unpack lays a .tar.gz out as dir, which must be there and empty; its one top folder is
// taken off. An archive is never trusted: it is files, folders and links that stay inside,
// each once, or it is refused. The error of an archive that is refused names the entry.
func unpack(op string, from io.Reader, shown, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer root.Close()
	u := &unpacker{op: op, shown: shown, root: root, seen: map[string]bool{}, links: map[string]bool{}}
	compressed := &io.LimitedReader{R: from, N: mostCompressed + 1}
	expanded, err := gzip.NewReader(compressed)
	if err != nil {
		return u.refuse("", "this is no .tar.gz: %v", err)
	}
	err = u.entries(tar.NewReader(expanded))
	if err == nil {
		err = u.end(expanded)
	}
	if compressed.N <= 0 {
		return u.refuse("", "it is larger than %d MiB", mostCompressed>>20)
	}
	return err
}

func (u *unpacker) refuse(entry, format string, args ...any) error {
	place := u.shown
	if entry != "" {
		place += fmt.Sprintf(": %.200q", entry)
	}
	return api.Errorf(api.Refused, u.op, "%s: %s", place, fmt.Sprintf(format, args...))
}

func (u *unpacker) entries(archive *tar.Reader) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if len(u.seen) == 0 {
				return u.refuse("", "there is nothing in it")
			}
			return nil
		}
		if err != nil {
			return u.refuse("", "it is broken: %v", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue // git's, with the commit
		}
		if err := u.entry(archive, header); err != nil {
			return err
		}
	}
}

// end refuses what stands behind an archive's end: another one, or anything.
func (u *unpacker) end(rest io.Reader) error {
	buffer := make([]byte, 32<<10)
	for most := 4 << 20; most > 0; {
		n, err := rest.Read(buffer)
		for _, one := range buffer[:n] {
			if one != 0 {
				return u.refuse("", "something stands behind its end")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return u.refuse("", "it is broken: %v", err)
		}
		most -= n
	}
	return u.refuse("", "something stands behind its end")
}

func (u *unpacker) entry(archive *tar.Reader, header *tar.Header) error {
	name, err := u.name(header.Name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(header.Mode).Perm()
	if header.Typeflag != tar.TypeSymlink && (header.Mode&0o7000 != 0 || mode&0o002 != 0) {
		return u.refuse(header.Name, "its mode is %o", header.Mode)
	}
	if name == "." { // the top folder itself
		if header.Typeflag != tar.TypeDir {
			return u.refuse(header.Name, "everything must be in one folder")
		}
		u.seen["."] = true
		return nil
	}
	if err := u.once(header, name); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		err = u.root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		return u.file(archive, header, name, mode&^0o022|0o600)
	case tar.TypeSymlink:
		if !staysInside(name, header.Linkname) {
			return u.refuse(header.Name, "a link that leads out of the plugin")
		}
		u.links[name] = true
		if err = u.root.MkdirAll(path.Dir(name), 0o755); err == nil {
			err = u.root.Symlink(header.Linkname, name)
		}
	default:
		return u.refuse(header.Name, "it is no file, folder or link")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.op, err)
	}
	return nil
}

// name takes the top folder off an entry's name, or refuses it.
func (u *unpacker) name(name string) (string, error) {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "" || clean == "." {
		return ".", nil
	}
	bad := !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(c rune) bool { return unicode.IsControl(c) || c == '\\' })
	for part := range strings.SplitSeq(clean, "/") {
		bad = bad || part == "" || part == "." || part == ".." || len(part) > 255 || strings.EqualFold(part, ".git")
	}
	if bad || len(clean) > 1024 {
		return "", u.refuse(name, "no name of a plugin's file")
	}
	top, rest, _ := strings.Cut(clean, "/")
	if u.top == "" {
		u.top = top
	}
	if top != u.top {
		return "", u.refuse(name, "everything must be in one folder, and %s is another", u.top)
	}
	if rest == "" {
		rest = "."
	}
	return rest, nil
}

// once refuses a name that was there, or that leads through a link, and too many names.
func (u *unpacker) once(header *tar.Header, name string) error {
	folded := strings.ToLower(name)
	if u.seen[folded] && header.Typeflag != tar.TypeDir || u.links[name] {
		return u.refuse(header.Name, "it is there twice")
	}
	u.seen[folded] = true
	if len(u.seen) > mostFiles {
		return u.refuse("", "there are more than %d files", mostFiles)
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if u.links[dir] {
			return u.refuse(header.Name, "it leads through a link")
		}
	}
	return nil
}

func (u *unpacker) file(archive *tar.Reader, header *tar.Header, name string, mode fs.FileMode) error {
	u.bytes += header.Size
	if header.Size < 0 || u.bytes > mostBytes {
		return u.refuse(header.Name, "there are more than %d MiB", mostBytes>>20)
	}
	err := u.root.MkdirAll(path.Dir(name), 0o755)
	if err != nil {
		return fmt.Errorf("%s: %w", u.op, err)
	}
	file, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("%s: %w", u.op, err)
	}
	_, copied := io.Copy(file, archive)
	if err := errors.Join(file.Chmod(mode), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", u.op, err)
	}
	if copied != nil {
		return u.refuse(header.Name, "it is broken: %v", copied)
	}
	return nil
}
