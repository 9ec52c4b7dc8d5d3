package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func project(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestLoad(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		told  string
		fails bool
	}{
		{"nothing", nil, "", false},
		{"all three", map[string]string{"Procfile": "web: x $PORT\n", "app.json": `{"formation": {"web": {"quantity": 1}}}`, "dokku.hcl": `app = "a"`}, "", false},
		{"every mistake at once", map[string]string{"Procfile": "junk", "app.json": "[]", "dokku.hcl": "x = 1"},
			"Procfile:1:1: the line is no process; write name: command, such as web: ./server; comments begin with #\n" +
				"app.json:1:1: the file is a list; write an object: { … }\n" +
				"dokku.hcl:1:1: x is not known; " + knownAtTop, true},
		{"empty Procfile", map[string]string{"Procfile": "\n"}, "Procfile: it declares no process, and there is no Dockerfile; write a line such as web: ./server, or remove the file", true},
		{"empty Procfile, Dockerfile", map[string]string{"Procfile": "\n", "Dockerfile": "FROM scratch"},
			"advice: Procfile: it declares no process; the image's own command will run as web; remove the file, or write a line such as web: ./server", false},
		{"empty Procfile, Dockerfile elsewhere", map[string]string{"Procfile": "", "c/d": "FROM scratch", "dokku.hcl": "build {\n context = \"c\"\n dockerfile { path = \"d\" }\n}"},
			"advice: Procfile: it declares no process; the image's own command will run as web; remove the file, or write a line such as web: ./server", false},
		{"types that are not there", map[string]string{"Procfile": "worker: x\nrelease: y\n",
			"app.json": `{"formation": {"wroker": {"quantity": 1}, "release": {}}, "healthchecks": {"web": []}}`},
			"advice: app.json:1:16: formation.wroker is not used: there is no such process type; did you mean worker?\n" +
				"advice: app.json:1:43: formation.release is not used; release runs once in each deploy\n" +
				"advice: app.json:1:76: healthchecks.web is not used: there is no such process type; known here: worker", false},
		{"web without a Procfile", map[string]string{"app.json": `{"formation": {"web": {"quantity": 2}}}`}, "", false},
		{"two commands for web", map[string]string{"Procfile": "web: x $PORT", "dokku.hcl": "build {\n static {\n  command = \"y\"\n }\n}"},
			"dokku.hcl:3:3: command and the Procfile's web are not the same; keep one of the two", true},
		{"one command for web", map[string]string{"Procfile": "web: x $PORT", "dokku.hcl": "build {\n static {\n  command = \"x $PORT\"\n }\n}"}, "", false},
		{"a folder", map[string]string{"Procfile/x": ""}, "Procfile: Procfile is no file", true},
		{"BOM", map[string]string{"dokku.hcl": "\ufeffap = \"a\""},
			"advice: dokku.hcl:1:1: the file begins with a byte order mark; save it as UTF-8 without one: other tools read the mark as a part of the first line\n" +
				"dokku.hcl:1:1: ap is not known; did you mean app?", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			app, found := Load(project(test.files), Options{})
			sound(t, found)
			same(t, told(found), test.told)
			if (app == nil) != test.fails {
				t.Errorf("App %v", app)
			}
			if app != nil && (app.ProcfileText == "") != (app.Procfile == nil) {
				t.Errorf("Procfile %v of the text %q", app.Procfile, app.ProcfileText)
			}
		})
	}
}

func TestLoadTexts(t *testing.T) {
	files := map[string]string{"Procfile": "# why\nworker: x\n", "app.json": "{}\n", "other.hcl": `app = "b"`, "dokku.hcl": `app = "a"`}
	app, found := Load(project(files), Options{File: "./other.hcl"})
	if found != nil {
		t.Fatal(told(found))
	}
	same(t, []string{app.Name, app.ProcfileText, app.AppJSONText}, []string{"b", files["Procfile"], files["app.json"]})
}

func TestLoadOtherFile(t *testing.T) {
	for file, want := range map[string]string{
		"none.hcl": "none.hcl: there is no such file in the project; name it relative to the project's folder",
		"../x.hcl": "../x.hcl: the path leads out of the project with ..; write a path inside the project, with slashes, such as web/app",
		"/x.hcl":   "/x.hcl: the path is absolute; write a path inside the project, with slashes, such as web/app",
	} {
		app, found := Load(project(nil), Options{File: file})
		same(t, told(found), want)
		if app != nil {
			t.Errorf("%s is accepted", file)
		}
	}
}

// The same on a real folder, where links are.
func TestLoadLinks(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "project")
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "s")
	write("project/a/inside", "i")
	write("project/a/Procfile", "worker: x\n")
	link("a/Procfile", "Procfile")
	link("a", "b")
	link("../secret", "up")
	link(filepath.Join(dir, "secret"), "absolute")
	link("..", "parent")
	link("loop", "loop")
	for name, want := range map[string]string{
		"b/inside": "", "up": errOutside.Error(), "absolute": errOutside.Error(), "parent/secret": errOutside.Error(),
		"loop": "loop goes over more than 16 symbolic links", "b/../up": "the path leads out of the project with ..; write a path inside the project, with slashes, such as web/app",
	} {
		got := ""
		if _, err := readText(os.DirFS(root), name); err != nil {
			got = err.Error()
		}
		same(t, got, want)
	}
	app, found := Load(os.DirFS(root), Options{})
	if found != nil {
		t.Fatal(told(found))
	}
	same(t, app.Procfile.Scaled(), []string{"worker"})
	link("a/inside", "dokku.hcl")
	_, found = Load(os.DirFS(root), Options{})
	same(t, told(found), "dokku.hcl: it is a symbolic link; name the file that it leads to with --manifest, or copy it")
}

// The sample apps of this repository are sound.
func TestSamples(t *testing.T) {
	apps := filepath.Join("..", "testdata", "apps")
	entries, err := os.ReadDir(apps)
	if err != nil || len(entries) == 0 {
		t.Fatalf("no sample apps: %v", err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		var fsys fs.FS = os.DirFS(filepath.Join(apps, entry.Name()))
		if app, found := Load(fsys, Options{}); app == nil {
			t.Errorf("%s: %s", entry.Name(), told(found))
		}
	}
}
