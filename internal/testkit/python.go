package testkit

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Python is the name of an image of Debian with Python, made from Debian's
// packages by mmdebstrap: half a minute the first time, then from the cached tar.
func Python(t testing.TB) string {
	t.Helper()
	return python(t).load(t)
}

func python(t testing.TB) base {
	t.Helper()
	release, err := os.ReadFile("/etc/os-release")
	must(t, "read the machine's release", err)
	suite := "stable"
	for line := range strings.Lines(string(release)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			suite = strings.Trim(value, `"`)
		}
	}
	// Nothing that a running program reads: the image is a third smaller without it.
	args := []string{"--quiet", "--variant=minbase", "--include=python3", "--format=tar",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/zoneinfo/*",
		suite, "-"}
	return base{
		name:   "python",
		recipe: recipe(args...),
		env:    []string{"LANG=C.UTF-8", "PYTHONUNBUFFERED=1"},
		write: func(t testing.TB, out io.Writer) error {
			var said strings.Builder
			debian := exec.Command("mmdebstrap", args...)
			debian.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=0")
			debian.Stdout, debian.Stderr = out, &said
			if err := debian.Run(); err != nil {
				return fmt.Errorf("mmdebstrap: %w\n%s", err, said.String())
			}
			return nil
		},
	}
}
