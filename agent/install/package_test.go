package install

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnit: the unit's text is a file, for the package; it names what this one does.
func TestUnit(t *testing.T) {
	for _, want := range []string{"\nExecStart=" + Program + " watch\n", "\nUser=" + User + "\n", "\nGroup=" + User + "\n",
		"\nEnvironment=DOKKU_ROOT=" + Places().Root + " DOKKU_LIB_ROOT=" + Places().Lib + "\n"} {
		if !strings.Contains(unitText, want) {
			t.Errorf("there is no %q in\n%s", want, unitText)
		}
	}
}

// packed is what scripts/deb.sh makes of a program.
func packed(t *testing.T, version, arch string) (path string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	must(t, os.WriteFile(program, []byte("the agent\n"), 0o700))
	path = filepath.Join(dir, "dokku-agent.deb")
	make := exec.CommandContext(t.Context(), "scripts/deb.sh", version, arch, program, path)
	make.Dir, make.Env = filepath.Join("..", ".."), append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func dpkg(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestPackage: the Debian package has the program, the unit that install writes, and
// scripts that know where a host's configuration is.
func TestPackage(t *testing.T) {
	path := packed(t, "v1.2.3", "arm64")
	if got := strings.TrimSpace(dpkg(t, "dpkg-deb", "--field", path, "Package", "Version", "Architecture")); got != "Package: dokku-agent\nVersion: 1.2.3\nArchitecture: arm64" {
		t.Errorf("it is\n%s", got)
	}
	var files []string
	for line := range strings.Lines(dpkg(t, "dpkg-deb", "--contents", path)) {
		if fields := strings.Fields(line); !strings.HasSuffix(fields[5], "/") {
			files = append(files, fields[0]+" "+fields[1]+" "+fields[3]+" "+fields[5])
		}
	}
	want := []string{
		"-rwxr-xr-x root/root 2023-11-14 ./usr/bin/dokku-agent",
		"-rw-r--r-- root/root 2023-11-14 ./usr/lib/systemd/system/dokku-agent.service",
		"-rw-r--r-- root/root 2023-11-14 ./usr/share/doc/dokku-agent/copyright",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("its files (-want +got):\n%s", diff)
	}
	dir := t.TempDir()
	dpkg(t, "dpkg-deb", "--raw-extract", path, dir)
	for file, want := range map[string]string{"usr/bin/dokku-agent": "the agent\n", "usr/lib/systemd/system/dokku-agent.service": unitText} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s (%v):\n%s", file, err, got)
		}
	}
	for file, want := range map[string]string{"postinst": "if [ -e " + ConfigFile + " ]; then\n\t\t/usr/bin/dokku-agent install\n", "prerm": "disable --now --quiet " + filepath.Base(Unit)} {
		text, err := os.ReadFile(filepath.Join(dir, "DEBIAN", file))
		info, stat := os.Stat(filepath.Join(dir, "DEBIAN", file))
		if err != nil || stat != nil || info.Mode() != 0o755 || !strings.Contains(string(text), want) {
			t.Errorf("%s (%v, %v):\n%s", file, err, stat, text)
		}
	}
}

// TestPackageAgain: the same sources give the same package, byte for byte.
func TestPackageAgain(t *testing.T) {
	first, err := os.ReadFile(packed(t, "v1.2.3", "amd64"))
	must(t, err)
	second, err := os.ReadFile(packed(t, "v1.2.3", "amd64"))
	must(t, err)
	if !bytes.Equal(first, second) {
		t.Error("two packages of the same differ")
	}
}

// TestPackageVersions: dpkg orders versions as they came.
func TestPackageVersions(t *testing.T) {
	var last string
	for _, version := range []string{"dev", "v1.2.0-rc1", "v1.2.0-rc2", "v1.2.0", "v1.2.0-4-gabcdef0", "v1.2.0-4-gabcdef0-dirty", "v1.2.1"} {
		got := strings.TrimSpace(dpkg(t, "dpkg-deb", "--field", packed(t, version, "amd64"), "Version"))
		if !regexp.MustCompile(`^[0-9][0-9A-Za-z.+~]*$`).MatchString(got) {
			t.Errorf("%s: %q", version, got)
		}
		if last != "" {
			dpkg(t, "dpkg", "--compare-versions", last, "lt", got)
		}
		last = got
	}
}
