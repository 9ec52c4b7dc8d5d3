package archive

import (
	"archive/tar"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// name is an entry's name within the folder, without the top folder where that is taken
// off; ".": the folder itself; empty: the entry is left out.
func (u *unpacker) name(name string) (string, error) {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "" || clean == "." {
		return ".", nil
	}
	dropped := false
	bad := len(clean) > 1024 || !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(c rune) bool { return unicode.IsControl(c) || c == '\\' || c == '`' }) ||
		strings.Contains(clean, "$(") || len(clean) > 1 && clean[1] == ':' && unicode.IsLetter(rune(clean[0]))
	parts := strings.Split(clean, "/")
	for _, part := range parts {
		bad = bad || part == "" || part == "." || part == ".." || len(part) > 255
		if strings.EqualFold(part, ".git") {
			dropped = true
		}
	}
	if bad || len(parts) > mostDepth || dropped && !u.DropGit {
		return "", u.refuse(name, "no name of a %s's file", u.What)
	}
	if dropped {
		return "", nil
	}
	if !u.OneFolder {
		return clean, nil
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

// once refuses a name that was there, be it in other letters, or that leads through a link
// or a file, and too many names.
func (u *unpacker) once(header *tar.Header, name string) error {
	folded := strings.ToLower(name)
	if former, there := u.seen[folded]; there && (former != name || header.Typeflag != tar.TypeDir || u.files[name] || u.links[name]) {
		return u.refuse(header.Name, "it is there twice")
	}
	u.seen[folded] = name
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if u.links[dir] || u.files[dir] {
			return u.refuse(header.Name, "it leads through a link or a file")
		}
		folded := strings.ToLower(dir)
		if former, there := u.seen[folded]; there && former != dir {
			return u.refuse(header.Name, "it is there twice, as %q", former)
		}
		u.seen[folded] = dir
	}
	if len(u.seen) > u.MostFiles {
		return u.refuse("", "there are more than %d files", u.MostFiles)
	}
	return nil
}
