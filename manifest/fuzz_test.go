package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxReading is how long reading one file may take, here under fuzzing where the
// machine is busy and the code slowed down.
const maxReading = 2 * time.Second

// FuzzCorpusProcfile starts from the corpus. What is accepted says line by line what
// it means, prints and reads as the same, and holds nothing that a terminal obeys.
func FuzzCorpusProcfile(f *testing.F) {
	seed(f, procfileName, func(text []byte) { f.Add(text) })
	f.Fuzz(func(t *testing.T, text []byte) {
		procfile, found := ParseProcfile(procfileName, text)
		placed(t, procfileName, text, found)
		if found.Failed() != (procfile == nil) {
			t.Fatalf("mistakes %v, Procfile %v", found.Failed(), procfile)
		}
		if procfile == nil {
			return
		}
		lines, said := strings.Split(string(withoutMark(text)), "\n"), 0
		for _, line := range lines {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.HasPrefix(line, "//") {
				said++
			}
		}
		if said != len(procfile.Processes) {
			t.Errorf("%d lines say something, and there are %d processes", said, len(procfile.Processes))
		}
		for _, process := range procfile.Processes {
			if err := ProcessName(process.Name); err != nil {
				t.Error(err)
			}
			if process.Command == "" || strings.Trim(process.Command, " \t") != process.Command ||
				strings.ContainsFunc(process.Command, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }) {
				t.Errorf("the command of %s is %q", process.Name, process.Command)
			}
			line := lines[process.Line-1]
			name, command, _ := strings.Cut(line, ":")
			if strings.Trim(name, " \t") != process.Name || !strings.HasPrefix(strings.TrimLeft(command, " \t"), process.Command) {
				t.Errorf("line %d is %q, and was read as %q: %q", process.Line, line, process.Name, process.Command)
			}
			alone, _ := ParseProcfile(procfileName, []byte(line))
			if alone == nil || len(alone.Processes) != 1 || alone.Processes[0].Command != process.Command {
				t.Errorf("line %d alone is read as %+v, not as %+v", process.Line, alone, process)
			}
		}
		again, found := ParseProcfile(procfileName, []byte(procfile.String()))
		if found.Failed() || again.String() != procfile.String() {
			t.Errorf("%q prints as %q, and that as %q: %s", text, procfile, again, told(found))
		}
	})
}

// FuzzCorpusAppJSON starts from the corpus. What is accepted is JSON once comments and
// last commas are gone, has no key twice, and holds only what can be done.
func FuzzCorpusAppJSON(f *testing.F) {
	seed(f, appJSONName, func(text []byte) { f.Add(text) })
	f.Fuzz(func(t *testing.T, text []byte) {
		appJSON, found := ParseAppJSON(appJSONName, text)
		placed(t, appJSONName, text, found)
		if found.Failed() != (appJSON == nil) {
			t.Fatalf("mistakes %v, AppJSON %v", found.Failed(), appJSON)
		}
		if appJSON == nil {
			return
		}
		plain := strictJSON(withoutMark(text))
		if len(bytes.TrimSpace(plain)) == 0 {
			return // taken for no file, as Dokku does
		}
		if !json.Valid(plain) {
			t.Fatalf("%q is accepted, and %q is no JSON", text, plain)
		}
		if key := twice(json.NewDecoder(bytes.NewReader(plain))); key != "" {
			t.Errorf("the key %q stands twice in one object of %q", key, text)
		}
		checkAppJSON(t, appJSON)
		for _, inner := range appJSON.Environments {
			checkAppJSON(t, inner)
		}
	})
}

func checkAppJSON(t *testing.T, appJSON *AppJSON) {
	t.Helper()
	for key := range appJSON.Env {
		if problem, _ := declaredKey(key); problem != "" {
			t.Error(problem)
		}
	}
	for process := range appJSON.Formation {
		if err := ProcessName(process); err != nil {
			t.Error(err)
		}
	}
	for process, checks := range appJSON.Healthchecks {
		if err := ProcessName(process); err != nil {
			t.Error(err)
		}
		for _, check := range checks {
			longest := check.InitialDelay + check.Uptime + time.Duration(check.Attempts)*(check.Timeout+check.Wait)
			if check.Attempts < 1 || check.Timeout <= 0 || check.Wait <= 0 || check.Port < 0 || check.Port > 65535 || longest > maxCheck ||
				check.Path != "" && (check.Path[0] != '/' || strings.ContainsFunc(check.Path, unicode.IsSpace)) {
				t.Errorf("a healthcheck of %s is %+v", process, check)
			}
		}
	}
	for _, cron := range appJSON.Cron {
		if cron.Command == "" || strings.ContainsFunc(cron.Command, unicode.IsControl) {
			t.Errorf("a cron command is %q", cron.Command)
		}
	}
	eachString(reflect.ValueOf(appJSON), "", func(where, text string) {
		if strings.Contains(text, "\x00") || !utf8.ValidString(text) {
			t.Errorf("%s is %q", where, text)
		}
	})
}

// FuzzHCL reads dokku.hcl, or its JSON twin, in a folder that has links out of it.
// It is quick, what is accepted is sound, and nothing from outside the folder is
// read.
func FuzzHCL(f *testing.F) {
	const outside = "stands-outside-the-project"
	dir := f.TempDir()
	root := filepath.Join(dir, "project")
	if err := os.MkdirAll(filepath.Join(root, "folder"), 0o755); err != nil {
		f.Fatal(err)
	}
	for name, text := range map[string]string{"secret": outside, "project/version.txt": "1.2\n", "project/folder/x": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	for name, target := range map[string]string{"up": "../secret", "folder/up": "../../secret", "absolute": filepath.Join(dir, "secret"), "parent": "..", "loop": "loop", "in": "folder/x"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			f.Fatal(err)
		}
	}
	seedHCL(f)
	f.Fuzz(func(t *testing.T, text []byte, twin bool) {
		if bytes.Contains(text, []byte(outside)) || bytes.Contains(text, []byte("root:")) {
			return // it says so itself
		}
		name := manifestName
		if twin {
			name = twinName
		}
		fsys := overlay{fsys: os.DirFS(root).(linkFS), file: fstest.MapFS{name: {Data: text}}}
		for _, environment := range []string{"", "production"} {
			if environment != "" && !bytes.Contains(text, []byte(environment)) {
				continue
			}
			o := Options{File: name, Environment: environment, Getenv: getenv}
			var app *App
			var found Diagnostics
			if took := fastest(func() { app, found = Load(fsys, o) }); took > maxReading {
				t.Errorf("%q took %s", text, took)
			}
			placed(t, name, text, found)
			if found.Failed() != (app == nil) {
				t.Fatalf("mistakes %v, App %v", found.Failed(), app)
			}
			if app != nil {
				checkLoaded(t, app, outside)
			}
			if strings.Contains(told(found), outside) || strings.Contains(told(found), "root:x:") {
				t.Errorf("%q tells what is outside: %s", text, told(found))
			}
		}
		var servers []Server
		var found Diagnostics
		if took := fastest(func() { servers, found = LoadServers(fsys, Options{File: name, Getenv: getenv}) }); took > maxReading {
			t.Errorf("%q took %s", text, took)
		}
		placed(t, name, text, found)
		if found.Failed() && servers != nil {
			t.Errorf("mistakes, and servers %v", servers)
		}
	})
}

func checkLoaded(t *testing.T, app *App, outside string) {
	t.Helper()
	if app.Name != "" && ExistingAppName(app.Name) != nil || strings.HasPrefix(app.Host.Address, "-") {
		t.Errorf("app %q, host %q", app.Name, app.Host.Address)
	}
	for name := range app.Formation {
		if err := ProcessName(name); err != nil {
			t.Error(err)
		}
	}
	keys := keySet{}
	for key := range app.Config {
		if problem, _ := declaredKey(key); problem != "" {
			t.Error(problem)
		}
		if problem, _ := keys.add(key); problem != "" {
			t.Error(problem)
		}
	}
	for _, key := range app.Secrets {
		if problem, _ := declaredKey(key); problem != "" {
			t.Error(problem)
		}
	}
	for _, path := range []string{app.Build.Context, app.Build.Dir, app.Build.Dockerfile.Path, app.Build.Static.Dir} {
		if problem, _ := insidePath(path); path != "" && problem != "" {
			t.Errorf("the path %q %s", path, problem)
		}
	}
	eachString(reflect.ValueOf(app), "", func(where, text string) {
		if strings.Contains(text, "\x00") || !utf8.ValidString(text) {
			t.Errorf("%s is %q", where, text)
		}
		if strings.Contains(text, outside) || strings.Contains(text, "root:x:") {
			t.Errorf("%s was read outside the project: %q", where, text)
		}
	})
}

// linkFS is what os.DirFS returns.
type linkFS interface {
	fs.StatFS
	fs.ReadLinkFS
}

// overlay is a folder with one more file in it.
type overlay struct {
	fsys linkFS
	file fstest.MapFS
}

func (o overlay) of(name string) fs.FS {
	if _, ok := o.file[name]; ok {
		return o.file
	}
	return o.fsys
}

func (o overlay) Open(name string) (fs.File, error)      { return o.of(name).Open(name) }
func (o overlay) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(o.of(name), name) }
func (o overlay) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(o.of(name), name) }
func (o overlay) ReadLink(name string) (string, error)   { return fs.ReadLink(o.of(name), name) }

// seed adds each file of this name in the corpus.
func seed(f *testing.F, file string, add func([]byte)) {
	f.Helper()
	added := 0
	for _, name := range corpusNames(f) {
		for _, text := range corpusTexts(f, name, file) {
			if len(text) < 8<<10 { // mutating long ones finds little
				add(text)
				added++
			}
		}
	}
	if added == 0 {
		f.Fatalf("the corpus has no %s", file)
	}
}

func seedHCL(f *testing.F) {
	seed(f, manifestName, func(text []byte) { f.Add(text, false) })
	seed(f, appJSONName, func(text []byte) { f.Add(text, true) })
	for _, text := range []string{
		`config { A = file("up") }`, `config { A = file("folder/up") }`, `config { A = file("absolute") }`, `config { A = file("parent/secret") }`,
		`config { A = file("loop") }`, `config { A = file("in") }`, `config { A = file("folder/../up") }`, `config { A = file("/etc/passwd") }`,
		`config { A = file(env("STAGE")) }`, `build { dockerfile { path = "../up" } }`, `config { A = "\u0000" }`,
		`config { A = format("%s-%05d%%", lower("X"), 7) }`, `config { A = join(",", [upper("a"), trimspace(" b "), replace("c", "c", "d")]) }`,
		"config {\n A = <<-EOT\n  ${env(\"STAGE\")}\n  EOT\n}\n", "config {\n A = true ? \"x\" : \"y\"\n}",
		"formation \"web\" {\n quantity = 2\n memory = \"512m\"\n cpu = \"0.5\"\n stop_timeout = \"30s\"\n}\n",
		"domains = [\"www.example.com\"]\nports = [\"http:80:5000\"]\nsecrets = [\"API_TOKEN\"]\nstorage = [\"/srv/a:/data:ro\"]\n",
		"checks {\n disabled = [\"web\"]\n wait = \"5s\"\n}\ndocker_options {\n deploy = [\"--shm-size 64m\"]\n}\nnginx {\n client-max-body-size = \"10m\"\n}\n",
		"service \"db\" {\n plugin = \"postgres\"\n link = false\n}\nreview {\n domain = \"review.example.com\"\n ttl = \"72h\"\n max = 5\n inherit = [\"A\"]\n}\n",
		"app = \"a\"\nenvironment \"production\" {\n app = \"b\"\n config {\n A = env(\"STAGE\")\n }\n}\n",
		"server \"one\" {\n address = \"root@host\"\n plugin \"postgres\" {\n url = \"https://git.example/p.git\"\n }\n apps = [\"a\"]\n}\n",
		"build {\n builder = \"pack\"\n pack {\n builder = \"b/c:1\"\n buildpacks = [\"heroku/go\"]\n env = { A = 1 }\n }\n cache {\n volume = true\n }\n}\n",
	} {
		f.Add([]byte(text), false)
	}
	for _, text := range []string{
		`{"app": "a", "config": {"A": "${file(\"up\")}", "B": 1, "C": true}}`, `{"formation": {"web": {"quantity": 2}}}`,
		`{"environment": {"production": {"app": "b"}}, "host": {"p": {"address": "u@h:1"}}}`, `{"config": [{"A": "x"}, {"A": "y"}]}`,
		`{"build": {"args": {"A": "%{ if true }x%{ endif }"}}}`, `{"config": {"A": "\u0000"}}`,
	} {
		f.Add([]byte(text), true)
	}
}

// placed fails unless every diagnostic says something and stands in the text: only
// what is about a file as such has no line.
func placed(t *testing.T, file string, text []byte, found Diagnostics) {
	t.Helper()
	sound(t, found)
	lines := strings.Split(string(withoutMark(text)), "\n")
	for _, d := range found {
		if d.File != file || strings.TrimSpace(d.Message) == "" {
			t.Errorf("nothing is said: %#v", d)
		}
		whole := strings.HasSuffix(d.Message, " more mistakes") || strings.HasSuffix(d.Message, " more warnings") ||
			strings.HasPrefix(d.Message, "the file is larger") || strings.HasPrefix(d.Message, "it ") || strings.HasPrefix(d.Message, "there is no environment")
		switch {
		case d.Line == 0 && whole:
			continue
		case d.Line < 1 || d.Line > len(lines):
			t.Errorf("line %d of %d: %s", d.Line, len(lines), d)
			continue
		}
		line := []rune(strings.TrimSuffix(lines[d.Line-1], "\r"))
		if d.Column < 1 || d.Column > len(line)+1 || d.Source != clip(string(line), maxSource) {
			t.Errorf("%q is not at column %d of %q: %s", d.Source, d.Column, string(line), d)
		}
	}
}

func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// strictJSON makes spaces of comments and of commas before a closing bracket. It is a
// second reader on purpose: it shares nothing with the first.
func strictJSON(text []byte) []byte {
	plain := bytes.Clone(text)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			plain[i] = ' '
		}
	}
	comma := -1
	for i := 0; i < len(plain); i++ {
		rest := plain[i:]
		switch {
		case rest[0] == '"':
			comma = -1
			for i++; i < len(plain) && plain[i] != '"'; i++ {
				if plain[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(rest, []byte("//")), bytes.HasPrefix(rest, []byte("/*")):
			end := "\n"
			if rest[1] == '*' {
				end = "*/"
			}
			length := len(rest)
			if n := bytes.Index(rest[2:], []byte(end)); n >= 0 {
				length = 2 + n + len(end)
			}
			blank(i, i+length)
			i += length - 1
		case rest[0] == ',':
			comma = i
		case (rest[0] == '}' || rest[0] == ']') && comma >= 0:
			blank(comma, comma+1)
			comma = -1
		case !unicode.IsSpace(rune(rest[0])):
			comma = -1
		}
	}
	return plain
}

// twice returns a key that an object of the next value has two times, or "".
func twice(decoder *json.Decoder) string {
	type level struct {
		keys  map[string]bool // nil: a list
		value bool            // the next token is a value
	}
	var open []level
	for {
		token, err := decoder.Token()
		if err == io.EOF || err != nil {
			return ""
		}
		last := len(open) - 1
		if key, ok := token.(string); ok && last >= 0 && open[last].keys != nil && !open[last].value {
			if open[last].keys[key] {
				return fmt.Sprintf("%q", key)
			}
			open[last].keys[key], open[last].value = true, true
			continue
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			open = open[:last]
			continue
		}
		if last >= 0 {
			open[last].value = false
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		}
	}
}

// fastest runs something slow up to three times: a busy machine is not the reader's
// fault.
func fastest(run func()) time.Duration {
	var best time.Duration
	for range 3 {
		start := time.Now()
		run()
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
		if best <= maxReading {
			break
		}
	}
	return best
}

// eachString visits every string in a value.
func eachString(v reflect.Value, where string, visit func(where, text string)) {
	switch v.Kind() {
	case reflect.String:
		visit(where, v.String())
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachString(v.Elem(), where, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				eachString(v.Field(i), where+"."+field.Name, visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), fmt.Sprintf("%s[%d]", where, i), visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			eachString(key, where+" key", visit)
			eachString(v.MapIndex(key), fmt.Sprintf("%s[%s]", where, key), visit)
		}
	}
}

// The readers of the oracle are themselves right.
func TestStrictJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1, /* , */ }`: `{"a": 1          }`, "[1, // x\n]": "[1       ]", `["//", ",]", "\",]" ]`: `["//", ",]", "\",]" ]`,
		`[1,,]`: `[1, ]`, `[,]`: `[ ]`, `/*`: `  `,
	} {
		same(t, string(strictJSON([]byte(text))), want)
	}
	for text, want := range map[string]string{
		`{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}`: "", `{"a": "a", "a": 1}`: `"a"`, `[{"b": [], "\u0062": 1}]`: `"b"`, `["a", "a"]`: "",
		`{"a": ["a", "a"], "b": "a"}`: "",
	} {
		same(t, twice(json.NewDecoder(strings.NewReader(text))), want)
	}
}
