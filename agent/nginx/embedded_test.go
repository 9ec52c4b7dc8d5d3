package nginx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestTLS(t *testing.T) {
	w := start(t)
	pool := certificate(t, w.Places.TLS("shop"))
	address, port := backend(t, "secret")
	conf, err := w.Render(w.ctx, agent.Site{App: "shop", Domains: []string{"shop.example.com"}, Deployed: true, Listeners: map[string][]string{"web": {address}},
		Ports: []agent.PortMap{{Scheme: "http", Host: 80, Container: port}, {Scheme: "https", Host: 443, Container: port}}})
	if err != nil {
		t.Fatal(err)
	}
	w.mustSwap("shop", conf, true)
	w.wantAnswer("shop", 301, "")
	dial := func(name string) (*http.Response, error) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: pool(name)}
		request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", w.Config.TLSPort), nil)
		if err != nil {
			return nil, err
		}
		request.Host = name
		return transport.RoundTrip(request)
	}
	response, err := dial("shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("got %s %v", response.Status, response.Header)
	}
	if response, err := dial("other.example.com"); err == nil {
		_ = response.Body.Close()
		t.Error("a name that no app has got an app's certificate")
	}
}

// A system's nginx: the apps are included by a file that the main file includes,
// beside other sites and relative paths.
func TestSystemInclude(t *testing.T) {
	w := start(t, func(n *Nginx) {
		main, err := os.ReadFile(n.Config.Conf)
		if err != nil {
			t.Fatal(err)
		}
		text := string(main)
		for _, line := range []string{"    include " + n.hostPattern() + ";\n", "    include " + n.sitesPattern() + ";\n", "    server_names_hash_bucket_size 512;\n"} {
			text = strings.Replace(text, line, "", 1)
		}
		text = strings.TrimSuffix(text, "}\n") + "    include types.inc;\n    include conf.d/*.conf;\n}\n"
		put(t, n.Config.Conf, text)
		put(t, filepath.Join(n.Config.Prefix, "types.inc"), "charset utf-8;\n")
		put(t, filepath.Join(n.Config.Prefix, "conf.d", "a.conf"), "map $host $whatever {\n    default 1;\n}\n")
		path, include := n.InstallInclude()
		put(t, path, include)
	})
	conf := w.file("shop", "x")
	if err := w.Check(w.ctx, "shop", conf); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.Check(w.ctx, "shop", []byte("server {\n    nope;\n}\n")), api.ProxyFailed, w.Places.NginxConf("shop")+":2")
	w.mustSwap("shop", conf, true)
	w.wantAnswer("shop", 200, "x")
	if left, _ := filepath.Glob(w.Config.Conf + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStartRepairsAndTakesOver(t *testing.T) {
	var first *Nginx
	w := start(t, func(n *Nginx) {
		first = n
		put(t, n.Places.Vhost("shop"), "shop.example.com\n")
		put(t, n.Places.NginxConf("shop"), "nonsense;\n")
	})
	w.wantAnswer("shop", 502, "")
	again, err := first.Start(w.ctx) // as after a host that was killed
	if err != nil {
		t.Fatal(err)
	}
	w.wantAnswer("shop", 502, "")
	if err := again.Stop(); err != nil {
		t.Error(err)
	}
	_, err = w.Baseline(w.ctx, "shop")
	wantError(t, err, api.Precondition, "not running")
	if err := errors.Join(w.keep("shop", w.kept("shop")), w.Restore(w.ctx, "shop", w.kept("shop"))); err != nil {
		t.Errorf("restore without an nginx: %v", err)
	}
}

func TestLockWaits(t *testing.T) {
	n := fixed(t, "")
	unlock, err := n.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	unlock()
	unlock, err = n.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
