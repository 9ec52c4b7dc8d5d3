package agent_test

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestParseCertificate(t *testing.T) {
	now := time.Now()
	good, other := selfSigned(t, "a.example.com"), selfSigned(t, "b.example.com")
	chain, key := good.Chain, good.Key
	both := func(a, b []byte) []byte { return append(bytes.Clone(a), b...) }
	for name, c := range map[string]struct {
		chain, key []byte
		at         time.Time
		says       string
	}{
		"a pair":            {chain, key, now, ""},
		"a chain":           {both(chain, other.Chain), key, now, ""},
		"another's key":     {chain, other.Key, now, "no pair"},
		"another's first":   {both(other.Chain, chain), key, now, "no pair"},
		"swapped":           {key, chain, now, "holds a block"},
		"nothing":           {nil, nil, now, "not in PEM"},
		"no key":            {chain, nil, now, "not in PEM"},
		"two keys":          {chain, both(key, other.Key), now, "two keys"},
		"a key in it":       {both(chain, key), key, now, "holds a block"},
		"expired":           {chain, key, now.AddDate(2, 0, 0), "has expired"},
		"not yet":           {chain, key, now.AddDate(-1, 0, 0), "not valid before"},
		"of Windows":        {bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n")), key, now, "Windows"},
		"encrypted":         {chain, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), now, "encrypted"},
		"encrypted, older":  {chain, []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), now, "encrypted"},
		"nonsense in PEM":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key, now, "no pair"},
		"nonsense in chain": {both(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), key, now, "of the chain"},
		"a huge one":        {both(chain, bytes.Repeat([]byte("\n"), agent.MostCertificate)), key, now, "longer than"},
	} {
		certificate, err := agent.ParseCertificate(c.chain, c.key, c.at)
		switch {
		case c.says == "":
			if err != nil || !bytes.Equal(certificate.Chain, c.chain) || certificate.Leaf.DNSNames[0] != "a.example.com" {
				t.Errorf("%s: %+v, %v", name, certificate, err)
			}
		case err == nil || certificate != nil || api.AsError(err).Code != api.Usage || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "PRIVATE KEY-"):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestCovers(t *testing.T) {
	certificate := selfSigned(t, "a.example.com")
	for domain, want := range map[string]bool{"a.example.com": true, "A.example.com": true, "b.example.com": false, "example.com": false} {
		if got := certificate.Covers([]string{domain}); got != want {
			t.Errorf("%s: %t", domain, got)
		}
	}
	if !certificate.Covers(nil) || !certificate.Covers([]string{"x.com", "a.example.com"}) {
		t.Error("no domain at all, or one of several, is not covered")
	}
	wild := selfSigned(t, "*.example.com")
	if !wild.Covers([]string{"a.example.com"}) || !wild.Covers([]string{"*.example.com"}) || wild.Covers([]string{"a.b.example.com"}) {
		t.Error("a star covers what it does not, or not what it does")
	}
	if facts := agent.DescribeCertificate(certificate.Chain); facts.Verified != "self signed." || facts.Names[0] != "a.example.com" || facts.Expires == "" {
		t.Errorf("it is described as %+v", facts)
	}
	if facts := agent.DescribeCertificate([]byte("x")); facts.Verified != "unreadable." {
		t.Errorf("nonsense is described as %+v", facts)
	}
}
