package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

const maxLinks = 16 // symbolic links on the way to one file

// errOutside is what a path that leaves the project is refused with.
var errOutside = errors.New("the path leads out of the project; name a file inside it")

// resolve follows symbolic links of a path in the project, none of which may lead
// out of it. The error wraps fs.ErrNotExist where there is nothing.
func resolve(fsys fs.FS, name string) (string, error) {
	if problem, hint := insidePath(name); problem != "" {
		return "", errors.New("the path " + problem + "; " + hint)
	}
	done, links := ".", 0
	for pending := strings.Split(name, "/"); len(pending) > 0; {
		part := pending[0]
		pending = pending[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == ".." && done == ".":
			return "", errOutside
		case part == "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := fs.Lstat(fsys, next)
		if err != nil {
			return "", fmt.Errorf("find %s: %w", show(name), err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		target, err := fs.ReadLink(fsys, next)
		if err != nil {
			return "", fmt.Errorf("follow %s: %w", show(next), err)
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s goes over more than %d symbolic links", show(name), maxLinks)
		}
		if path.IsAbs(target) {
			return "", errOutside
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return done, nil
}

// insidePath says what is wrong with a path that is to stay in the project.
func insidePath(name string) (problem, hint string) {
	const relative = "write a path inside the project, with slashes, such as web/app"
	switch {
	case name == "":
		return "is empty", relative
	case strings.ContainsAny(name, "\x00\r\n\\") || !utf8.ValidString(name):
		return "holds a backslash or a control character", relative
	case path.IsAbs(name), len(name) > 1 && name[1] == ':':
		return "is absolute", relative
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "leads out of the project with ..", relative
		}
	}
	return "", ""
}

// readFile reads a file of the project, at most one byte over the limit.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	found, err := resolve(fsys, name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(fsys, found)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", show(name), err)
	}
	if !info.Mode().IsRegular() { // a pipe would hold us up for ever
		return nil, fmt.Errorf("%s is no file", show(name))
	}
	file, err := fsys.Open(found)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", show(name), err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", show(name), err)
	}
	return text, nil
}

// readText is the function file("p").
func readText(fsys fs.FS, name string) (string, error) {
	text, err := readFile(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no %s in the project; paths are relative to its folder", show(name))
	case err != nil:
		return "", err
	case len(text) > maxFile:
		return "", fmt.Errorf("%s is larger than %d KiB", show(name), maxFile>>10)
	case !utf8.Valid(text) || strings.IndexByte(string(text), 0) >= 0:
		return "", fmt.Errorf("%s is not UTF-8 text", show(name))
	}
	return string(text), nil
}
