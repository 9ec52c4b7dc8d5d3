package imports

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"github.com/dokku-push/dokku-push/manifest"
)

// row is one setting as it stands in the file.
type row struct{ key, value string }

// file is dokku.hcl while it is written: settings first, blocks after them.
type file struct {
	settings []row
	blocks   strings.Builder
}

func (f *file) set(key, value string) { f.settings = append(f.settings, row{key, value}) }

// block writes a block, if there is anything in it.
func (f *file) block(title string, rows []row) {
	if len(rows) > 0 {
		fmt.Fprintf(&f.blocks, "\n%s {\n%s}\n", title, aligned("  ", rows))
	}
}

// aligned writes settings with their = below each other.
func aligned(indent string, rows []row) string {
	width := 0
	for _, r := range rows {
		width = max(width, len(r.key))
	}
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, "%s%-*s = %s\n", indent, width, r.key, strings.ReplaceAll(r.value, "\n", "\n"+indent))
	}
	return text.String()
}

// text is the whole file.
func (f *file) text(address string, stays []string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Written by dokku-push import, from %s.\n# `dokku-push check` says whether the file is sound, `dokku-push plan` what a push would change.\n\n", comment(address))
	text.WriteString(aligned("", f.settings))
	text.WriteString(f.blocks.String())
	if len(stays) > 0 {
		text.WriteString("\n# Also on the host. It stays there as it is, and a new host needs it again:\n")
		for _, sentence := range stays {
			fmt.Fprintf(&text, "#   %s\n", comment(sentence))
		}
	}
	return text.String()
}

// comment is a text that cannot end the comment it stands in.
func comment(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// quote writes a text as HCL reads it back.
func quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for n, r := range text {
		switch {
		case r == '"' || r == '\\':
			quoted.WriteRune('\\')
			quoted.WriteRune(r)
		case r == '\n':
			quoted.WriteString(`\n`)
		case r == '\r':
			quoted.WriteString(`\r`)
		case r == '\t':
			quoted.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(text[n+1:], "{"):
			quoted.WriteRune(r)
			quoted.WriteRune(r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&quoted, `\U%08x`, r)
		default:
			quoted.WriteRune(r)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// widest is how long a list may be on one line.
const widest = 100

// list writes a list of texts.
func list(texts []string) string {
	quoted := make([]string, len(texts))
	for n, text := range texts {
		quoted[n] = quote(text)
	}
	if line := "[" + strings.Join(quoted, ", ") + "]"; len(line) <= widest {
		return line
	}
	return "[\n  " + strings.Join(quoted, ",\n  ") + ",\n]"
}

// refused tells why dokku.hcl does not take a text; empty: it takes it.
func refused(text string) string {
	_, found := manifest.Load(document(text), manifest.Options{})
	for _, d := range found {
		if d.Severity == manifest.Mistake {
			return d.Message
		}
	}
	return ""
}

// document is a project that has a dokku.hcl and nothing else.
type document string

// Open is fs.FS.
func (d document) Open(name string) (fs.File, error) {
	if name != fileName {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &page{bytes.NewReader([]byte(d)), int64(len(d))}, nil
}

const fileName = "dokku.hcl"

// page is the open file, and says of itself what it is.
type page struct {
	*bytes.Reader
	size int64
}

func (p *page) Stat() (fs.FileInfo, error) { return pageInfo(p.size), nil }
func (p *page) Close() error               { return nil }

type pageInfo int64

func (pageInfo) Name() string       { return fileName }
func (i pageInfo) Size() int64      { return int64(i) }
func (pageInfo) Mode() fs.FileMode  { return 0o644 }
func (pageInfo) ModTime() time.Time { return time.Time{} }
func (pageInfo) IsDir() bool        { return false }
func (pageInfo) Sys() any           { return nil }
