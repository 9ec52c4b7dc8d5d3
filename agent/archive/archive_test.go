package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// entry is one of an archive: a file, a folder when its name ends in a slash, a symlink
// when it has a link, or what its kind says.
type entry struct {
	name, text, link string
	mode             int64
	kind             byte
}

func (e entry) header() *tar.Header {
	header := &tar.Header{Name: e.name, Linkname: e.link, Mode: e.mode, Typeflag: e.kind, Size: int64(len(e.text))}
	if header.Mode == 0 {
		header.Mode = 0o755
	}
	switch {
	case header.Typeflag != 0:
	case strings.HasSuffix(e.name, "/"):
		header.Typeflag = tar.TypeDir
	case e.link != "":
		header.Typeflag = tar.TypeSymlink
	default:
		header.Typeflag = tar.TypeReg
	}
	return header
}

func tarOf(t testing.TB, list ...entry) []byte {
	t.Helper()
	var text bytes.Buffer
	out := tar.NewWriter(&text)
	for _, one := range list {
		must(t, out.WriteHeader(one.header()))
		_, err := out.Write([]byte(one.text))
		must(t, err)
	}
	must(t, out.Close())
	return text.Bytes()
}

func gz(t testing.TB, text []byte) []byte {
	t.Helper()
	var all bytes.Buffer
	out := gzip.NewWriter(&all)
	_, err := out.Write(text)
	must(t, err)
	must(t, out.Close())
	return all.Bytes()
}

// zipOf makes a zip as Unix tools do; a mode of a device comes as kind.
func zipOf(t testing.TB, list ...entry) []byte {
	t.Helper()
	var all bytes.Buffer
	out := zip.NewWriter(&all)
	for _, one := range list {
		header := &zip.FileHeader{Name: one.name, Method: zip.Deflate}
		mode, text := one.header().FileInfo().Mode(), one.text
		if header.SetMode(mode); one.link != "" {
			text = one.link
		}
		file, err := out.CreateHeader(header)
		must(t, err)
		if !strings.HasSuffix(one.name, "/") {
			_, err = file.Write([]byte(text))
			must(t, err)
		}
	}
	must(t, out.Close())
	return all.Bytes()
}

func rules() Rules {
	return Rules{Op: "unpack", Shown: "archive", What: "app", HardLinks: true, DropGit: true, MostCompressed: 1 << 20, MostBytes: 1 << 20, MostFiles: 100}
}

// tree is all that is below a folder: modes, links and contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, one fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := one.Info()
		must(t, err)
		what := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			what, err = os.Readlink(path)
			what = "-> " + what
		case info.Mode().IsRegular():
			var text []byte
			text, err = os.ReadFile(path)
			what += " " + string(text)
		}
		found[strings.TrimPrefix(path, dir+"/")] = what
		return err
	}))
	return found
}

var project = []entry{{name: "./"}, {name: "./Procfile", text: "web: x\n", mode: 0o664}, {name: "./bin/", mode: 0o775}, {name: "./bin/run", text: "#!/bin/sh\n"}, {name: "./bin/again", link: "./run"},
	{name: "./.git/hooks/pre-commit", text: "evil"}, {name: "./a/b/up", link: "../../bin"}, {name: "it's [fine] $id (x).txt", text: "x"}}

// TestUnpack: what people pack is laid out as it was, whatever it is packed with.
func TestUnpack(t *testing.T) {
	want := map[string]string{"Procfile": "-rw-r--r-- web: x\n", "bin": "drwxr-xr-x", "bin/run": "-rwxr-xr-x #!/bin/sh\n", "bin/again": "-> ./run",
		"a": "drwxr-xr-x", "a/b": "drwxr-xr-x", "a/b/up": "-> ../../bin", "it's [fine] $id (x).txt": "-rwxr-xr-x x"}
	archives := map[Kind][]byte{Tar: tarOf(t, project...), TarGz: gz(t, tarOf(t, project...)), Zip: zipOf(t, project[1:]...)}
	for kind, text := range archives {
		dir := t.TempDir()
		if err := Unpack(bytes.NewReader(text), kind, dir, rules()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Errorf("%s:\n%s", kind, diff)
		}
	}
	dir := t.TempDir()
	must(t, Unpack(bytes.NewReader(tarOf(t, entry{name: "a", text: "one"}, entry{name: "d/b", link: "a", kind: tar.TypeLink})), Tar, dir, rules()))
	if got := tree(t, dir); got["d/b"] != "-rwxr-xr-x one" {
		t.Errorf("a hard link: %v", got)
	}
}

// hostile are archives that are refused: ALSO-REFUSE 27 to 31. %s is a folder that holds a
// canary and the folder that the archive is laid out in.
func hostile() map[string]struct {
	list []entry
	want string
} {
	type row = struct {
		list []entry
		want string
	}
	x := entry{name: "x", text: "x"}
	name := func(name string) row { return row{[]entry{x, {name: name, text: "evil"}}, "no name of a app's file"} }
	link := func(name, to string) row { return row{[]entry{x, {name: name, link: to}}, "leads out of"} }
	deep := strings.Repeat("d/", mostDepth) + "x"
	return map[string]row{
		"absolute": name("/canary"), "absolute to it": name("%s/canary"), "up": name("../canary"), "up within": name("a/../../canary"), "only up": name(".."),
		"up and down": name("a/../b"), "a drive": name("C:/canary"), "a backslash": name(`..\canary`), "a newline": name("a\nb"), "an escape": name("a\x1b[2Jb"),
		"a substitution": name("a$(touch canary)b"), "a backtick": name("a`id`b"), "bad UTF-8": name("a\xff"), "a long part": name(strings.Repeat("a", 256)), "a long name": name(strings.Repeat("abc/", 300) + "x"),
		"two slashes": name("a//b"), "deep": name(deep),
		"a link out": link("l", "../canary"), "an absolute link": link("l", "%s/canary"), "a link to its sibling": link("l", "../inside-not"), "a link out of a folder": link("d/l", "../../canary"),
		"a link that comes back": link("l", "../in/x"), "a link into a repository": link("l", ".git/config"), "an empty link": {[]entry{x, {name: "l", kind: tar.TypeSymlink}}, "leads out of"},
		"a chain of links":       {[]entry{{name: "a/b/l", link: "../.."}, {name: "a/b/out", link: "l/../../canary"}}, "leads out of"},
		"through a link":         {[]entry{{name: "d/"}, {name: "l", link: "d"}, {name: "l/x", text: "evil"}}, "leads through a link"},
		"a folder through it":    {[]entry{{name: "d/"}, {name: "l", link: "d"}, {name: "l/x/"}}, "leads through a link"},
		"over a link":            {[]entry{x, {name: "l", link: "x"}, {name: "l", text: "evil"}}, "there twice"},
		"below a file":           {[]entry{x, {name: "x/y", text: "evil"}}, "through a link or a file"},
		"a file on a folder":     {[]entry{{name: "d/y", text: "y"}, {name: "d", text: "evil"}}, "there twice"},
		"twice":                  {[]entry{x, x}, "there twice"},
		"twice in other letters": {[]entry{x, {name: "X", text: "evil"}}, "there twice"},
		"folders in two letters": {[]entry{{name: "d/x", text: "x"}, {name: "D/y", text: "y"}}, "there twice"},
		"setuid":                 {[]entry{{name: "x", text: "x", mode: 0o4755}}, "its mode is 4755"},
		"setgid":                 {[]entry{{name: "x", text: "x", mode: 0o2755}}, "its mode is 2755"},
		"sticky":                 {[]entry{{name: "d/", mode: 0o1755}}, "its mode is 1755"},
		"world-writable":         {[]entry{{name: "x", text: "x", mode: 0o666}}, "its mode is 666"},
		"a pipe":                 {[]entry{{name: "p", kind: tar.TypeFifo}}, "no file, folder or link"},
		"a device":               {[]entry{{name: "p", kind: tar.TypeChar}}, "no file, folder or link"},
		"a disk":                 {[]entry{{name: "p", kind: tar.TypeBlock}}, "no file, folder or link"},
	}
}

// room is a folder with a canary, a sibling whose name begins alike, and the folder to lay
// out in.
func room(t testing.TB) (base, dir string) {
	t.Helper()
	base = t.TempDir()
	dir = filepath.Join(base, "in")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(base, "inside-not"), 0o755))
	must(t, os.WriteFile(filepath.Join(base, "canary"), []byte("untouched"), 0o600))
	return base, dir
}

// stays fails when anything outside of the folder has changed, or something in it leads out.
func stays(t testing.TB, name, base, dir string) {
	t.Helper()
	found := tree(t, base)
	for path, what := range found {
		if path != "in" && !strings.HasPrefix(path, "in/") && path != "inside-not" && (path != "canary" || what != "-rw------- untouched") {
			t.Errorf("%s: outside there is %s %s", name, path, what)
		}
		if !strings.HasPrefix(what, "-> ") {
			continue
		}
		if real, err := filepath.EvalSymlinks(filepath.Join(base, path)); err == nil && real != dir && !strings.HasPrefix(real, dir+"/") {
			t.Errorf("%s: %s leads to %s", name, path, real)
		}
	}
	if found["canary"] == "" {
		t.Errorf("%s: the canary is gone", name)
	}
}

func TestHostile(t *testing.T) {
	for name, test := range hostile() {
		for _, kind := range []Kind{Tar, TarGz, Zip} {
			base, dir := room(t)
			list := slices.Clone(test.list)
			for n := range list {
				list[n].name, list[n].link = strings.ReplaceAll(list[n].name, "%s", base), strings.ReplaceAll(list[n].link, "%s", base)
			}
			pack := map[Kind]func() []byte{Tar: func() []byte { return tarOf(t, list...) }, TarGz: func() []byte { return gz(t, tarOf(t, list...)) }, Zip: func() []byte { return zipOf(t, list...) }}
			refused(t, name+" as "+string(kind), pack[kind](), kind, base, dir, test.want)
		}
	}
	for name, list := range map[string][]entry{
		"a hard link out":          {{name: "l", link: "../canary", kind: tar.TypeLink}},
		"an absolute hard link":    {{name: "l", link: "/etc/passwd", kind: tar.TypeLink}},
		"a hard link to later":     {{name: "l", link: "x", kind: tar.TypeLink}, {name: "x", text: "x"}},
		"a hard link to a link":    {{name: "s", link: "x"}, {name: "l", link: "s", kind: tar.TypeLink}},
		"a hard link to a folder":  {{name: "d/"}, {name: "l", link: "d", kind: tar.TypeLink}},
		"a hard link to a sibling": {{name: "l", link: "../inside-not/x", kind: tar.TypeLink}},
	} {
		base, dir := room(t)
		refused(t, name, tarOf(t, list...), Tar, base, dir, "a hard link")
	}
}

func refused(t testing.TB, name string, text []byte, kind Kind, base, dir, want string) {
	t.Helper()
	err := Unpack(bytes.NewReader(text), kind, dir, rules())
	if problem := api.AsError(err); err == nil || problem.Code != api.Refused || !strings.Contains(problem.Message, want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
	stays(t, name, base, dir)
}

// TestBroken: what is cut off, has a tail, is packed otherwise or lies about itself.
func TestBroken(t *testing.T) {
	x := entry{name: "x", text: strings.Repeat("0123456789", 1000)}
	whole, zipped := tarOf(t, x), zipOf(t, x)
	lying := slices.Clone(zipped)
	at := bytes.LastIndex(lying, []byte("PK\x01\x02"))
	copy(lying[at+24:], []byte{1, 0, 0, 0}) // its size in the list
	encrypted := slices.Clone(zipped)
	encrypted[at+8] |= 1
	method := slices.Clone(zipped)
	method[at+10] = 12 // bzip2
	for name, test := range map[string]struct {
		kind Kind
		text []byte
		want string
	}{
		"a short tar":             {Tar, whole[:3000], "it is broken"},
		"a tar cut between two":   {Tar, tarOf(t, entry{name: "a", text: "a"}, entry{name: "b", text: "b"})[:1024], "ends before its end"},
		"cut in the padding":      {Tar, tarOf(t, entry{name: "a", text: "a"}, entry{name: "b", text: "b"})[:700], "it is broken"},
		"a tar without its end":   {Tar, tarOf(t, entry{name: "a", text: "a"})[:1536], "ends before its end"},
		"a packed tar cut there":  {TarGz, gz(t, tarOf(t, entry{name: "a", text: "a"}, entry{name: "b", text: "b"})[:1024]), "ends before its end"},
		"a short tar.gz":          {TarGz, gz(t, whole)[:60], "it is broken"},
		"a short file in it":      {TarGz, gz(t, whole[:3000]), "it is broken"},
		"a short zip":             {Zip, zipped[:60], "this is no .zip"},
		"a tail":                  {Tar, append(slices.Clone(whole), "tail"...), "behind its end"},
		"two tars":                {Tar, append(slices.Clone(whole), whole...), "behind its end"},
		"two tars, packed":        {TarGz, append(gz(t, whole), gz(t, whole)...), "behind its end"},
		"a tail behind gzip":      {TarGz, append(gz(t, whole), "tail"...), "broken"},
		"no tar":                  {Tar, []byte(strings.Repeat("no archive at all ", 100)), "broken"},
		"no gzip":                 {TarGz, whole, "this is no .tar.gz"},
		"no zip":                  {Zip, whole, "this is no .zip"},
		"a program before a zip":  {Zip, append([]byte("#!/bin/sh\n"), zipped...), "this is no .zip"},
		"nothing":                 {Tar, nil, "there is nothing in it"},
		"nothing in a zip":        {Zip, zipOf(t), "this is no .zip"},
		"an empty tar":            {Tar, tarOf(t), "there is nothing in it"},
		"a zip's size that lies":  {Zip, lying, "it is broken"},
		"an encrypted zip":        {Zip, encrypted, "it is encrypted"},
		"a strange way to pack":   {Zip, method, "packed in a way"},
		"only a repository in it": {Tar, tarOf(t, entry{name: ".git/config", text: "x"}), "there is nothing in it"},
	} {
		base, dir := room(t)
		refused(t, name, test.text, test.kind, base, dir, test.want)
	}
}

// TestLimits: bombs end at the limits: bytes, files, and how much comes out of how little
// (ALSO-REFUSE 30, 32). A tar says how long a file is before it comes, sparse ones too.
func TestLimits(t *testing.T) {
	large := entry{name: "x", text: strings.Repeat("\x00", 1<<20+1)}
	many := make([]entry, 101)
	for n := range many {
		many[n] = entry{name: fmt.Sprint("f", n), text: "x"}
	}
	announced := func(size int64) []byte {
		var text bytes.Buffer
		must(t, tar.NewWriter(&text).WriteHeader(&tar.Header{Name: "x", Mode: 0o644, Size: size, Typeflag: tar.TypeReg}))
		return text.Bytes()
	}
	for name, test := range map[string]struct {
		kind Kind
		text []byte
		want string
	}{
		"bytes of a tar.gz": {TarGz, gz(t, tarOf(t, large)), "more than 1 MiB"},
		"bytes of a zip":    {Zip, zipOf(t, large), "more than 1 MiB"},
		"bytes of a tar":    {Tar, tarOf(t, large), "1 MiB"},
		"in two files":      {Zip, zipOf(t, entry{name: "a", text: large.text[:1<<19+1]}, entry{name: "b", text: large.text[:1<<19+1]}), "more than 1 MiB"},
		"announced":         {Tar, announced(1 << 50), "more than 1 MiB"},
		"files of a tar":    {Tar, tarOf(t, many...), "more than 100 files"},
		"files of a zip":    {Zip, zipOf(t, many...), "more than 100 files"},
		"folders":           {Tar, tarOf(t, entry{name: strings.Repeat("a/", 60) + "x", text: "x"}, entry{name: strings.Repeat("b/", 60) + "x", text: "x"}), "more than 100 files"},
	} {
		base, dir := room(t)
		refused(t, name, test.text, test.kind, base, dir, test.want)
	}
	base, dir := room(t)
	r := rules()
	r.MostBytes, r.MostCompressed = 1<<40, 1<<30
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	out := tar.NewWriter(packer)
	must(t, out.WriteHeader(&tar.Header{Name: "x", Mode: 0o644, Size: ratioFrom + 1, Typeflag: tar.TypeReg}))
	_, err := io.CopyN(out, zeros{}, ratioFrom+1)
	must(t, errors.Join(err, out.Close(), packer.Close()))
	if err := Unpack(&bomb, TarGz, dir, r); err == nil || !strings.Contains(err.Error(), "times as large") {
		t.Errorf("a ratio: %v", err)
	}
	stays(t, "a ratio", base, dir)
}

// TestSparse: a file that is mostly holes counts as what it would be laid out as, or is
// none, whichever way GNU tar says so (ALSO-REFUSE 30).
func TestSparse(t *testing.T) {
	source := t.TempDir()
	must(t, os.WriteFile(filepath.Join(source, "x"), []byte("x"), 0o644))
	must(t, os.Truncate(filepath.Join(source, "x"), 1<<30))
	for format, want := range map[string]string{"--format=gnu": "no file, folder or link", "--format=posix": "more than 1 MiB"} {
		text, err := exec.Command("tar", "--create", "--sparse", format, "-C", source, "x").Output()
		if err != nil || len(text) > 1<<16 {
			t.Fatalf("%s: %d bytes, %v", format, len(text), err)
		}
		base, dir := room(t)
		refused(t, format, text, Tar, base, dir, want)
	}
}

// TestSocket: a socket in a zip is refused; a tar has no word for one.
func TestSocket(t *testing.T) {
	var all bytes.Buffer
	out := zip.NewWriter(&all)
	header := &zip.FileHeader{Name: "s"}
	header.SetMode(fs.ModeSocket | 0o644)
	_, err := out.CreateHeader(header)
	must(t, errors.Join(err, out.Close()))
	base, dir := room(t)
	refused(t, "a socket", all.Bytes(), Zip, base, dir, "no file, folder or link")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestStaysInside: a link may go up at its beginning alone: what is above a link's target
// is not what its name says.
func TestStaysInside(t *testing.T) {
	for at, targets := range map[string][]string{"a/b/l": {"x", "../x", "../../x", "../..", "..", ".", "./../x", "x/y", "../b/./x"}, "l": {"x", ".", "./x", "a/b"}} {
		for _, target := range targets {
			if !StaysInside(at, target) {
				t.Errorf("%s -> %s is refused", at, target)
			}
		}
	}
	for at, targets := range map[string][]string{"a/b/l": {"../../../x", "../../..", "/x", "", "x/../y", "x/..", "../x/../../..", `..\x`, "x\x00", "../../.git/x", "../../.GIT"}, "l": {"..", "../x", "x/../../y", ".git"}} {
		for _, target := range targets {
			if StaysInside(at, target) {
				t.Errorf("%s -> %s is taken", at, target)
			}
		}
	}
}

// FuzzUnpack: whatever an archive says, nothing is outside of its folder or leads there, and
// what is refused is refused by its name.
func FuzzUnpack(f *testing.F) {
	for _, test := range hostile() {
		first, second := test.list[0], test.list[len(test.list)-1]
		f.Add(first.name, first.link, second.name, second.link, byte(0), true)
	}
	f.Add("a", "b", "a/x", "", byte('1'), false)
	f.Fuzz(func(t *testing.T, first, firstLink, second, secondLink string, kind byte, asZip bool) {
		list := []entry{{name: first, link: firstLink}, {name: second, link: secondLink, kind: kind, text: "x"}, {name: "last", link: first}}
		var text bytes.Buffer
		out := tar.NewWriter(&text)
		for _, one := range list {
			header := one.header()
			if header.Typeflag != tar.TypeReg {
				header.Size = 0
			}
			if out.WriteHeader(header) != nil {
				return
			}
			if header.Size > 0 {
				_, _ = out.Write([]byte(one.text))
			}
		}
		_ = out.Close()
		packed, as := text.Bytes(), Tar
		if asZip {
			packed, as = zipOf(t, list...), Zip
		}
		base, dir := room(t)
		if err := Unpack(bytes.NewReader(packed), as, dir, rules()); err != nil && api.AsError(err).Code != api.Refused {
			t.Errorf("%+v: %v", list, err)
		}
		stays(t, fmt.Sprintf("%+v", list), base, dir)
		if len(tree(t, base)) > 300 {
			t.Errorf("%+v: too much of it", list)
		}
	})
}
