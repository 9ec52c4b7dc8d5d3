package nginx

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestRenderProperties: what browsers are told to remember, and where proxy:set has moved
// the usual ports, the redirect to https among them.
func TestRenderProperties(t *testing.T) {
	n := fixed(t, "")
	for _, file := range []string{"server.crt", "server.key"} {
		put(t, filepath.Join(n.Places.TLS("shop"), file), "x")
	}
	for want, properties := range map[string]map[string]string{
		`"max-age=15724800; includeSubdomains" always`:          {},
		`"max-age=60" always`:                                   {"hsts-max-age": "60", "hsts-include-subdomains": "false"},
		`"max-age=15724800; includeSubdomains; preload" always`: {"hsts-preload": "true"},
	} {
		of := site("shop", plain, secure)
		of.Properties = properties
		conf, err := n.render(of, facts{})
		if err != nil || !strings.Contains(string(conf), want) {
			t.Errorf("%v: %v\n%s", properties, err, conf)
		}
	}
	http, https := plain, secure
	http.Host, https.Host = 8000, 8443
	moved := site("shop", http, https)
	moved.HTTPPort, moved.TLSPort = 8000, 8443
	conf, err := n.render(moved, facts{})
	if err != nil || !strings.Contains(string(conf), "return 301 https://$host:8443$request_uri;") || !strings.Contains(string(conf), "listen 8000;") {
		t.Errorf("moved ports: %v\n%s", err, conf)
	}
}
