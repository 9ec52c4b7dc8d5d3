package nginx

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestBaselineNamesTheCulprit(t *testing.T) {
	w := start(t)
	good := w.file("other", "other")
	w.mustSwap("other", good, true)
	put(t, w.Places.Vhost("never"), "never.example.com\n")
	for app, text := range map[string]string{"other": string(good) + "brokn on;\n", "never": "server {\n    listn 80;\n}\n"} {
		put(t, w.Places.NginxConf(app), text)
	}
	if err := w.Check(w.ctx, "shop", w.file("shop", "x")); err != nil {
		t.Errorf("other apps' files made the check fail: %v", err)
	}
	wantError(t, w.Test(w.ctx), api.ProxyFailed, "the app never", "nginx.conf:2", "listn")
	warnings, err := w.Baseline(w.ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(warnings, "\n")
	for _, part := range []string{"the app other", "brokn", "what nginx loaded last", "the app never", w.Places.NginxConf("never") + ":2", "answers 502", ".broken-"} {
		if !strings.Contains(all, part) {
			t.Errorf("%s\ndoes not say %q", all, part)
		}
	}
	w.wantLive("other", good)
	w.mustSwap("shop", w.file("shop", "shop"), true)
	w.wantAnswer("shop", 200, "shop")
	w.wantAnswer("other", 200, "other")
	w.wantAnswer("never", 502, "")
	if warnings, err := w.Baseline(w.ctx, "shop"); err != nil || len(warnings) > 0 {
		t.Errorf("the second baseline: %v, %v", warnings, err)
	}
}

func TestBrokenIncludeOfAnotherApp(t *testing.T) {
	w := start(t)
	put(t, w.Places.Vhost("other"), "other.example.com\n")
	w.mustSwap("other", w.file("other", "other"), true)
	put(t, filepath.Join(w.Places.NginxConfDir("other"), "auth.conf"), "auth_basik on;\n")
	warnings, err := w.Baseline(w.ctx, "shop")
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "auth.conf:1") {
		t.Fatalf("%v, %v", warnings, err)
	}
	w.mustSwap("shop", w.file("shop", "shop"), true)
	// What a plugin wanted to protect is not shown to everybody because the file is broken.
	w.wantAnswer("other", 502, "")
}

// TestLastIncludeOfAnotherApp: what a plugin or a person has broken in a file that an app's
// own includes is served on as nginx loaded it last; files that nginx never took, and what
// it took of others, stay.
func TestLastIncludeOfAnotherApp(t *testing.T) {
	w := start(t)
	put(t, w.Places.Vhost("other"), "other.example.com\n")
	include := filepath.Join(w.Places.NginxConfDir("other"), "header.conf")
	const good = "add_header X-Kept yes;\n"
	put(t, include, good)
	conf := w.file("other", "other")
	w.mustSwap("other", conf, true)
	put(t, include, "add_header X-Kept\n")
	var warnings []string
	w.Warn = func(warning string) { warnings = append(warnings, warning) }
	w.mustSwap("shop", w.file("shop", "shop"), true)
	w.wantAnswer("other", 200, "other")
	w.wantLive("other", conf)
	if text, err := os.ReadFile(include); err != nil || string(text) != good {
		t.Errorf("it holds %q, %v", text, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the app other") || !strings.Contains(warnings[0], "header.conf:") || !strings.Contains(warnings[0], "what nginx loaded last") {
		t.Errorf("warnings: %q", warnings)
	}
	aside, err := filepath.Glob(include + ".broken-*")
	if err != nil || len(aside) != 1 {
		t.Errorf("aside are %v, %v", aside, err)
	}
	put(t, include, "add_header X-Kept\n")
	main, err := os.ReadFile(w.Config.Conf)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w.Config.Conf, string(main)+"wrong;\n")
	_, err = w.Baseline(w.ctx, "shop")
	wantError(t, err, api.Precondition, "wrong") // nginx takes the tree in no way: all is as it was
	if text, err := os.ReadFile(include); err != nil || string(text) != "add_header X-Kept\n" {
		t.Errorf("it holds %q, %v", text, err)
	}
}

// TestOfOneApp: an app is blamed for what is in its own files, whatever else is broken.
func TestOfOneApp(t *testing.T) {
	w := start(t)
	w.mustSwap("shop", w.file("shop", "shop"), true)
	put(t, w.Places.NginxConf("a-broken"), "server {\n    listn 80;\n}\n")
	wantError(t, w.Test(w.ctx), api.ProxyFailed, "the app a-broken", "listn")
	wantError(t, w.TestApp(w.ctx, "a-broken"), api.ProxyFailed, "the app a-broken", w.Places.NginxConf("a-broken")+":2")
	for _, app := range []string{"shop", "undeployed"} {
		if err := w.TestApp(w.ctx, app); err != nil {
			t.Errorf("%s is blamed for another's file: %v", app, err)
		}
	}
	include := filepath.Join(w.Places.NginxConfDir("shop"), "auth.conf")
	put(t, include, "auth_basik on;\n")
	wantError(t, w.TestApp(w.ctx, "shop"), api.ProxyFailed, "the app shop", include+":1")
	put(t, include, "ssl_certificate /nowhere.crt;\nssl_certificate_key /nowhere.key;\n") // no file is named
	wantError(t, w.TestApp(w.ctx, "shop"), api.ProxyFailed, "the app shop", "/nowhere.crt")
	main, err := os.ReadFile(w.Config.Conf)
	if err := errors.Join(err, os.Remove(include)); err != nil {
		t.Fatal(err)
	}
	put(t, w.Config.Conf, string(main)+"wrong;\n") // nobody can tell then
	wantError(t, w.TestApp(w.ctx, "shop"), api.ProxyFailed, w.Config.Conf+":", "wrong")
}

// An error that names no file, in the swap itself: the certificate of another app is gone.
func TestCulpritWithoutAPlace(t *testing.T) {
	w := start(t)
	put(t, w.Places.Vhost("other"), "other.example.com\n")
	certificate(t, w.Places.TLS("other"))
	conf, err := w.Render(w.ctx, agent.Site{App: "other", Domains: []string{"other.example.com"}, Ports: []agent.PortMap{plain, secure}})
	if err != nil {
		t.Fatal(err)
	}
	w.mustSwap("other", conf, true)
	if err := os.Remove(filepath.Join(w.Places.TLS("other"), "server.key")); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	w.Warn = func(warning string) { warnings = append(warnings, warning) }
	w.mustSwap("shop", w.file("shop", "shop"), true)
	w.wantAnswer("shop", 200, "shop")
	w.wantAnswer("other", 502, "")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the app other") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestMainFileBroken(t *testing.T) {
	w := start(t)
	conf := w.file("shop", "shop")
	w.mustSwap("shop", conf, true)
	main, err := os.ReadFile(w.Config.Conf)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w.Config.Conf, string(main)+"wrong;\n")
	_, err = w.Baseline(w.ctx, "shop")
	wantError(t, err, api.Precondition, w.Config.Conf+":", "wrong")
	w.wantLive("shop", conf)
	put(t, w.Config.Conf, "events {}\nhttp {}\n")
	wantError(t, w.Test(w.ctx), api.ProxyFailed, "does not include")
}

// TestBaselineOfWhatIsLoaded: what nginx serves is not tested again; whatever is other than
// that is, wherever it is.
func TestBaselineOfWhatIsLoaded(t *testing.T) {
	w := start(t)
	w.mustSwap("other", w.file("other", "other"), true)
	conf := w.file("shop", "shop")
	w.mustSwap("shop", conf, true)
	as := func(want bool) {
		t.Helper()
		if same, err := w.asLoaded(); err != nil || same != want {
			t.Errorf("as loaded: %t, %v, want %t", same, err, want)
		}
	}
	as(true)
	w.mustSwap("shop", conf, false)
	as(true)
	for _, path := range []string{w.Places.NginxConf("other"), w.Places.NginxConf("new"), w.Config.Conf,
		filepath.Join(w.Places.NginxConfDir("other"), "auth.conf"), filepath.Join(filepath.Dir(w.Config.Conf), "conf.d", "own.conf")} {
		former, gone, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(t, path, string(former)+"# edited\n")
		as(false)
		if gone {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, former, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		as(true)
	}
}
