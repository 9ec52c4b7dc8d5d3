package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUpdate: fetched, put in its place, and told; what is broken is taken back.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	repository := repositoryOf(t, "one", map[string]string{"update": writes(""), "which": "one"})
	must(t, w.Install(ctx, Wanted{URL: "file://" + repository}))
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "two", map[string]string{"update": writes("")})}))
	read := func() string {
		text, err := os.ReadFile(filepath.Join(w.Path, "available", "one", "which"))
		must(t, err)
		return string(text)
	}
	must(t, w.Update(ctx, "one", ""))
	first := gitIn(t, repository, "rev-parse", "HEAD")
	commit(t, repository, map[string]string{"which": "two"})
	must(t, os.WriteFile(filepath.Join(w.Path, "available", "one", "own"), []byte("kept"), 0o600))
	must(t, w.Update(ctx, "", ""))
	if got := w.logged(t); got != "one update;two update;one update;two update" || read() != "two" || !strings.Contains(w.out.String(), "Plugin two is no git repository") {
		t.Errorf("%s, %s, %s", got, read(), &w.out)
	}
	if text, err := os.ReadFile(filepath.Join(w.Path, "available", "one", "own")); err != nil || string(text) != "kept" {
		t.Errorf("an untracked file is %q, %v", text, err)
	}
	before := w.state(t)
	commit(t, repository, map[string]string{"which": "three", "plugin.toml": "[plugin]\nversion\n"})
	if err := w.Update(ctx, "one", ""); err == nil || !strings.Contains(err.Error(), "one/plugin.toml:2:") {
		t.Errorf("a broken plugin.toml: %v", err)
	}
	commit(t, repository, map[string]string{"plugin.toml": plainTOML, "update": writes("exit 4")})
	if err := w.Update(ctx, "one", ""); Code(err) != 4 {
		t.Errorf("a failing update: %v", err)
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Error(diff)
	}
	w.logged(t)
	must(t, w.Update(ctx, "one", first))
	if got := w.logged(t); got != "one update;two update" || read() != "one" {
		t.Errorf("%s, %s", got, read())
	}
	said := len(w.out.String())
	must(t, w.Update(ctx, "one", "")) // it stays where it was put
	if read() != "one" || !strings.Contains(w.out.String()[said:], "Plugin one updated and pinned to "+first) {
		t.Errorf("a pinned plugin moved: %s", w.out.String()[said:])
	}
	for name, want := range map[string]string{"none": "is not installed", "config": "is a plugin of the core", "../x": "is no plugin name"} {
		if err := w.Update(ctx, name, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUninstall: every plugin is asked; one that refuses keeps it.
func TestUninstall(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "one", map[string]string{"uninstall": writes("")})}))
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "two", map[string]string{"uninstall": writes(`[[ "$1" == two ]] && exit 0`)})}))
	before := w.state(t)
	if err := w.Uninstall(ctx, "one"); Code(err) != 1 || !strings.Contains(w.err.String(), "two fails for the name of another") {
		t.Errorf("%v, %s", err, &w.err)
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Error(diff)
	}
	must(t, w.Uninstall(ctx, "two"))
	must(t, w.Uninstall(ctx, "one"))
	if got := w.logged(t); got != "one uninstall one;two uninstall one;one uninstall two;two uninstall two;one uninstall one" || w.names(t) != "" {
		t.Errorf("%s, left is %s", got, w.names(t))
	}
	if left, err := os.ReadDir(filepath.Join(w.Path, "available")); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	if err := w.Uninstall(ctx, "one"); err == nil || !strings.Contains(err.Error(), "is not installed") {
		t.Errorf("twice: %v", err)
	}
}

func TestEnableDisable(t *testing.T) {
	w := newWorld(t)
	must(t, w.Fetch(ctx, Wanted{URL: folderOf(t, "one", map[string]string{"install": writes("")})}))
	if w.names(t) != "one" || w.logged(t) != "" || !w.Installed("one") || w.Installed("two") || w.Installed("../available/one") {
		t.Errorf("fetched: %s", w.names(t))
	}
	for range 2 {
		must(t, w.Enable(ctx, "one"))
	}
	if w.names(t) != "one+" {
		t.Errorf("enabled: %s", w.names(t))
	}
	for range 2 {
		must(t, w.Disable(ctx, "one"))
	}
	for _, name := range []string{"two", "apps", "", "-x", "a/b", "../available/one"} {
		if w.Enable(ctx, name) == nil || w.Disable(ctx, name) == nil || w.Uninstall(ctx, name) == nil || w.Remove(ctx, name) == nil || w.Pull(ctx, name, "") == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	must(t, w.Remove(ctx, "one"))
	if w.names(t) != "" {
		t.Errorf("removed: %s", w.names(t))
	}
}

// TestCore: links into the tree of the core are the core's; a plugin that somebody put
// under a core name is not.
func TestCore(t *testing.T) {
	w := newWorld(t)
	core := filepath.Join(filepath.Dir(w.Path), "core-plugins", "available", "apps")
	must(t, os.MkdirAll(core, 0o755))
	fill(t, core, map[string]string{})
	for _, dir := range []string{"available", "enabled"} {
		must(t, os.MkdirAll(filepath.Join(w.Path, dir), 0o755))
	}
	must(t, os.Symlink(core, filepath.Join(w.Path, "available", "apps")))
	must(t, os.Symlink(filepath.Join(w.Path, "available", "apps"), filepath.Join(w.Path, "enabled", "apps")))
	fill2 := filepath.Join(w.Path, "available", "config")
	must(t, os.MkdirAll(fill2, 0o755))
	fill(t, fill2, map[string]string{"plugin.toml": "[plugin]\nversion = \"2\"\n"})
	list, err := w.List(ctx)
	must(t, err)
	want := []Plugin{{Name: "apps", Version: "0.1.0", Enabled: true, Core: true, Description: "a test"}, {Name: "config", Version: "2"}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if got := list[0].Line() + "\n" + list[1].Line(); got != "  apps                 0.1.0 enabled    a test\n  config               2     disabled" {
		t.Errorf("listed as\n%s", got)
	}
	if err := w.Disable(ctx, "apps"); err == nil {
		t.Error("disabled a plugin of the core")
	}
	must(t, w.Enable(ctx, "config"))
	must(t, w.Disable(ctx, "config"))
	must(t, w.Uninstall(ctx, "config"))
}

// TestNested: a trigger that manages plugins does not wait for the command it runs in.
func TestNested(t *testing.T) {
	w := newWorld(t)
	must(t, w.change(ctx, "test", func() error {
		if os.Getenv(heldVariable) != w.Path {
			t.Error("a trigger is not told")
		}
		return w.Init(ctx)
	}))
	if os.Getenv(heldVariable) != "" {
		t.Error("it is told for ever")
	}
	// What a killed command left goes.
	must(t, os.MkdirAll(filepath.Join(w.Path, "available", scratch+"1", "x"), 0o755))
	must(t, w.Init(ctx))
	if left, err := os.ReadDir(filepath.Join(w.Path, "available")); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "one", map[string]string{"plugin.toml": plainTOML + "mode = \"fast\"\ntwo-words = \"x\"\n",
		"act": bash + "echo \"$CONFIG_MODE $CONFIG_TWO_WORDS\" >> \"$LOG\"\n"})}))
	must(t, w.SetConfig(ctx, "one", "mode", `it's "slow"`))
	if value, found, err := w.Config("one", "mode"); err != nil || !found || value != `it's "slow"` {
		t.Errorf("%q, %t, %v", value, found, err)
	}
	if value, found, err := w.Config("one", "two-words"); err != nil || !found || value != "x" {
		t.Errorf("%q, %t, %v", value, found, err)
	}
	if _, found, err := w.Config("one", "none"); err != nil || found {
		t.Errorf("%t, %v", found, err)
	}
	exports, err := w.Exports("one")
	must(t, err)
	if diff := cmp.Diff([]string{`CONFIG_MODE=it's "slow"`, "CONFIG_TWO_WORDS=x"}, exports); diff != "" {
		t.Error(diff)
	}
	must(t, w.Fire(ctx, "act", nil, streams(w)))
	if got := w.logged(t); got != `it's "slow" x` {
		t.Errorf("a hook finds %q", got)
	}
	for _, key := range []string{"", "a b", "-x", "a\nb"} {
		if err := w.SetConfig(ctx, "one", key, "x"); err == nil {
			t.Errorf("%q was set", key)
		}
	}
	must(t, os.WriteFile(w.configFile(), []byte("[one]\nx =\n"), 0o644))
	if err := w.SetConfig(ctx, "one", "mode", "x"); err == nil || !strings.Contains(err.Error(), "config.toml:2") {
		t.Errorf("a broken config.toml: %v", err)
	}
}

func TestTriggerName(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "one", map[string]string{"act": writes("cat >> \"$LOG\"; exit 3")})}))
	if err := w.Trigger(ctx, "act", []string{"a b", ""}, strings.NewReader("stdin")); Code(err) != 3 || w.logged(t) != "one act a b;stdin" {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", "../one/act", "/bin/sh", ".x", "-x", "a b"} {
		if err := w.Trigger(ctx, name, nil, nil); err == nil || !strings.Contains(err.Error(), "is no trigger's name") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestKilled: what a killed command has put in its place is undone by the next.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	must(t, w.Install(ctx, Wanted{URL: folderOf(t, "one", map[string]string{"which": "former"})}))
	before := w.state(t)
	work, err := w.workFolder()
	must(t, err)
	must(t, note(work, "update", "one"))
	must(t, os.Rename(w.available("one"), filepath.Join(work, formerFolder)))
	must(t, os.Mkdir(w.available("one"), 0o755))
	fill(t, w.available("one"), map[string]string{"which": "new"})
	other, err := w.workFolder()
	must(t, err)
	must(t, note(other, "install", "two"))
	must(t, os.Mkdir(w.available("two"), 0o755))
	third, err := w.workFolder() // killed before anything was put anywhere
	must(t, err)
	must(t, note(third, "update", "one"))
	must(t, w.change(ctx, "test", func() error { return nil }))
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Error(diff)
	}
	if said := w.err.String(); !strings.Contains(said, "two was not installed") || !strings.Contains(said, "one was not updated") {
		t.Errorf("it says %s", said)
	}
	hostile, err := w.workFolder()
	must(t, err)
	must(t, note(hostile, "install", "../../x"))
	if err := w.change(ctx, "test", func() error { return nil }); err == nil {
		t.Error("a path was taken for a name")
	}
}
