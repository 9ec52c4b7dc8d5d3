package agent

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dokku-push/dokku-push/api"
)

func TestContainerCommand(t *testing.T) {
	shell := func(line string) []string { return []string{"/bin/sh", "-c", line} }
	for line, want := range map[string][]string{
		"":                        nil,
		"  ":                      nil,
		"node server.js":          {"node", "server.js"},
		"  a   b ":                {"a", "b"},
		"./bin/web -p 80 --x=y":   {"./bin/web", "-p", "80", "--x=y"},
		"serve -p $PORT":          shell("serve -p $PORT"),
		"a && b":                  shell("a && b"),
		"a | b":                   shell("a | b"),
		"a > b":                   shell("a > b"),
		"a; b":                    shell("a; b"),
		`say "a b"`:               shell(`say "a b"`),
		"say 'a b'":               shell("say 'a b'"),
		"ls *.js":                 shell("ls *.js"),
		"cd /app":                 shell("cd /app"),
		"exec node":               shell("exec node"),
		"A=1 node":                shell("A=1 node"),
		" A=1 node ":              shell("A=1 node"),
		"node a=1":                {"node", "a=1"},
		"if true":                 shell("if true"),
		"a `b`":                   shell("a `b`"),
		"python -m http.server 1": {"python", "-m", "http.server", "1"},
		"test -f x":               shell("test -f x"),
		"testing -f x":            {"testing", "-f", "x"},
	} {
		if diff := cmp.Diff(want, containerCommand(line)); diff != "" {
			t.Errorf("%q:\n%s", line, diff)
		}
	}
	if diff := cmp.Diff([]string{"/bin/sh", "-ec", "a\nb"}, scriptCommand("a\nb")); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutServing(t *testing.T) {
	for args, want := range map[string]string{
		"":                                 "",
		"-v /a:/b -e X=1":                  "-v /a:/b -e X=1",
		"-p 80:80 -v /a:/b":                "-v /a:/b",
		"--publish=80:80 -v /a:/b":         "-v /a:/b",
		"-P -v /a:/b":                      "-v /a:/b",
		"--publish-all -v /a:/b":           "-v /a:/b",
		"--restart always --label a=b":     "--label a=b",
		"--restart=always --label a=b":     "--label a=b",
		"-m 1g --memory=1g --cpus 2 -i":    "-i",
		"--memory-swap 1g --gpus all -i":   "-i",
		"--memory-reservation=1g --init":   "--init",
		"--network a -p 1:1 -p 2:2 --link": "--network a --link",
		"-v /a:/b -p":                      "-v /a:/b",
	} {
		if got := strings.Join(withoutServing(strings.Fields(args)), " "); got != want {
			t.Errorf("%q became %q, want %q", args, got, want)
		}
	}
}

func TestRetiring(t *testing.T) {
	for name, want := range map[string]bool{
		"shop.web.1": false, "shop.web.1.upcoming-abc": false, "shop.web.1.1700000000": true, "shop.web.1.1700000000-2": true,
		"shop.web.10": false, "shop.web.1.": false, "other.web.1.1700000000": false,
	} {
		if got := retiring("shop", Container{Name: name, Labels: map[string]string{labelDyno: "web.1"}}); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if retiring("shop", Container{Name: "shop.web.1.1700000000"}) {
		t.Error("a container without our labels is taken for one of ours")
	}
}

func TestFreeName(t *testing.T) {
	taken := map[string]string{"a": "1", "a-2": "2"}
	for _, want := range []string{"a-3", "a-4"} {
		if got := freeName(taken, "a"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := freeName(taken, "b"); got != "b" {
		t.Errorf("got %s", got)
	}
}

func TestRollbackTarget(t *testing.T) {
	record := func(version int, run string, healthy bool) Record {
		return Record{Release: api.Release{Version: version, Run: run, Healthy: healthy}}
	}
	releases := []Record{record(1, "a", true), record(2, "b", true), record(3, "c", false), record(4, "d", true), record(5, "d", true), record(6, "e", true)}
	for _, test := range []struct {
		current, asked, want int
		code                 api.Code
	}{
		{current: 6, want: 5},
		{current: 5, want: 2}, // v4 has the same image, v3 was not healthy
		{current: 2, want: 1},
		{current: 1, code: api.Precondition},
		{current: 0, code: api.Precondition},
		{current: 0, asked: 1, code: api.Precondition},
		{current: 6, asked: 3, want: 3},
		{current: 2, asked: 6, want: 6},
		{current: 6, asked: 6, want: 6},
		{current: 6, asked: 7, code: api.NotFound},
		{current: 6, asked: -1, code: api.NotFound},
	} {
		var current *Record
		if test.current > 0 {
			current = &releases[test.current-1]
		}
		got, err := rollbackTarget("shop", releases, current, test.asked)
		if test.code != "" {
			if got != nil || err == nil || api.AsError(err).Code != test.code {
				t.Errorf("%+v: got %+v, %v", test, got, err)
			}
			continue
		}
		if err != nil || got.Version != test.want {
			t.Errorf("%+v: got %+v, %v", test, got, err)
		}
	}
}

func TestBegunSteps(t *testing.T) {
	mark := func(step, state string) Entry {
		return Entry{Mark: &Mark{Step: step, State: state, Undo: json.RawMessage(`"` + step + state + `"`)}}
	}
	for _, test := range []struct {
		entries []Entry
		want    []string
		locked  bool
	}{
		{nil, nil, false},
		{[]Entry{{Begin: &Begin{}}, {Event: &api.Event{}}}, nil, false},
		{[]Entry{{Begin: &Begin{}}, mark("locked", "begin")}, nil, true},
		{[]Entry{mark("locked", "begin"), mark("fetch", "begin"), mark("fetch", "done"), mark("settings", "begin")}, []string{"fetch", "settings"}, true},
		{[]Entry{mark("locked", "begin"), mark("fetch", "begin"), mark("settings", "begin"), mark("settings", "undone")}, []string{"fetch"}, true},
		{[]Entry{mark("locked", "begin"), mark("fetch", "begin"), mark("settings", "begin"), mark("fetch", "undone")}, []string{"settings"}, true},
		{[]Entry{mark("locked", "begin"), mark("fetch", "begin"), mark("fetch", "undone"), mark("fetch", "begin")}, []string{"fetch"}, true},
		{[]Entry{mark("locked", "begin"), mark("record", "begin"), mark("recorded", "begin"), mark("retire", "begin")}, []string{"record"}, true},
	} {
		begun, locked := begunSteps(test.entries)
		var names []string
		for _, one := range begun {
			names = append(names, one.name)
			if string(one.undo) != `"`+one.name+`begin"` {
				t.Errorf("%s is undone with %s", one.name, one.undo)
			}
		}
		if diff := cmp.Diff(test.want, names); diff != "" || locked != test.locked {
			t.Errorf("locked %t, want %t\n%s", locked, test.locked, diff)
		}
	}
}

// fill fills a value with something out of few values, so that two of them often agree in part.
func fill(value reflect.Value, r *rand.Rand, most int) {
	switch value.Kind() {
	case reflect.Struct:
		for n := range value.NumField() {
			fill(value.Field(n), r, 0)
		}
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			value.Set(reflect.New(value.Type().Elem()))
			fill(value.Elem(), r, 0)
		}
	case reflect.Map:
		value.SetZero()
		for _, key := range []string{"A", "B", "C", "docker-options/_default_.deploy", "docker-options/_default_.run"} {
			if r.IntN(2) == 0 {
				continue
			}
			if value.IsNil() {
				value.Set(reflect.MakeMap(value.Type()))
			}
			one := reflect.New(value.Type().Elem()).Elem()
			fill(one, r, 1)
			if strings.HasPrefix(key, "docker-options/") && one.Kind() == reflect.String && one.String() == "" {
				continue // a list without a value is no list
			}
			value.SetMapIndex(reflect.ValueOf(key), one)
		}
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), most+r.IntN(3), 4))
		for n := range value.Len() {
			fill(value.Index(n), r, 0)
		}
	case reflect.String:
		value.SetString([]string{"", "x", "y", "x\ny", "y\nx", "z\ny"}[r.IntN(6)])
	case reflect.Bool:
		value.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		value.SetInt(r.Int64N(3))
	default:
		panic("fill knows no " + value.Kind().String())
	}
}

func anySettings(r *rand.Rand) (s Settings) {
	fill(reflect.ValueOf(&s).Elem(), r, 0)
	return s
}

// TestSettingsApply: what differs between two settings, applied to the one, makes the
// other, of whatever settings consist; nothing differs between equal ones.
func TestSettingsApply(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, b, c := anySettings(r), anySettings(r), anySettings(r)
		same := func(what string, want, got Settings) {
			t.Helper()
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d: %s (-want +got):\n%s", seed, what, diff)
			}
		}
		keptA, keptB := a.clone(), b.clone()
		now := a
		now.apply(a, b)
		same("forward", b, now)
		now.apply(b, a)
		same("and back", a, now)
		now = c
		now.apply(a, a)
		same("nothing", c, now)
		same("the one", keptA, a)
		same("the other", keptB, b)
	}
}

// TestSettingsUndo: taking back leaves what others have set meanwhile.
func TestSettingsUndo(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		before, after, others := anySettings(r), anySettings(r), anySettings(r)
		now := before
		now.apply(before, after)
		want := before.clone()
		for key := range others.Env {
			now.Env["OTHER_"+key], want.Env["OTHER_"+key] = others.Env[key], others.Env[key]
		}
		for key := range others.Scale {
			now.Scale["other-"+key], want.Scale["other-"+key] = others.Scale[key], others.Scale[key]
		}
		for key := range others.Properties {
			now.Properties["nginx/"+key], want.Properties["nginx/"+key] = others.Properties[key], others.Properties[key]
		}
		if slices.Equal(before.Domains, after.Domains) {
			now.Domains, want.Domains = others.Domains, others.Domains
		}
		if before.Template == after.Template {
			now.Template, want.Template = others.Template, others.Template
		}
		now.apply(after, before)
		if diff := cmp.Diff(want, now, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// leaves calls f for each simple value in a struct, one of each map, slice and pointer.
func leaves(value reflect.Value, path string, f func(path string, change func())) {
	switch value.Kind() {
	case reflect.Struct:
		for n := range value.NumField() {
			leaves(value.Field(n), path+"."+value.Type().Field(n).Name, f)
		}
	case reflect.Pointer:
		f(path, func() { value.Set(reflect.New(value.Type().Elem())) })
	case reflect.Map, reflect.Slice:
		f(path, func() {
			r := rand.New(rand.NewPCG(1, 2))
			for value.Len() == 0 {
				fill(value, r, 1)
			}
		})
	case reflect.String:
		f(path, func() { value.SetString("other") })
	case reflect.Bool:
		f(path, func() { value.SetBool(!value.Bool()) })
	default:
		f(path, func() { value.SetInt(value.Int() + 1) })
	}
}

// TestDocumentDigest: every field counts, but where the sources came from and the way
// that the layers took.
func TestDocumentDigest(t *testing.T) {
	document := api.ReleaseDocument{Image: api.Image{ID: "sha256:a"}, Config: nil, Procfile: "web: a"}
	plain := DocumentDigest(document)
	if again := DocumentDigest(document); again != plain || !strings.HasPrefix(plain, "sha256:") || len(plain) != 71 {
		t.Errorf("%s, then %s", plain, again)
	}
	config := func(keys ...string) api.ReleaseDocument {
		d := api.ReleaseDocument{Config: map[string]string{}}
		for _, key := range keys {
			d.Config[key] = "1"
		}
		return d
	}
	if DocumentDigest(config("A", "B")) != DocumentDigest(config("B", "A")) || DocumentDigest(config("A")) == DocumentDigest(config("B")) {
		t.Error("a digest is of what config says, in no order")
	}
	seen := map[string]string{plain: "nothing"}
	changed := document
	leaves(reflect.ValueOf(&changed).Elem(), "", func(path string, change func()) {
		changed = document
		change()
		digest := DocumentDigest(changed)
		ignored := strings.HasPrefix(path, ".Source.") || path == ".Image.Manifest" || path == ".Image.Registry"
		if ignored {
			if digest != plain {
				t.Errorf("%s changes the digest", path)
			}
			return
		}
		if path != ".Declared" { // an empty one declares nothing more than none
			if former, twice := seen[digest]; twice {
				t.Errorf("%s has the digest of %s", path, former)
			}
			seen[digest] = path
		}
	})
	if len(seen) < 6 {
		t.Errorf("only %d fields count: %v", len(seen), seen)
	}
	declared := api.Declared{}
	seen = map[string]string{DocumentDigest(api.ReleaseDocument{Declared: &api.Declared{}}): "nothing"}
	leaves(reflect.ValueOf(&declared).Elem(), "", func(path string, change func()) {
		declared = api.Declared{}
		change()
		digest := DocumentDigest(api.ReleaseDocument{Declared: &declared})
		if former, twice := seen[digest]; twice {
			t.Errorf("Declared%s has the digest of %s", path, former)
		}
		seen[digest] = path
	})
}

func TestLines(t *testing.T) {
	var got []string
	out := &lines{say: func(line string) { got = append(got, line) }}
	for _, text := range []string{"a\nb", "c\r\n", "\n", "end"} {
		if n, err := fmt.Fprint(out, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	out.flush()
	out.flush()
	if diff := cmp.Diff([]string{"a", "bc", "", "end"}, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	fmt.Fprint(out, strings.Repeat("x", 5*longestLine))
	out.flush()
	total := 0
	for _, line := range got {
		total += len(line)
		if len(line) > longestLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if len(got) < 5 || total < 5*longestLine-len(got) {
		t.Errorf("%d lines with %d bytes of a long one", len(got), total)
	}
}

func TestLimitedBuffer(t *testing.T) {
	var b limitedBuffer
	for range 3 {
		if n, err := b.Write(make([]byte, 30<<10)); n != 30<<10 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := len(b.String()); n != 64<<10 {
		t.Errorf("%d bytes were kept", n)
	}
}

// TestMasked: a value that is a part of another one leaves nothing of it to be read.
func TestMasked(t *testing.T) {
	env := map[string]string{"A": "word", "B": "password-word-1", "C": "word-1", "D": "abc"}
	if got := masked("x password-word-1 word word-1 abc", env); got != "x **** **** **** abc" {
		t.Errorf("got %q", got)
	}
	if got := masked("+# one line\n+# another\n-# former", map[string]string{"A": "one line\n# another\n"}, map[string]string{"A": "former"}); got != "+# ****\n+****\n-# ****" {
		t.Errorf("got %q", got)
	}
}
