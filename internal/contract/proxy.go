package contract

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// ProxyWorld is a proxy that serves no app yet.
type ProxyWorld struct {
	Proxy  agent.Proxy
	Places agent.Places
	// File is an app's file; who asks the app then gets an answer with the text in it. A
	// file with a line "nonsense;" behind it is refused.
	File func(app, text string) []byte
	// Serves tells whether who asks the app now gets the text. Empty: nobody answers.
	Serves func(app, text string) bool
}

const (
	app    = "shop"
	broken = "nonsense;\n"
)

// Proxy is what every agent.Proxy must do.
func Proxy(t *testing.T, w ProxyWorld) {
	ctx := t.Context()
	must(t, os.MkdirAll(w.Places.App(app), 0o755))
	kept := w.Places.Kept(app, "request")
	must(t, os.MkdirAll(filepath.Dir(kept), 0o755))
	one, two := w.File(app, "one"), w.File(app, "two")
	bad := append(append([]byte{}, two...), broken...)
	swap := func(conf []byte, preReload func() error, wantReload bool) {
		t.Helper()
		reloaded, err := w.Proxy.Swap(ctx, app, conf, kept, preReload)
		if err != nil || reloaded != wantReload {
			t.Errorf("swapped with a reload: %t, %v; want %t", reloaded, err, wantReload)
		}
	}

	must(t, w.Proxy.Restore(ctx, app, kept)) // nothing was ever kept
	must(t, w.Proxy.Check(ctx, app, one))
	if err := w.Proxy.Check(ctx, app, bad); err == nil {
		t.Error("a broken file is none")
	}
	w.is(t, nil, "")

	swap(one, nil, true)
	w.is(t, one, "one")
	swap(one, nil, false)
	swap(two, nil, true)
	w.is(t, two, "two")
	for range 3 { // as often as there are recoveries
		must(t, w.Proxy.Restore(ctx, app, kept))
		w.is(t, one, "one")
	}
	if _, err := w.Proxy.Swap(ctx, app, bad, kept, nil); err == nil {
		t.Error("a broken file was taken")
	}
	w.is(t, one, "one")
	refuses := errors.New("a plugin refuses")
	if _, err := w.Proxy.Swap(ctx, app, two, kept, func() error { return refuses }); !errors.Is(err, refuses) {
		t.Errorf("got %v", err)
	}
	w.is(t, one, "one")
	swap(one, func() error { return os.WriteFile(w.Places.NginxConf(app), two, 0o644) }, true)
	w.is(t, two, "two") // what a plugin has made of it

	for range 2 {
		must(t, w.Proxy.Remove(ctx, app))
		w.is(t, nil, "")
	}
	swap(one, nil, true)
	for range 2 { // before it there was none
		must(t, w.Proxy.Restore(ctx, app, kept))
		w.is(t, nil, "")
	}
	must(t, os.RemoveAll(w.Places.App(app)))
	must(t, w.Proxy.Remove(ctx, app))
}

// is wants the app's live file to be this one, and to be served.
func (w ProxyWorld) is(t *testing.T, conf []byte, text string) {
	t.Helper()
	live, err := os.ReadFile(w.Places.NginxConf(app))
	if conf == nil && !errors.Is(err, os.ErrNotExist) || conf != nil && string(live) != string(conf) {
		t.Errorf("the live file is %q, %v; want %q", live, err, conf)
	}
	if !w.Serves(app, text) {
		t.Errorf("what is served is not %q", text)
	}
}
