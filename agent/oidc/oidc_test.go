package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestExchange: a good token becomes a certificate that says who it is, for what and until
// when, and that an embedded host reads as its forced command says.
func TestExchange(t *testing.T) {
	i := newIssuer(t)
	desk, file := newDesk(t, i)
	for _, token := range []string{i.token(t, "one", nil), sign(t, jwt.SigningMethodES256, "ec", i.ec, i.good("two"), nil)} {
		before := time.Now()
		answer, err := desk.Exchange(t.Context(), ask(t, token, "shop", "shop-review-7"))
		if err != nil {
			t.Fatal(err)
		}
		certificate := parsed(t, answer)
		fingerprint := ssh.FingerprintSHA256(certificate.Key)
		forced := "FINGERPRINT=" + fingerprint + " NAME=\"github:acme/shop/777\" DOKKU_PUSH_APPS=\"shop shop-review-7\" `cat " + file.Command + "` $SSH_ORIGINAL_COMMAND"
		if diff := cmp.Diff(map[string]string{"force-command": forced}, certificate.CriticalOptions); diff != "" {
			t.Error(diff)
		}
		if certificate.KeyId != "github:acme/shop/777" || !cmp.Equal(certificate.ValidPrincipals, []string{Principal}) || certificate.CertType != ssh.UserCert {
			t.Errorf("%+v", certificate)
		}
		if life := answer.Expires.Sub(before); life > MostLifetime || life < MostLifetime-time.Minute {
			t.Errorf("it lives for %s", life)
		}
		want := agent.Caller{Name: "github:acme/shop/777", Fingerprint: fingerprint, Apps: "shop shop-review-7"}
		if by, ok := desk.Accepts(certificate, file); !ok || by != want {
			t.Errorf("an embedded host takes it for %+v, %t", by, ok)
		}
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if info, err := os.Stat(desk.authorityFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info, err)
	}
}

// TestRefusals: each is said in its own words, and nothing was issued or used up.
func TestRefusals(t *testing.T) {
	i := newIssuer(t)
	stranger := newIssuer(t)
	desk, _ := newDesk(t, i)
	now := time.Now()
	change := func(name string, value any) string { return i.token(t, "id", map[string]any{name: value}) }
	whole := i.token(t, "id", nil)
	parts := strings.Split(whole, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	tampered := parts[0] + "." + encoded([]byte(strings.Replace(string(payload), `"777"`, `"778"`, 1))) + "." + parts[2]
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, token, app, want string }{
		{"none at all", "", "shop", "there is no token"},
		{"no token", "hello", "shop", "it is no token"},
		{"too long", strings.Repeat("a", mostToken+1), "shop", "there is no token"},
		{"issuer", change("iss", "https://token.example.com"), "shop", `of the issuer "https://token.example.com", which this host does not trust`},
		{"no issuer", change("iss", nil), "shop", `of the issuer ""`},
		{"audience", change("aud", "dokku-push:other.example.com"), "shop", `is for ["dokku-push:other.example.com"], not for this host`},
		{"no audience", change("aud", nil), "shop", "the token does not count"},
		{"expired", change("exp", now.Add(-time.Minute).Unix()), "shop", "the token expired at"},
		{"no end", change("exp", nil), "shop", "the token does not count"},
		{"not yet valid", change("nbf", now.Add(time.Minute).Unix()), "shop", "is not valid yet"},
		{"of tomorrow", change("iat", now.Add(time.Hour).Unix()), "shop", "is not valid yet"},
		{"too long a life", change("exp", now.Add(2*time.Hour).Unix()), "shop", "valid for longer than"},
		{"no id", change("jti", nil), "shop", "no id (jti)"},
		{"no repository", change("repository", nil), "shop", "which repository"},
		{"a shell's words", change("repository", "acme/$(id)"), "shop", "which repository"},
		{"a run of words", change("run_id", "7\" x"), "shop", "which run"},
		{"repository id", change("repository_id", "43"), "shop", `the repository id "43" may not deploy shop`},
		{"repository", change("repository", "acme/other"), "shop", `the repository "acme/other" may not deploy shop`},
		{"subject", change("sub", "repo:acme/shop:pull_request"), "shop", `the subject "repo:acme/shop:pull_request" may not`},
		{"environment", change("environment", "staging"), "shop", `the environment "staging" may not`},
		{"no environment", change("environment", nil), "shop", `the environment "" may not`},
		{"ref", change("ref", "refs/heads/feature"), "shop", `the ref "refs/heads/feature" may not`},
		{"no policy", whole, "other", "no policy lets a CI job deploy other"},
		{"the beginning alone", whole, "shop-reviews", "no policy lets a CI job deploy shop-reviews"},
		{"unknown key", sign(t, jwt.SigningMethodRS256, "nobody", i.rsa, i.good("id"), nil), "shop", `the key "nobody", which is not among the issuer's`},
		{"no key named", sign(t, jwt.SigningMethodRS256, "", i.rsa, i.good("id"), nil), "shop", "does not name the key"},
		{"another's key", sign(t, jwt.SigningMethodRS256, "rsa", stranger.rsa, i.good("id"), nil), "shop", "signature is not the issuer's"},
		{"a key that encrypts", sign(t, jwt.SigningMethodRS256, "not-for-this", i.rsa, i.good("id"), nil), "shop", "not for signatures"},
		{"tampered", tampered, "shop", "signature is not the issuer's"},
		{"alg none", sign(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, i.good("id"), nil), "shop", `signed with "none"`},
		{"alg HS256", sign(t, jwt.SigningMethodHS256, "rsa", i.rsa.N.Bytes(), i.good("id"), nil), "shop", `signed with "HS256"`},
		{"alg RS512", sign(t, jwt.SigningMethodRS512, "rsa", i.rsa, i.good("id"), nil), "shop", `signed with "RS512"`},
		{"alg ES384", sign(t, jwt.SigningMethodES384, "ec", other, i.good("id"), nil), "shop", `signed with "ES384"`},
		{"alg nobody knows", encoded([]byte(`{"alg":"x","kid":"rsa"}`)) + "." + parts[1] + ".", "shop", "RS256 and ES256"},
		{"the wrong kind of key", sign(t, jwt.SigningMethodES256, "rsa", i.ec, i.good("id"), nil), "shop", "signature is not the issuer's"},
		{"critical", sign(t, jwt.SigningMethodRS256, "rsa", i.rsa, i.good("id"), map[string]any{"crit": []string{"x"}}), "shop", "an extension"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, err := desk.Exchange(t.Context(), ask(t, test.token, test.app))
			problem := api.AsError(err)
			if err == nil || problem.Code != api.Refused || !strings.Contains(problem.Message, test.want) || answer.Certificate != "" {
				t.Errorf("%v, %+v; want %q", err, answer, test.want)
			}
			if test.token != "" && strings.Contains(problem.Error()+problem.Hint, test.token) {
				t.Error("the error quotes the token")
			}
		})
	}
	if _, err := os.Stat(filepath.Join(desk.Dir, "used.json")); !os.IsNotExist(err) {
		t.Errorf("a refused token was used up: %v", err)
	}
	if _, err := desk.Exchange(t.Context(), ask(t, whole, "shop", "other")); err == nil || !strings.Contains(err.Error(), "deploy other") {
		t.Errorf("one of two apps: %v", err)
	}
	if _, err := desk.Exchange(t.Context(), ask(t, whole, "shop")); err != nil {
		t.Errorf("it is still good: %v", err)
	}
}

// TestReviewGrant: a job that may make review apps may not deploy the app, nor the other way
// round; and the certificate says which of them is meant.
func TestReviewGrant(t *testing.T) {
	i := newIssuer(t)
	desk, file := newDesk(t, i)
	pull := func(id string) string {
		return i.token(t, id, map[string]any{"sub": "repo:acme/shop:pull_request", "environment": nil, "ref": "refs/pull/7/merge"})
	}
	answer, err := desk.Exchange(t.Context(), ask(t, pull("a"), "review:shop"))
	if err != nil {
		t.Fatal(err)
	}
	if by, ok := desk.Accepts(parsed(t, answer), file); !ok || by.Apps != "review:shop" {
		t.Errorf("an embedded host takes it for %+v, %t", by, ok)
	}
	for _, test := range []struct{ token, app, want string }{
		{pull("b"), "shop", `the subject "repo:acme/shop:pull_request" may not deploy shop`}, {i.token(t, "c", nil), "review:shop", `the subject "repo:acme/shop:environment:production" may not make review apps of shop`},
		{pull("d"), "review:other", "no policy lets a CI job make review apps of other"}, {pull("e"), "review:shop-review-1", "no policy lets a CI job make review apps of"},
	} {
		if _, err := desk.Exchange(t.Context(), ask(t, test.token, test.app)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.app, err, test.want)
		}
	}
	for _, app := range []string{"review:", "review:review:shop", "review:a b", "reviews:shop"} {
		if _, err := desk.Exchange(t.Context(), ask(t, pull("f"), app)); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%q: %v", app, err)
		}
	}
}

// TestOnce: of many that use a token at the same time one succeeds; and it stays used.
func TestOnce(t *testing.T) {
	i := newIssuer(t)
	desk, _ := newDesk(t, i)
	token := i.token(t, "once", nil)
	requests := make([]api.AuthRequest, 8)
	for n := range requests {
		requests[n] = ask(t, token, "shop")
	}
	var mu sync.Mutex
	good, replayed := 0, 0
	var all sync.WaitGroup
	for _, request := range requests {
		all.Go(func() {
			_, err := desk.Exchange(t.Context(), request)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				good++
			case strings.Contains(err.Error(), "used before"):
				replayed++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if good != 1 || replayed != 7 {
		t.Errorf("%d got a certificate, %d were refused", good, replayed)
	}
	desk.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if err := desk.use(t.Context(), i.server.URL, "later", desk.now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(desk.Dir, "used.json")); err != nil || strings.Count(string(text), ":") > 4 {
		t.Errorf("what has expired is not forgotten: %s, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(desk.Dir, "used.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	desk.Now = nil
	if _, err := desk.Exchange(t.Context(), ask(t, i.token(t, "new", nil), "shop")); err == nil {
		t.Error("a certificate though nobody knows which tokens were used")
	}
}

// TestIssuerKeys: they are fetched seldom, outlive an issuer that is down for a while, and
// may be pinned.
func TestIssuerKeys(t *testing.T) {
	i := newIssuer(t)
	desk, _ := newDesk(t, i)
	shift := time.Duration(0)
	desk.Now = func() time.Time { return time.Now().Add(shift) }
	policy, err := desk.Policy()
	if err != nil {
		t.Fatal(err)
	}
	find := func(kid string) error { _, err := desk.key(t.Context(), policy, kid); return err }
	step := func(what string, after time.Duration, kid, want string, asked int32) {
		t.Helper()
		shift += after
		err := find(kid)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) || i.asked.Load() != asked {
			t.Errorf("%s: %v, asked %d times; want %q and %d", what, err, i.asked.Load(), want, asked)
		}
	}
	i.down.Store(true)
	step("down from the start", 0, "rsa", "503", 0)
	i.down.Store(false)
	step("up again, and asked too soon", time.Second, "rsa", "a moment ago", 0)
	step("up again", pause, "rsa", "", 1)
	step("kept", fresh-time.Second, "ec", "", 1)
	step("an unknown key", time.Minute, "new", "not among", 2)
	step("another one at once", time.Second, "newer", "not among", 2)
	i.down.Store(true)
	step("down, and kept", 2*fresh, "rsa", "", 2)
	step("down for a day", stale, "rsa", "503", 2)
	i.down.Store(false)

	policy.Keys = filepath.Join(t.TempDir(), "keys.json")
	step("no file", pause, "rsa", "cannot be read", 2)
	if err := os.WriteFile(policy.Keys, i.keys(), 0o600); err != nil {
		t.Fatal(err)
	}
	step("pinned", 0, "rsa", "", 2)
	step("not pinned", 0, "new", "not among", 2)
	for _, bad := range []string{"", "[]", "{}", `{"keys":[{"kid":"a","kty":"oct"}]}`, `{"keys":[{"kid":"a","kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kid":"a","kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`} {
		if Keys([]byte(bad)) == nil {
			t.Errorf("%s holds keys", bad)
		}
	}
	if err := Keys(i.keys()); err != nil {
		t.Error(err)
	}
}

// TestAccepts: an embedded host takes nothing that sshd would not.
func TestAccepts(t *testing.T) {
	i := newIssuer(t)
	desk, file := newDesk(t, i)
	strange, _ := newDesk(t, i)
	get := func(desk *Desk, id string) *ssh.Certificate {
		answer, err := desk.Exchange(t.Context(), ask(t, i.token(t, id, nil), "shop"))
		if err != nil {
			t.Fatal(err)
		}
		return parsed(t, answer)
	}
	good := get(desk, "a")
	if _, ok := desk.Accepts(good, file); !ok {
		t.Fatal("a good one is refused")
	}
	if _, ok := desk.Accepts(get(strange, "b"), file); ok {
		t.Error("another host's certificate")
	}
	changed := *good
	changed.Extensions = map[string]string{appsExtension: "shop other"}
	if _, ok := desk.Accepts(&changed, file); ok {
		t.Error("one that was changed")
	}
	desk.Now = func() time.Time { return time.Now().Add(MostLifetime) }
	if _, ok := desk.Accepts(good, file); ok {
		t.Error("an expired one")
	}
	desk.Now = nil
	if err := desk.Close(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if _, ok := desk.Accepts(good, file); ok {
		t.Error("though the door is closed")
	}
	if text, err := os.ReadFile(file.Path); err != nil || len(text) > 0 {
		t.Errorf("closing leaves %q, %v", text, err)
	}
}

// TestOpen: the lines are what sshd reads, once each, and others stay.
func TestOpen(t *testing.T) {
	i := newIssuer(t)
	desk, file := newDesk(t, i)
	const mine = "# mine"
	text, err := os.ReadFile(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file.Path, append([]byte(mine+"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := desk.Open(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(file.Path)
	if err != nil || string(again) != mine+"\n"+string(text) {
		t.Errorf("opened twice: %q, %v", again, err)
	}
	for _, want := range []string{"command=\"SSH_ORIGINAL_COMMAND=auth:github ", "` auth:github\",no-agent-forwarding", "\ncert-authority,principals=\"dokku-push-oidc\",no-agent-forwarding"} {
		if !strings.Contains(string(again), want) {
			t.Errorf("there is no %q in\n%s", want, again)
		}
	}
	if found, err := file.List(); err != nil || len(found) != 1 || found[0].Name != api.DoorName {
		t.Errorf("named are %+v, %v", found, err)
	}
	if invalid, err := file.Invalid(); err != nil || len(invalid) > 0 {
		t.Errorf("not valid: %v, %v", invalid, err)
	}
}

// TestRequests: what cannot be certified is refused before the token is looked at.
func TestRequests(t *testing.T) {
	i := newIssuer(t)
	desk, _ := newDesk(t, i)
	door, err := doorKey()
	if err != nil {
		t.Fatal(err)
	}
	good, _ := newKey(t)
	for name, request := range map[string]api.AuthRequest{
		"no app":      {PublicKey: good},
		"a bad app":   {PublicKey: good, Apps: []string{"a\" b"}},
		"no key":      {Apps: []string{"shop"}},
		"two keys":    {PublicKey: good + "\n" + good, Apps: []string{"shop"}},
		"options":     {PublicKey: "no-pty " + good, Apps: []string{"shop"}},
		"the door":    {PublicKey: string(ssh.MarshalAuthorizedKey(door)), Apps: []string{"shop"}},
		"too many":    {PublicKey: good, Apps: make([]string, mostApps+1)},
		"private key": {PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY"})), Apps: []string{"shop"}},
	} {
		request.Token = i.token(t, name, nil)
		if _, err := desk.Exchange(t.Context(), request); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := desk.Change(t.Context(), func(now *Policy) error { now.Audience = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Exchange(t.Context(), ask(t, i.token(t, "x", nil), "shop")); err == nil || !strings.Contains(err.Error(), "no audience") {
		t.Errorf("without an audience: %v", err)
	}
}

// TestSSHKeygenReads: OpenSSH's own program reads the certificate.
func TestSSHKeygenReads(t *testing.T) {
	i := newIssuer(t)
	desk, _ := newDesk(t, i)
	answer, err := desk.Exchange(t.Context(), ask(t, i.token(t, "a", nil), "shop"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key-cert.pub")
	if err := os.WriteFile(file, []byte(answer.Certificate+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-L", "-f", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`Key ID: "github:acme/shop/777"`, "force-command", Principal} {
		if !strings.Contains(string(out), want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
}
