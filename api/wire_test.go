package api

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wire are the bodies that travel by themselves; whatever else travels is part of one.
var wire = []any{Hello{}, HostRequest{}, Diagnosis{}, AppState{}, Drift{}, PlanRequest{}, Plan{}, ReleaseRequest{}, RollbackRequest{}, PromoteRequest{}, HostBuild{}, HostBuildKit{}, Statement{}, Event{}, Error{}, AuthRequest{}, AuthAnswer{}}

// TestWire: every body has the names that both programs and other people's scripts know,
// and comes back as it was. A name that is changed or forgotten fails.
func TestWire(t *testing.T) {
	bodies := map[string]any{}
	for _, zero := range wire {
		kind := reflect.TypeOf(zero)
		full := reflect.New(kind)
		fill(t, kind.Name(), full.Elem())
		bodies[kind.Name()] = full.Interface()
		text, err := json.Marshal(full.Interface())
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(kind)
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(back.Interface()); err != nil {
			t.Errorf("%s: %v", kind.Name(), err)
		}
		if diff := cmp.Diff(full.Interface(), back.Interface()); diff != "" {
			t.Errorf("%s does not come back as it was (-sent +heard):\n%s", kind.Name(), diff)
		}
	}
	got, err := json.MarshalIndent(bodies, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	golden := filepath.Join("testdata", "wire.json")
	if os.Getenv("DOKKU_PUSH_UPDATE") == "1" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("the wire is not what %s says; if that is meant, is Protocol to be raised? DOKKU_PUSH_UPDATE=1 go test ./api (-want +got):\n%s", golden, diff)
	}
}

// fill sets everything in value that travels: one element in what has many.
func fill(t *testing.T, path string, value reflect.Value) {
	t.Helper()
	switch value.Kind() {
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int64:
		value.SetInt(7)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, path, value.Elem())
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, path, value.Index(0))
	case reflect.Map:
		key, element := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		fill(t, path, key)
		fill(t, path, element)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(key, element)
	case reflect.Struct:
		if value.Type() == reflect.TypeFor[time.Time]() {
			value.Set(reflect.ValueOf(time.Date(2026, 11, 21, 10, 0, 0, 7, time.UTC)))
			return
		}
		for i := range value.NumField() {
			field := value.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				t.Errorf("%s.%s has no name on the wire", path, field.Name)
			}
			if name != "-" {
				fill(t, path+"."+field.Name, value.Field(i))
			}
		}
	default:
		t.Errorf("%s is a %s, which nobody here has thought of", path, value.Kind())
	}
}

// TestWireIsWhole: a type with names for the wire that no body reaches is not looked at
// by TestWire.
func TestWireIsWhole(t *testing.T) {
	reached := map[string]bool{}
	for _, zero := range wire {
		reach(reflect.TypeOf(zero), reached)
	}
	tagged := 0
	for _, file := range sources(t) {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, isType := node.(*ast.TypeSpec)
			if !isType {
				return true
			}
			body, isStruct := spec.Type.(*ast.StructType)
			if !isStruct || len(body.Fields.List) == 0 || body.Fields.List[0].Tag == nil {
				return true
			}
			tagged++
			if !reached[spec.Name.Name] {
				t.Errorf("%s travels, and no body in wire holds it", spec.Name.Name)
			}
			return true
		})
	}
	if tagged < 20 {
		t.Errorf("only %d types found", tagged)
	}
}

func reach(kind reflect.Type, reached map[string]bool) {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		reach(kind.Elem(), reached)
	case reflect.Struct:
		if reached[kind.Name()] || kind == reflect.TypeFor[time.Time]() {
			return
		}
		reached[kind.Name()] = true
		for i := range kind.NumField() {
			reach(kind.Field(i).Type, reached)
		}
	}
}

// TestStreamWords: the words of the event stream that a reader compares with.
func TestStreamWords(t *testing.T) {
	for kind, want := range map[string]string{
		"EventType":   "version step output warning progress plan verdict",
		"StepStatus":  "started done failed undone",
		"Action":      "add change remove",
		"Severity":    "error warning",
		"HealthLevel": "ok warning failure",
	} {
		if got := strings.Join(declared(t, kind), " "); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

// TestVerdictSaysNo: what a reader decides by is there when it is false.
func TestVerdictSaysNo(t *testing.T) {
	for value, want := range map[any]string{
		&Verdict{}:        `{"ok":false,"changed":false}`,
		&Failure{}:        `{"container":"","exit_code":0,"running":false,"oom_killed":false}`,
		&AppState{}:       `{"app":"","exists":false,"hash":""}`,
		&RegistryAuth{}:   `{}`,
		&Declared{}:       `{}`,
		new(Progress):     `{"name":"","done":0,"total":0}`,
		&Output{}:         `{"source":"","text":""}`,
		&Error{}:          `{"code":"","message":""}`,
		&ReleaseRequest{}: `{"document":{"image":{"id":"","manifest":""},"builder":"","source":{}}}`,
	} {
		if got, err := json.Marshal(value); err != nil || string(got) != want {
			t.Errorf("%T: %s, want %s (%v)", value, got, want, err)
		}
	}
}

// TestDeclaredTellsNoneFromNothing: no domains at all is not the same as no word about them.
func TestDeclaredTellsNoneFromNothing(t *testing.T) {
	for text, want := range map[string]*[]string{`{}`: nil, `{"domains":[]}`: {}, `{"domains":["a"]}`: {"a"}} {
		var declared Declared
		if err := json.Unmarshal([]byte(text), &declared); err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(Declared{Domains: want})
		if diff := cmp.Diff(want, declared.Domains); err != nil || diff != "" || string(back) != text {
			t.Errorf("%s: wrote %s (%v)\n%s", text, back, err, diff)
		}
	}
}

// declared are the values of the constants of a type, in the order of the source.
func declared(t *testing.T, kind string) (values []string) {
	t.Helper()
	for _, file := range sources(t) {
		for _, one := range file.Decls {
			block, isBlock := one.(*ast.GenDecl)
			if !isBlock || block.Tok != token.CONST {
				continue
			}
			for _, spec := range block.Specs {
				constant := spec.(*ast.ValueSpec)
				if named, ok := constant.Type.(*ast.Ident); !ok || named.Name != kind {
					continue
				}
				for _, value := range constant.Values {
					text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, text)
				}
			}
		}
	}
	if len(values) == 0 {
		t.Errorf("no constants of type %s", kind)
	}
	return values
}

// sources are the package's files.
func sources(t *testing.T) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
