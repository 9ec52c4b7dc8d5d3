package e2e

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

var compiled = flag.Bool("compiled", false, "TestRelease compiles a clone of HEAD, once more elsewhere, and compares")

// Stand-ins for what a release is not made with in a test: go writes what it was to
// compile, gh keeps what it was given, uname is a machine's of another kind.
const (
	standInGo    = "#!/bin/sh\n[ \"$1\" = build ] || exit 1\nwhile [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\necho \"$GOOS $GOARCH $1\" >\"$out\"\n"
	standInGh    = "#!/bin/sh\necho \"$*\" >\"$RELEASED/../gh\"\nfor word; do [ ! -f \"$word\" ] || cp \"$word\" \"$RELEASED/\"; done\n"
	standInUname = "#!/bin/sh\n[ \"$1\" = -s ] && echo \"$KERNEL\" || echo \"$MACHINE\"\n"
)

// workflowFile is a workflow of GitHub's, as far as a test runs it.
type workflowFile struct {
	Jobs map[string]struct {
		Steps []struct {
			Name, Uses, Run string
			Env             map[string]string
		}
	}
}

// TestRelease runs the release workflow's own steps, and then the action's download on each
// kind of machine: what one makes is what the other asks for. With -compiled (make
// release-test) it is a real release, made twice.
func TestRelease(t *testing.T) {
	t.Parallel()
	tag := actionVersion(t)
	files := releaseOf(t, tag, releaseSources(t))
	var names, summed []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"SHA256SUMS", "dokku-agent_amd64.deb", "dokku-agent_arm64.deb", "dokku-agent_linux_amd64", "dokku-agent_linux_arm64",
		"dokku-push_darwin_amd64", "dokku-push_darwin_arm64", "dokku-push_linux_amd64", "dokku-push_linux_arm64"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the release's files (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(string(files["SHA256SUMS"])) {
		summed = append(summed, strings.Fields(line)[1])
	}
	if diff := cmp.Diff(want[1:], slices.Sorted(slices.Values(summed))); diff != "" {
		t.Errorf("SHA256SUMS names (-want +got):\n%s", diff)
	}
	for platform, machine := range map[string][2]string{"linux_amd64": {"Linux", "x86_64"}, "linux_arm64": {"Linux", "aarch64"}, "darwin_amd64": {"Darwin", "x86_64"}, "darwin_arm64": {"Darwin", "arm64"}} {
		if got := installed(t, tag, machine, files); !bytes.Equal(got, files["dokku-push_"+platform]) {
			t.Errorf("on %v the action installs %.80q", machine, got)
		}
	}
	readme, err := os.ReadFile(filepath.Join(testkit.Root(t), "README.md"))
	mustDo(t, "read README.md", err)
	for _, name := range regexp.MustCompile(`dokku-agent_[a-z0-9_]+\.deb`).FindAllString(string(readme), -1) {
		if files[name] == nil {
			t.Errorf("README.md names %s, which no release has", name)
		}
	}
	if *compiled {
		programs(t, tag, files)
		again(t, tag, files)
	}
}

// actionVersion is the release that the action installs unless it is told another.
func actionVersion(t *testing.T) string {
	t.Helper()
	var action actionFile
	read(t, "action.yml", &action)
	return action.Inputs["version"].Default
}

// TestReleaseVersions: what is written for others to copy installs one version, the action's.
func TestReleaseVersions(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`(?:dokku-push@|releases/download/|\bdefault: )(v[0-9][0-9A-Za-z.-]*)`)
	found := 0
	for _, pattern := range []string{"README.md", "docs/*.md", "examples/ci/*", ".gitlab/*", "push/scaffold/templates/*"} {
		paths, err := filepath.Glob(filepath.Join(testkit.Root(t), pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %q, %v", pattern, paths, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			mustDo(t, "read", err)
			for _, version := range named.FindAllStringSubmatch(string(text), -1) {
				if found++; version[1] != actionVersion(t) {
					t.Errorf("%s installs %s, and the action %s", path, version[1], actionVersion(t))
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d versions were found", found)
	}
}

// releaseSources is a tree that a release is made of: a clone at the tag where it is
// compiled, else the files that say how.
func releaseSources(t *testing.T) (dir string) {
	t.Helper()
	root, dir := testkit.Root(t), t.TempDir()
	if *compiled {
		must(t, exec.Command("git", "clone", "--quiet", "--no-hardlinks", root, dir))
		return dir
	}
	for _, name := range []string{"Makefile", "action.yml", "LICENSE", "scripts/deb.sh", "scripts/deb/postinst", "scripts/deb/prerm", "agent/install/dokku-agent.service"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		mustDo(t, "read", err)
		write(t, dir, name, string(text))
		mustDo(t, "copy", os.Chmod(filepath.Join(dir, name), 0o755))
	}
	return dir
}

// tools is a folder of stand-ins to come first on the PATH.
func tools(t *testing.T, scripts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range scripts {
		mustDo(t, "write a stand-in", os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	return dir
}

// releaseOf runs the workflow's steps for a tag and returns the files that it releases.
func releaseOf(t *testing.T, tag, sources string) map[string][]byte {
	t.Helper()
	var workflow workflowFile
	read(t, ".github/workflows/release.yml", &workflow)
	scripts := map[string]string{"gh": standInGh}
	if !*compiled {
		scripts["go"] = standInGo
	}
	path, released := tools(t, scripts), filepath.Join(t.TempDir(), "released")
	mustDo(t, "make a folder", os.Mkdir(released, 0o755))
	step := func(script, tag string) testkit.Result {
		cmd := exec.Command("bash", "-e", "-c", script)
		cmd.Dir = sources
		cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "GITHUB_REF_NAME="+tag, "RELEASED="+released, "GH_TOKEN=", "GOPROXY=off", "GOFLAGS=", "MAKEFLAGS=", "MAKELEVEL=")
		return testkit.Run(t, cmd)
	}
	run, last := 0, ""
	for _, one := range workflow.Jobs["release"].Steps {
		if one.Uses != "" && !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(one.Uses) {
			t.Errorf("%s is not pinned by its hash", one.Uses)
		}
		if strings.Contains(one.Run, "${{") {
			t.Errorf("a value stands in the script %q", one.Run)
		}
		if one.Run == "" {
			continue
		}
		last = one.Run
		if run++; run == 1 && step(one.Run, tag+"9").Exit == 0 {
			t.Error("another version than the action's is released")
		}
		if said := step(one.Run, tag); said.Exit != 0 {
			t.Fatalf("%s: %+v", one.Run, said)
		}
	}
	told := func() string {
		said, err := os.ReadFile(filepath.Join(released, "..", "gh"))
		mustDo(t, "read what gh was told", err)
		return string(said)
	}
	if said := told(); run < 3 || !strings.HasPrefix(said, "release create "+tag+" dist/") || strings.Contains(said, "--prerelease") {
		t.Errorf("after %d steps gh was told %q", run, said)
	}
	if step(last, tag+"-rc.1"); !strings.HasPrefix(told(), "release create "+tag+"-rc.1 dist/") || !strings.Contains(told(), " --prerelease") {
		t.Errorf("of a release candidate gh was told %q", told())
	}
	return filesIn(t, released)
}

func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	mustDo(t, "list the files", err)
	files := map[string][]byte{}
	for _, entry := range entries {
		files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name()))
		mustDo(t, "read a file", err)
	}
	return files
}

// installed is what the action's script downloads from a release on such a machine.
func installed(t *testing.T, tag string, machine [2]string, files map[string][]byte) []byte {
	t.Helper()
	dir, temp := t.TempDir(), t.TempDir()
	for name, text := range files {
		mustDo(t, "serve the release", os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	install := exec.Command("bash", filepath.Join(testkit.Root(t), "scripts", "ci-install.sh"))
	install.Env = append(os.Environ(), "PATH="+tools(t, map[string]string{"uname": standInUname})+":"+os.Getenv("PATH"), "KERNEL="+machine[0], "MACHINE="+machine[1],
		"DOKKU_PUSH_VERSION="+tag, "DOKKU_PUSH_DOWNLOAD_URL=file://"+dir, "RUNNER_TEMP="+temp, "GITHUB_OUTPUT=")
	said := testkit.Run(t, install)
	text, err := os.ReadFile(strings.TrimSpace(said.Stdout))
	if err != nil {
		t.Errorf("on %v: %v, %+v", machine, err, said)
	}
	return text
}

// programs: those of a real release are static, for their platform, without this machine's
// paths, and say which version they are.
func programs(t *testing.T, tag string, files map[string][]byte) {
	t.Helper()
	for name, text := range files {
		platform := strings.Split(name, "_")
		if strings.HasSuffix(name, ".deb") || len(platform) != 3 {
			continue
		}
		info, err := buildinfo.Read(bytes.NewReader(text))
		mustDo(t, name, err)
		set := map[string]string{}
		for _, one := range info.Settings {
			set[one.Key] = one.Value
		}
		if set["GOOS"] != platform[1] || set["GOARCH"] != platform[2] || set["CGO_ENABLED"] != "0" || set["-trimpath"] != "true" || bytes.Contains(text, []byte(os.TempDir()+"/TestRelease")) {
			t.Errorf("%s was built by %v", name, set)
		}
		if platform[1] != "linux" {
			continue
		}
		program, err := elf.NewFile(bytes.NewReader(text))
		mustDo(t, name, err)
		if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s is not static", name)
		}
		if platform[2] == runtime.GOARCH {
			path := filepath.Join(t.TempDir(), name)
			mustDo(t, "write", os.WriteFile(path, text, 0o755))
			if said := testkit.Run(t, exec.Command(path, "version")); !strings.Contains(said.Stdout, tag) {
				t.Errorf("%s says %+v", name, said)
			}
		}
	}
}

// again makes the release a second time, elsewhere and with nothing kept of the first, for
// this machine's platform: byte for byte the same.
func again(t *testing.T, tag string, files map[string][]byte) {
	t.Helper()
	dir, cache := releaseSources(t), t.TempDir()
	platform := "linux/" + runtime.GOARCH
	make := exec.Command("make", "release", "VERSION="+tag, "CLIENT_PLATFORMS="+platform, "AGENT_PLATFORMS="+platform)
	make.Dir, make.Env = dir, append(os.Environ(), "GOCACHE="+cache, "GOPROXY=off", "GOFLAGS=", "MAKEFLAGS=", "MAKELEVEL=", "TZ=Asia/Tokyo")
	must(t, make)
	deb := exec.Command("scripts/deb.sh", tag, runtime.GOARCH, "dist/dokku-agent_linux_"+runtime.GOARCH, "dist/dokku-agent_"+runtime.GOARCH+".deb")
	deb.Dir, deb.Env = dir, append(os.Environ(), "TZ=Asia/Tokyo")
	must(t, deb)
	for name, text := range filesIn(t, filepath.Join(dir, "dist")) {
		if name != "SHA256SUMS" && !bytes.Equal(text, files[name]) {
			t.Errorf("%s is another one the second time", name)
		}
	}
}
