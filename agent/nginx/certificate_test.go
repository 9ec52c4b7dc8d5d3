package nginx

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestUnfitCertificates: what cannot be served is refused, by the check and by the swap,
// before anything changes; what nginx serves already does not keep the app from being mended.
func TestUnfitCertificates(t *testing.T) {
	w := start(t)
	good := w.file("shop", "good")
	w.mustSwap("shop", good, true)
	conf, err := w.Render(w.ctx, agent.Site{App: "shop", Domains: []string{"shop.example.com"}, Ports: []agent.PortMap{plain}})
	if err != nil {
		t.Fatal(err)
	}
	dir := w.Places.TLS("shop")
	crt, key := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	other := t.TempDir()
	certificate(t, other)
	now := time.Now()
	for _, test := range []struct {
		what    string
		prepare func()
		says    []string
	}{
		{"expired", func() { certificateOf(t, dir, now.Add(-48*time.Hour), now.Add(-time.Hour)) }, []string{"the app shop", crt, "has expired on"}},
		{"not yet valid", func() { certificateOf(t, dir, now.Add(time.Hour), now.Add(48*time.Hour)) }, []string{crt, "is valid from"}},
		{"of another key", func() { certificate(t, dir); move(t, filepath.Join(other, "server.key"), key) }, []string{crt, key, "private key does not match public key"}},
		{"no certificate", func() { certificate(t, dir); put(t, crt, "nonsense") }, []string{crt, "failed to find any PEM data"}},
	} {
		test.prepare()
		conf, err = w.Render(w.ctx, agent.Site{App: "shop", Domains: []string{"shop.example.com"}, Ports: []agent.PortMap{plain, secure}})
		if err != nil {
			t.Fatal(err)
		}
		before := w.workers()
		wantError(t, w.Check(w.ctx, "shop", conf), api.ProxyFailed, test.says...)
		_, err := w.swap("shop", conf, nil)
		wantError(t, err, api.ProxyFailed, test.says...)
		w.wantLive("shop", good)
		w.wantAnswer("shop", 200, "good")
		if !anyOf(before, w.workers()) {
			t.Errorf("%s: nginx was reloaded", test.what)
		}
	}
	var until time.Time
	for life := 2 * time.Second; ; life *= 3 { // as long as it takes to have it served
		until = time.Now().Add(life)
		certificateOf(t, dir, now.Add(-time.Hour), until)
		reloaded, err := w.swap("shop", conf, nil)
		if err == nil && reloaded {
			break
		}
		if life > time.Minute {
			t.Fatalf("a certificate for %s: %t, %v", life, reloaded, err)
		}
	}
	time.Sleep(time.Until(until.Add(time.Second))) // it runs out while it is served
	if err := w.Check(w.ctx, "shop", append(conf, "# mended\n"...)); err != nil {
		t.Errorf("a certificate that ran out keeps the app from being mended: %v", err)
	}
	w.mustSwap("shop", append(conf, "# mended\n"...), true)
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
