package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// examined asks the doctor and returns its findings by code.
func examined(t *testing.T, h *testkit.Host, dir string, exit int) map[string][]api.HealthFinding {
	t.Helper()
	asked := h.Push(t, dir, "doctor", "--format", "json")
	var diagnosis api.Diagnosis
	if err := json.Unmarshal([]byte(asked.Stdout), &diagnosis); err != nil || asked.Exit != exit {
		t.Fatalf("doctor: exit %d, want %d: %v: %+v", asked.Exit, exit, err, asked)
	}
	found := map[string][]api.HealthFinding{}
	for _, f := range diagnosis.Findings {
		found[f.Code] = append(found[f.Code], f)
	}
	return found
}

// TestDoctor: an embedded host is ready; a site that was broken by hand is named, and
// what is left of a removed app is told. The doctor changes nothing.
func TestDoctor(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app, other := testkit.CopyApp(t, "hello"), h.App(t, "doctor"), h.App(t, "broken")
	pushed(t, h.Push(t, dir, "--app", app))
	pushed(t, h.Push(t, dir, "--app", other))
	before := status(t, h, dir, app)
	found := examined(t, h, dir, 0)
	for _, row := range api.HealthCodes() {
		if len(found[row.Code]) == 0 {
			t.Errorf("nothing is told of %s, %s", row.Code, row.Title)
		}
	}
	for _, code := range []string{api.HealthEngine, api.HealthClock, api.HealthNginx, api.HealthCertificates, api.HealthDomains, api.HealthKeys, api.HealthPlugins,
		api.HealthWatch, api.HealthLeftovers, api.HealthUnfinished} {
		for _, f := range found[code] {
			if f.Level != api.HealthOK {
				t.Errorf("a fresh host: %+v", f)
			}
		}
	}
	text := h.Push(t, t.TempDir(), "doctor")
	if text.Exit != 0 || !strings.Contains(text.Stdout, "ok      H006  nginx: it answers at "+h.HTTP) || !strings.Contains(text.Stderr, "0 failures") {
		t.Errorf("doctor from a folder without a project: %+v", text)
	}
	if lines := strings.Split(strings.TrimSuffix(text.Stdout, "\n"), "\n"); len(lines) < len(api.HealthCodes()) {
		t.Errorf("the doctor's text has %d lines:\n%s", len(lines), text.Stdout)
	}

	site := filepath.Join(h.Root, "home", other, "nginx.conf")
	conf, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	put(t, site, string(conf)+"this is no directive;\n")
	left := filepath.Join(h.Root, "lib", "data", "agent", "apps", "gone-app")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	found = examined(t, h, dir, 78)
	if f := found[api.HealthNginx]; len(f) != 1 || f[0].Level != api.HealthFailure || !strings.Contains(f[0].Message, "the app "+other) {
		t.Errorf("a broken site: %+v", f)
	}
	if f := found[api.HealthLeftovers]; len(f) != 1 || f[0].Level != api.HealthWarning || !strings.Contains(f[0].Message, left) {
		t.Errorf("a removed app's folder: %+v", f)
	}
	if text := h.Push(t, dir, "doctor"); text.Exit != 78 || !strings.Contains(text.Stdout, "failure H006  nginx: the app "+other) {
		t.Errorf("doctor with a broken site: %+v", text)
	}
	if now, err := os.ReadFile(site); err != nil || string(now) != string(conf)+"this is no directive;\n" {
		t.Errorf("the doctor changed the broken site: %v\n%s", err, now)
	}
	if after := status(t, h, dir, app); after.Hash != before.Hash {
		t.Error("the doctor changed the app's state")
	}
}

// inspected: on a real host, where the agent is not root, drift finds nothing after a push,
// and the doctor nothing but what a test's host has not: the watch service, and DNS.
func inspected(t *testing.T, client func(args ...string) testkit.Result) {
	t.Helper()
	if r := client("drift"); r.Exit != 0 || !strings.Contains(r.Stdout, "as it was released") {
		t.Errorf("drift on a real host: %+v", r)
	}
	r := client("doctor")
	t.Logf("the doctor says:\n%s%s", r.Stdout, r.Stderr)
	if r.Exit != 0 {
		t.Errorf("doctor on a real host: %+v", r)
	}
	for _, want := range []string{"ok      H006 ", "ok      H009 ", "ok      H010 ", "warning H008 ", "warning H012 ", "ok      H013 ", "ok      H014 "} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("doctor on a real host does not say %q:\n%s", want, r.Stdout)
		}
	}
}
