package plugin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
)

func streams(w *world) agent.Streams { return agent.Streams{Out: &w.out, Err: &w.err} }

// entry is one of an archive; by default a file, or a folder when its name ends in a slash.
type entry struct {
	name, text, link string
	mode             int64
	kind             byte
}

type entries []entry

func tarOf(t *testing.T, list entries) []byte {
	t.Helper()
	var text bytes.Buffer
	out := tar.NewWriter(&text)
	for _, one := range list {
		header := tar.Header{Name: one.name, Linkname: one.link, Mode: one.mode, Typeflag: one.kind, Size: int64(len(one.text))}
		if header.Mode == 0 {
			header.Mode = 0o755
		}
		switch {
		case header.Typeflag != 0:
		case strings.HasSuffix(one.name, "/"):
			header.Typeflag = tar.TypeDir
		case one.link != "":
			header.Typeflag = tar.TypeSymlink
		default:
			header.Typeflag = tar.TypeReg
		}
		must(t, out.WriteHeader(&header))
		_, err := out.Write([]byte(one.text))
		must(t, err)
	}
	must(t, out.Close())
	return text.Bytes()
}

func zip(t *testing.T, text []byte) []byte {
	t.Helper()
	var all bytes.Buffer
	out := gzip.NewWriter(&all)
	_, err := out.Write(text)
	must(t, err)
	must(t, out.Close())
	return all.Bytes()
}

func archiveOf(t *testing.T, list entries) []byte { return zip(t, tarOf(t, list)) }

// TestArchive: what people pack is laid out: by git, by tar in a folder, with links inside.
func TestArchive(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "dokku-near.tgz")
	list := entries{{name: "./near/"}, {name: "./near/plugin.toml", text: plainTOML, mode: 0o664}, {name: "./near/install", text: writes("")},
		{name: "./near/update", link: "install"}, {name: "./near/subcommands/default", text: bash}, {name: "./near/subcommands/again", link: "../update"}}
	must(t, os.WriteFile(file, archiveOf(t, list), 0o644))
	must(t, w.Install(ctx, Wanted{URL: "file://" + file}))
	must(t, w.Update(ctx, "", ""))
	if got := w.names(t) + " " + w.logged(t); got != "near+ near install;near update" {
		t.Errorf("installed %s", got)
	}
	want := "available/near/plugin.toml -rw-r--r-- "
	if state := w.state(t); !strings.Contains(state, want) || !strings.Contains(state, "available/near/subcommands/again Lrwxrwxrwx ../update") {
		t.Errorf("it is\n%s", state)
	}
}

// TestHostileArchives are refused before anything of them is in the list.
func TestHostileArchives(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "good", nil)}))
	before := w.state(t)
	toml := entry{name: "p/plugin.toml", text: plainTOML}
	good := tarOf(t, entries{toml})
	many := entries{toml}
	for n := range mostFiles + 1 {
		many = append(many, entry{name: "p/" + strings.Repeat("x", 1+n%200) + "/" + string(rune('a'+n%26)) + strings.Repeat("y", n/5200+1) + string(rune(0x4e00+n))})
	}
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"absolute":           {archiveOf(t, entries{toml, {name: "/etc/x"}}), "no name of a plugin's file"},
		"up":                 {archiveOf(t, entries{toml, {name: "p/../../x"}}), "no name of a plugin's file"},
		"a backslash":        {archiveOf(t, entries{toml, {name: `p/..\x`}}), "no name of a plugin's file"},
		"a newline":          {archiveOf(t, entries{toml, {name: "p/a\nb"}}), "no name of a plugin's file"},
		"a repository":       {archiveOf(t, entries{toml, {name: "p/.git/config", text: "x"}}), "no name of a plugin's file"},
		"two folders":        {archiveOf(t, entries{toml, {name: "px/x"}}), "everything must be in one folder"},
		"no folder":          {archiveOf(t, entries{{name: "plugin.toml", text: plainTOML}}), "everything must be in one folder"},
		"a link out":         {archiveOf(t, entries{toml, {name: "p/a", link: "../../x"}}), "a link that leads out"},
		"an absolute link":   {archiveOf(t, entries{toml, {name: "p/a", link: "/etc/passwd"}}), "a link that leads out"},
		"through a link":     {archiveOf(t, entries{toml, {name: "p/d/"}, {name: "p/a", link: "d"}, {name: "p/a/x", text: "x"}}), "it leads through a link"},
		"over a link":        {archiveOf(t, entries{toml, {name: "p/a", link: "plugin.toml"}, {name: "p/a", text: "x"}}), "it is there twice"},
		"a folder on a link": {archiveOf(t, entries{toml, {name: "p/a", link: "."}, {name: "p/a/"}}), "it is there twice"},
		"twice":              {archiveOf(t, entries{toml, toml}), "it is there twice"},
		"twice, folded":      {archiveOf(t, entries{toml, {name: "p/Plugin.TOML"}}), "it is there twice"},
		"a hard link":        {archiveOf(t, entries{toml, {name: "p/a", link: "p/plugin.toml", kind: tar.TypeLink}}), "it is no file, folder or link"},
		"a device":           {archiveOf(t, entries{toml, {name: "p/a", kind: tar.TypeChar}}), "it is no file, folder or link"},
		"a pipe":             {archiveOf(t, entries{toml, {name: "p/a", kind: tar.TypeFifo}}), "it is no file, folder or link"},
		"setuid":             {archiveOf(t, entries{toml, {name: "p/a", mode: 0o4755}}), "its mode is 4755"},
		"world-writable":     {archiveOf(t, entries{toml, {name: "p/a", mode: 0o777}}), "its mode is 777"},
		"many files":         {archiveOf(t, many), "there are more than 20000 files"},
		"truncated":          {archiveOf(t, entries{toml, {name: "p/a", text: strings.Repeat("0123456789", 1000)}})[:120], "it is broken"},
		"a short file":       {zip(t, tarOf(t, entries{toml, {name: "p/a", text: "0123456789"}})[:2058-3]), "it is broken"},
		"no archive":         {[]byte("hello"), "this is no .tar.gz"},
		"nothing":            {archiveOf(t, nil), "there is nothing in it"},
		"two archives":       {zip(t, append(append([]byte{}, good...), good...)), "something stands behind its end"},
		"a tail":             {append(archiveOf(t, entries{toml}), "tail"...), "broken"},
		"no plugin.toml":     {archiveOf(t, entries{{name: "p/x", text: "x"}}), "plugin.toml:1: there is no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bad.tar.gz")
			must(t, os.WriteFile(file, test.text, 0o644))
			err := w.Install(ctx, Wanted{URL: file})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "bad") {
				t.Errorf("%v, want %q", err, test.want)
			}
			if diff := cmp.Diff(before, w.state(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBomb: an archive that would fill the disk ends at the limit.
func TestBomb(t *testing.T) {
	dir := t.TempDir()
	header := func(size int64) []byte {
		var text bytes.Buffer
		must(t, tar.NewWriter(&text).WriteHeader(&tar.Header{Name: "p/a", Mode: 0o644, Size: size, Typeflag: tar.TypeReg}))
		return text.Bytes()
	}
	err := unpack("unpack", bytes.NewReader(zip(t, header(mostBytes+1))), "bomb", dir)
	if err == nil || !strings.Contains(err.Error(), "more than 512 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

// FuzzUnpack: nothing that is unpacked is outside of its folder, whatever the archive says.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("p/plugin.toml"), []byte("p/x"), []byte("../x"))
	f.Add([]byte("p/a"), []byte("p/a/b"), []byte(""))
	f.Fuzz(func(t *testing.T, first, second, link []byte) {
		var text bytes.Buffer
		out := tar.NewWriter(&text)
		for _, header := range []tar.Header{{Name: string(first), Linkname: string(link), Typeflag: tar.TypeSymlink, Mode: 0o777},
			{Name: string(second), Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}} {
			if out.WriteHeader(&header) != nil {
				return
			}
			if header.Size > 0 {
				_, _ = out.Write([]byte("x"))
			}
		}
		_ = out.Close()
		base := t.TempDir()
		dir := filepath.Join(base, "in")
		must(t, os.Mkdir(dir, 0o755))
		_ = unpack("unpack", bytes.NewReader(zip(t, text.Bytes())), "fuzz", dir)
		if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
			t.Errorf("outside: %v, %v", left, err)
		}
		if err := inspect("inspect", dir, "fuzz"); err != nil {
			t.Error(err)
		}
	})
}
