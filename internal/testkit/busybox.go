package testkit

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Busybox is the name of an image of Debian's static busybox: /bin/sh and the
// other applets, /etc/passwd, and nothing else. It takes a fifth of a second.
func Busybox(t testing.TB) string {
	t.Helper()
	return busybox(t).load(t)
}

const busyboxRecipe = "1" // counts changes of fill

func busybox(t testing.TB) base {
	t.Helper()
	program := readBusybox(t)
	return base{
		name:   "busybox",
		recipe: program.recipe(),
		write: func(_ testing.TB, out io.Writer) error {
			files := newTree(out)
			program.fill(files)
			return files.close()
		},
	}
}

// busyboxProgram is the machine's busybox and what it can do.
type busyboxProgram struct {
	content []byte
	applets []string
}

func readBusybox(t testing.TB) busyboxProgram {
	t.Helper()
	file, err := exec.LookPath("busybox")
	must(t, "find busybox (Debian's busybox-static)", err)
	content, err := os.ReadFile(file)
	must(t, "read busybox", err)
	if bytes.Contains(content[:min(4096, len(content))], []byte("/ld-")) {
		t.Fatalf("%s is linked dynamically: install Debian's busybox-static", file)
	}
	applets, err := exec.Command(file, "--list").Output()
	must(t, "list busybox's applets", err)
	return busyboxProgram{content: content, applets: strings.Fields(string(applets))}
}

func (b busyboxProgram) recipe() string { return recipe(busyboxRecipe, string(b.content)) }

// fill writes the files of the busybox image.
func (b busyboxProgram) fill(files *tree) {
	for _, dir := range []string{"bin", "etc", "proc", "root", "sys", "usr", "usr/bin", "var"} {
		files.dir(dir, 0o755)
	}
	files.dir("tmp", 0o1777)
	files.file("bin/busybox", 0o755, b.content)
	for _, applet := range b.applets {
		if applet != "busybox" {
			files.link("bin/"+applet, "busybox")
		}
	}
	files.link("usr/bin/env", "../../bin/busybox")
	files.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"))
	files.file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
}

// recipe is a short name for everything that an image depends on.
func recipe(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// tree writes a tar whose bytes depend on nothing but names, modes and contents.
type tree struct {
	out *tar.Writer
	err error
}

func newTree(out io.Writer) *tree { return &tree{out: tar.NewWriter(out)} }

func (f *tree) dir(name string, mode int64) {
	f.add(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (f *tree) link(name, target string) {
	f.add(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (f *tree) file(name string, mode int64, content []byte) {
	f.add(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content)
}

func (f *tree) add(header *tar.Header, content []byte) {
	if f.err != nil {
		return
	}
	if f.err = f.out.WriteHeader(header); f.err == nil {
		_, f.err = f.out.Write(content)
	}
}

// close ends the tar and returns the first thing that went wrong.
func (f *tree) close() error {
	if f.err != nil {
		return f.err
	}
	return f.out.Close()
}
