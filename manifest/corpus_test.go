package manifest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/tailscale/hujson"
)

const (
	corpusRoot = "testdata/corpus"
	expectName = "expect.txt"
	// corpusFiles is how many Procfiles and app.json there are: taking one away is a
	// decision, not an accident.
	corpusFiles = 127
)

// TestCorpus reads apps of many stacks, and files with each oddity that real ones
// have, and compares what was understood with the expect.txt beside them. With
// -update-corpus it writes them anew: read the difference before you keep it.
func TestCorpus(t *testing.T) {
	files := 0
	for _, name := range corpusNames(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(corpusRoot, name)
			app, found := Load(os.DirFS(dir), Options{})
			sound(t, found)
			if found.Failed() != (app == nil) {
				t.Errorf("mistakes %v, App %v", found.Failed(), app)
			}
			got := understood(app, found)
			expect := filepath.Join(dir, expectName)
			if *updateCorpus {
				if err := os.WriteFile(expect, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expect)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, string(want))
		})
		files += len(corpusTexts(t, name, procfileName)) + len(corpusTexts(t, name, appJSONName))
	}
	if files != corpusFiles {
		t.Errorf("the corpus has %d Procfiles and app.json, not %d", files, corpusFiles)
	}
}

var updateCorpus = flag.Bool("update-corpus", false, "write testdata/corpus/*/expect.txt anew")

// TestCorpusAppJSON asks that each key of app.json (CI-AND-MANIFEST-FACTS 4.7)
// stands where this table says. Names that people choose are *, elements [].
func TestCorpusAppJSON(t *testing.T) {
	for _, row := range []struct{ key, name string }{
		{"name", "rails-shop"}, {"description", "rails-shop"}, {"keywords", "rails-shop"}, {"website", "rails-shop"},
		{"repository", "rails-shop"}, {"logo", "rails-shop"}, {"success_url", "rails-shop"},
		{"env.* string", "env-kinds"}, {"env.* object", "env-kinds"}, {"env.* null", "env-null"}, {"env.* number", "json-wrong-types"},
		{"env.*.description", "env-kinds"}, {"env.*.value", "env-kinds"}, {"env.*.required", "env-kinds"},
		{"env.*.generator", "env-kinds"}, {"env.*.sync", "env-kinds"}, {"env.*.value null", "json-nulls"},
		{"scripts.postdeploy", "scripts-all"}, {"scripts.pr-predestroy", "scripts-all"},
		{"scripts.dokku.predeploy", "scripts-all"}, {"scripts.dokku.postdeploy", "scripts-all"},
		{"formation.*.quantity", "formation-kinds"}, {"formation.*.size", "formation-kinds"}, {"formation.*.max_parallel", "formation-kinds"},
		{"formation.*.autoscaling.min_quantity", "formation-kinds"}, {"formation.*.autoscaling.max_quantity", "formation-kinds"},
		{"formation.*.autoscaling.cooldown_period_seconds", "formation-kinds"}, {"formation.*.autoscaling.polling_interval_seconds", "formation-kinds"},
		{"formation.*.autoscaling.triggers", "formation-kinds"}, {"formation.*.service.exposed", "formation-kinds"},
		{"addons[] string", "addons-kinds"}, {"addons[] object", "addons-kinds"},
		{"addons[].plan", "addons-kinds"}, {"addons[].as", "addons-kinds"}, {"addons[].options", "addons-kinds"}, {"addons", "addons-mapped"},
		{"buildpacks[].url", "buildpacks-kinds"}, {"stack", "buildpacks-kinds"}, {"stack", "container-stack"}, {"image", "container-stack"},
		{"environments.test.env.*", "environments-kinds"}, {"environments.test.formation.*.quantity", "environments-kinds"},
		{"environments.test.addons[]", "environments-kinds"}, {"environments.test.buildpacks[].url", "environments-kinds"},
		{"environments.test.stack", "environments-kinds"}, {"environments.test.scripts.test-setup", "environments-kinds"},
		{"environments.test.scripts.test", "environments-kinds"}, {"environments.review.env.*", "environments-kinds"},
		{"environments.review.formation.*.quantity", "environments-kinds"}, {"environments.review.scripts.postdeploy", "environments-kinds"},
		{"environments.review.scripts.pr-predestroy", "environments-kinds"},
		{"healthchecks.*[].type", "healthchecks-every-field"}, {"healthchecks.*[].name", "healthchecks-every-field"},
		{"healthchecks.*[].description", "healthchecks-every-field"}, {"healthchecks.*[].path", "healthchecks-every-field"},
		{"healthchecks.*[].port", "healthchecks-every-field"}, {"healthchecks.*[].scheme", "healthchecks-every-field"},
		{"healthchecks.*[].content", "healthchecks-every-field"}, {"healthchecks.*[].command", "healthchecks-every-field"},
		{"healthchecks.*[].httpHeaders[].name", "healthchecks-every-field"}, {"healthchecks.*[].httpHeaders[].value", "healthchecks-every-field"},
		{"healthchecks.*[].attempts", "healthchecks-every-field"}, {"healthchecks.*[].initialDelay", "healthchecks-every-field"},
		{"healthchecks.*[].timeout", "healthchecks-every-field"}, {"healthchecks.*[].wait", "healthchecks-every-field"},
		{"healthchecks.*[].uptime", "healthchecks-every-field"}, {"healthchecks.*[].listening", "healthchecks-every-field"},
		{"healthchecks.*[].warn", "healthchecks-every-field"}, {"healthchecks.*[].onFailure", "healthchecks-every-field"},
		{"cron[].command", "cron-only"}, {"cron[].schedule", "cron-only"}, {"cron[].maintenance", "cron-only"},
		{"cron[].concurrency_policy", "cron-only"}, {"cron[].command", "cron-shell"},
	} {
		keys := map[string]bool{}
		for _, text := range corpusTexts(t, row.name, appJSONName) {
			plain, err := hujson.Standardize(text)
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			var value any
			if err := json.Unmarshal(plain, &value); err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			shape(value, "", "", keys)
		}
		if !keys[row.key] {
			t.Errorf("%s: app.json has no %s", row.name, row.key)
		}
	}
}

// TestCorpusTexts asks for each row of CI-AND-MANIFEST-FACTS 4.8, and the rows about
// the syntax of app.json: the oddity stands in that file, and the reader does with
// it what the column "Us" says.
func TestCorpusTexts(t *testing.T) {
	const accepted, warned, refused = "accepted", "warned", "refused"
	for _, row := range []struct{ name, file, text, outcome, says string }{
		{"upper-and-underscore", procfileName, `(?m)^Worker_1:`, refused, "Procfile:2:1: .*write worker-1"},
		{"odd-names", procfileName, `(?m)^w{63}:`, accepted, ""},
		{"odd-names-refused", procfileName, `(?m)^web\.1:`, refused, "Procfile:1:1: .*write web-1"},
		{"duplicate-process", procfileName, `(?s)\bweb:.*\nweb:`, refused, "Procfile:3:1: .*line 1"},
		{"duplicate-after-folding", procfileName, `mail-worker:[^\n]*\nMail_Worker:`, refused, "Procfile:3:1: .*same process type"},
		{"junk-line", procfileName, `(?m)^bundle exec`, refused, "Procfile:2:1: "},
		{"merge-marker", procfileName, `(?m)^<<<<<<< `, refused, "Procfile:1:1: .*merge conflict"},
		{"comments", procfileName, `(?m)^ +#`, accepted, ""},
		{"comments-slashes", procfileName, `(?m)^//`, warned, "Procfile:1:1: "},
		{"comment-after-command", procfileName, `(?m)\$PORT +# `, warned, "Procfile:1:30: "},
		{"hash-in-quotes", procfileName, `'Room # 9'`, warned, "Procfile:1:40: "},
		{"empty-command", procfileName, `(?m)^web:$`, refused, "Procfile:1:1: "},
		{"windows-crlf", procfileName, `\r\n`, warned, "Procfile:1:"},
		{"windows-bom", procfileName, "^\ufeff", warned, "Procfile:1:1: .*byte order mark"},
		{"long-line", procfileName, `(?m)^worker: .{1000}`, refused, "Procfile:2:1: .*64 KiB"},
		{"no-space-after-colon", procfileName, `(?m)^web:\./`, accepted, ""},
		{"space-before-colon", procfileName, `(?m)^web :`, warned, "Procfile:1:4: "},
		{"leading-space", procfileName, `(?m)^  web:`, warned, "Procfile:1:3: "},
		{"no-port", procfileName, `--port 8080`, warned, "Procfile:1:6: .*PORT"},
		{"port-in-braces", procfileName, `\$\{PORT\}`, accepted, ""},
		{"fastapi-default-port", procfileName, `\$\{PORT:-5000\}`, accepted, ""},
		{"rails-shop", procfileName, `(?m)^release:`, accepted, ""},
		{"release-only", procfileName, `^release:[^\n]*\n$`, warned, "Procfile: .*release"},
		{"empty-procfile", procfileName, `^$`, refused, "Procfile: "},
		{"empty-with-dockerfile", procfileName, `^#[^\n]*\n$`, warned, "Procfile: "},
		{"tabs-and-trailing-space", procfileName, "\t\\./serve.*  \t\n", accepted, ""},
		{"no-last-newline", procfileName, `\./clock$`, accepted, ""},
		{"no-last-newline", appJSONName, `}$`, accepted, ""},
		{"colons-and-quotes", procfileName, `'x: y'`, accepted, ""},
		{"latin-1", procfileName, `gr`, refused, "Procfile:1:27: .*UTF-8"},
		{"escape-in-line", procfileName, `\x1b\[1m`, refused, "Procfile:2:16: .*control character"},
		{"json-comments", appJSONName, `(?m)^//`, warned, "app.json:1:1: .*comments"},
		{"json-comments", appJSONName, `,\s*\}`, warned, "app.json:6:21: .*comma"},
		{"json-duplicate-key", appJSONName, `(?s)"scripts".*"scripts"`, refused, "app.json:4:3: .*twice"},
		{"json-duplicate-escaped", appJSONName, `descri\\u0070tion`, refused, "app.json:4:3: .*twice"},
		{"json-multi-line-script", appJSONName, `\\n\./warm`, accepted, ""},
		{"json-raw-line-break", appJSONName, `\./seed\n`, refused, "app.json:3:"},
		{"json-missing-comma", appJSONName, `"half"\n`, refused, "app.json:3:3: "},
		{"windows-crlf", appJSONName, `\r\n`, warned, "app.json:5:3: .*formation"},
		{"windows-bom", appJSONName, "^\ufeff", warned, "app.json:1:1: .*byte order mark"},
	} {
		t.Run(row.name, func(t *testing.T) {
			texts := corpusTexts(t, row.name, row.file)
			if len(texts) != 1 || !regexp.MustCompile(row.text).Match(texts[0]) {
				t.Fatalf("%s has nothing like %s", row.file, row.text)
			}
			app, found := Load(os.DirFS(filepath.Join(corpusRoot, row.name)), Options{})
			about := slices.DeleteFunc(slices.Clone(found), func(d Diagnostic) bool { return d.File != row.file })
			outcome := accepted
			switch {
			case app == nil && about.Failed():
				outcome = refused
			case len(about) > 0:
				outcome = warned
			}
			if outcome != row.outcome || !regexp.MustCompile(row.says).MatchString(told(about)) {
				t.Errorf("%s, not %s:\n%s\ndoes not say %s", outcome, row.outcome, told(about), row.says)
			}
		})
	}
}

// corpusNames are the folders of the corpus.
func corpusNames(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(corpusRoot)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// corpusTexts returns the file of an app of the corpus, or nothing where it has none.
func corpusTexts(t testing.TB, name, file string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpusRoot, name, file))
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		t.Fatal(err)
	}
	return [][]byte{text}
}

// shape collects the paths of a JSON value, each alone and with its kind.
func shape(value any, path, key string, keys map[string]bool) {
	kind := "null"
	switch value := value.(type) {
	case string:
		kind = "string"
	case float64:
		kind = "number"
	case bool:
		kind = "boolean"
	case []any:
		kind = "list"
		keys[path+"[]"] = true
		for _, element := range value {
			shape(element, path+"[]", "", keys)
		}
	case map[string]any:
		kind = "object"
		for name, entry := range value {
			inner := name
			if key == "env" || key == "formation" || key == "healthchecks" {
				name, inner = "", "*"
			}
			shape(entry, strings.TrimPrefix(path+"."+inner, "."), name, keys)
		}
	}
	keys[path], keys[path+" "+kind] = true, true
}

// understood prints what was read of a project, a line a thing, and then what was
// said about it. What nobody said is left out.
func understood(app *App, found Diagnostics) string {
	text := &strings.Builder{}
	if app == nil {
		fmt.Fprintln(text, "refused")
	} else {
		fmt.Fprintln(text, "loads")
		if app.Procfile != nil {
			for _, process := range app.Procfile.Processes {
				fmt.Fprintf(text, "process %s: %s\n", process.Name, process.Command)
			}
		}
		if app.AppJSON != nil {
			printFields(text, "", reflect.ValueOf(*app.AppJSON))
		}
		rest := *app
		if app.AppJSON != nil && reflect.DeepEqual(app.AppJSON.Healthchecks, app.Healthchecks) {
			rest.Healthchecks = nil // those of app.json: printed already
		}
		rest.Procfile, rest.AppJSON, rest.ProcfileText, rest.AppJSONText = nil, nil, "", ""
		printFields(text, "app.", reflect.ValueOf(rest))
	}
	for _, d := range found {
		severity, place := "advice", d.File
		if d.Severity == Mistake {
			severity = "mistake"
		}
		if d.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
		}
		fmt.Fprintf(text, "%s %s %s\n", severity, place, d.Message)
	}
	return text.String()
}

// printFields prints a line for each field of a struct, or for each entry of it.
func printFields(text *strings.Builder, where string, v reflect.Value) {
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		printEntries(text, where+fieldName(v.Type().Field(i).Name), v.Field(i))
	}
}

func printEntries(text *strings.Builder, where string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() != reflect.Int && v.Elem().Kind() != reflect.Bool:
		printEntries(text, where, v.Elem())
	case v.IsZero():
	case v.Kind() == reflect.Struct:
		printFields(text, where+".", v)
	case v.Kind() == reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			entry := v.MapIndex(key)
			if entry.Kind() == reflect.Slice || entry.Kind() == reflect.Map {
				printEntries(text, where+" "+key.String(), entry)
				continue
			}
			fmt.Fprintf(text, "%s %s: %s\n", where, key, inline(entry))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			fmt.Fprintf(text, "%s[%d]: %s\n", where, i, inline(v.Index(i)))
		}
	default:
		fmt.Fprintf(text, "%s: %s\n", where, inline(v))
	}
}

// inline prints a value in one line.
func inline(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String()
	}
	var parts []string
	if variable, ok := v.Interface().(EnvVar); ok && !variable.Required {
		parts = append(parts, "optional")
	}
	switch v.Kind() {
	case reflect.Pointer:
		return inline(v.Elem())
	case reflect.String:
		if quoted := strconv.Quote(v.String()); strings.ContainsAny(v.String(), " ={}[]\\") || len(quoted) != v.Len()+2 || v.Len() == 0 {
			return quoted
		}
		return v.String()
	case reflect.Struct:
		for i := range v.NumField() {
			name := fieldName(v.Type().Field(i).Name)
			switch field := v.Field(i); {
			case field.IsZero(), !v.Type().Field(i).IsExported():
			case field.Kind() == reflect.Bool:
				parts = append(parts, name)
			default:
				parts = append(parts, name+"="+braced(field))
			}
		}
		if len(parts) == 0 {
			return "-"
		}
		return strings.Join(parts, " ")
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, braced(v.Index(i)))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case reflect.Map:
		for _, key := range v.MapKeys() {
			parts = append(parts, key.String()+"="+braced(v.MapIndex(key)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

func braced(v reflect.Value) string {
	if v.Kind() == reflect.Struct {
		return "{" + inline(v) + "}"
	}
	return inline(v)
}

// fieldName is a field's name as it is written in the files: MaxParallel is maxParallel,
// URL is url.
func fieldName(name string) string {
	if strings.ToUpper(name) == name {
		return strings.ToLower(name)
	}
	runes := []rune(name)
	runes[0] = unicode.ToLower(runes[0])
	return string(runes)
}
