package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/dokku-push/dokku-push/manifest"
)

// DiagnosticsGitHub writes diagnostics as workflow commands, which GitHub shows beside
// the lines they speak of. dir is the project's folder and workspace the repository's
// (GITHUB_WORKSPACE), both absolute: annotations name files relative to the latter.
func DiagnosticsGitHub(out io.Writer, found manifest.Diagnostics, dir, workspace string) error {
	var text strings.Builder
	for _, d := range found {
		kind, title := severity(d.Severity), "dokku-push: mistake"
		if d.Severity == manifest.Advice {
			title = "dokku-push: advice"
		}
		place, message := "", Legible(d.Message)
		if outside(d.File) { // its message goes on where the name ends
			message = Legible(d.File) + ": " + message
		} else {
			place = "file=" + property(Legible(fileIn(workspace, dir, d.File))) + ","
		}
		if d.Line > 0 {
			place += fmt.Sprintf("line=%d,col=%d,", d.Line, max(d.Column, 1))
		}
		if d.Hint != "" {
			message += "\n" + Legible(d.Hint)
		}
		fmt.Fprintf(&text, "::%s %stitle=%s::%s\n", kind, place, property(title), data(message))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// outside tells that a mistake stands in no file: manifest.Given names a flag, a variable or
// an input of the job where other diagnostics name their file.
func outside(name string) bool {
	return strings.HasPrefix(name, "--") || strings.HasPrefix(name, "$") || strings.HasPrefix(name, "the input ")
}

// fileIn names a project's file relative to the workspace, if it is in there.
func fileIn(workspace, dir, file string) string {
	if workspace == "" {
		return filepath.ToSlash(file)
	}
	path := filepath.Join(dir, filepath.FromSlash(file))
	if relative, err := filepath.Rel(workspace, path); err == nil && filepath.IsLocal(relative) {
		path = relative
	}
	return filepath.ToSlash(path)
}

// data escapes what stands behind the second pair of colons.
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// property escapes what stands before it.
func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}
