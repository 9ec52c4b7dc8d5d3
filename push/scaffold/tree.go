package scaffold

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/manifest"
)

const (
	maxFile  = 1 << 20 // bytes that are read of one file
	maxName  = 63      // of an app: one DNS label
	maxShown = 8       // names in one guess
)

// has says whether there is a regular file of this name.
func (l *look) has(name string) bool {
	info, err := fs.Stat(l.fsys, name)
	return err == nil && info.Mode().IsRegular()
}

func (l *look) hasFolder(name string) bool {
	info, err := fs.Stat(l.fsys, name)
	return err == nil && info.IsDir()
}

// read returns a file's text. A file that is not there, is none, or cannot be read says
// nothing.
func (l *look) read(name string) ([]byte, bool) {
	if !l.has(name) { // a pipe would hold us up for ever
		return nil, false
	}
	file, err := l.fsys.Open(name)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	return bytes.TrimPrefix(text, []byte("\ufeff")), err == nil
}

// readJSON reads what it can of a JSON file.
func (l *look) readJSON(name string, into any) bool {
	text, ok := l.read(name)
	return ok && json.Unmarshal(text, into) == nil
}

// appName makes a name that Dokku gives to a new app of one that a file has: the last
// part of a path, in lower case, with hyphens. Empty: nothing of it is left.
func appName(name string) string {
	name = path.Base(strings.TrimSpace(name))
	var fixed strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			fixed.WriteRune(c)
		case fixed.Len() > 0 && !strings.HasSuffix(fixed.String(), "-"):
			fixed.WriteByte('-')
		}
	}
	text := fixed.String()
	text = strings.Trim(text[:min(len(text), maxName)], "-")
	if text == "" {
		return ""
	}
	if manifest.AppName(text) != nil { // a word that the host keeps for itself
		text += "-app"
	}
	if manifest.AppName(text) != nil {
		return ""
	}
	return text
}

// plainForm is what may be quoted from a file: a name, a version or a path.
var plainForm = regexp.MustCompile(`^[A-Za-z0-9_@./-]{1,80}$`)

func isPlain(word string) bool { return plainForm.MatchString(word) }

// versionForm is a range of versions, as languages' files write it.
var versionForm = regexp.MustCompile(`^[0-9vx.*^~<>=|!, -]{1,40}$`)

func isVersion(text string) bool { return versionForm.MatchString(text) }

func plainKeys(m map[string]any) []string {
	var keys []string
	for key := range m {
		if isPlain(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// joined writes a few names, and how many more there are.
func joined(names []string) string {
	if len(names) > maxShown {
		return strings.Join(names[:maxShown], ", ") + " and more"
	}
	return strings.Join(names, ", ")
}
