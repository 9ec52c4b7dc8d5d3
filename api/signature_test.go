package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStatement: it has one form; anything else that JSON would allow is refused.
func TestStatement(t *testing.T) {
	now := time.Date(2026, 11, 21, 11, 0, 0, 7, time.FixedZone("CET", 3600))
	statement := Statement{App: "shop", Image: "sha256:1", Document: "hmac-sha256:2", Issued: now, Expires: now.Add(time.Hour)}
	text, err := statement.Text()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"app":"shop","image":"sha256:1","document":"hmac-sha256:2","issued":"2026-11-21T10:00:00Z","expires":"2026-11-21T11:00:00Z"}` + "\n"
	if text != want {
		t.Errorf("it is written %q", text)
	}
	back, err := ParseStatement(text)
	if err != nil || !back.Issued.Equal(now.Truncate(time.Second)) || back.App != "shop" {
		t.Errorf("it is read as %+v, %v", back, err)
	}
	for _, other := range []string{"", "{}", strings.TrimSpace(want), " " + want, want + want, strings.Replace(want, `{"app"`, `{"App"`, 1),
		strings.Replace(want, `"app":"shop"`, `"app":"blog","app":"shop"`, 1), strings.Replace(want, `"issued"`, `"more":1,"issued"`, 1),
		strings.Replace(want, "10:00:00Z", "11:00:00+01:00", 1), strings.Replace(want, `{"`, `{ "`, 1)} {
		if read, err := ParseStatement(other); err == nil {
			t.Errorf("%q is read as %+v", other, read)
		}
	}
}

// TestCommitment: everything in a document counts but the way the layers take, and
// without the nonce nobody can tell which document it is.
func TestCommitment(t *testing.T) {
	nonce, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	domains := []string{}
	document := func() ReleaseDocument {
		return ReleaseDocument{Image: Image{ID: "sha256:1"}, Config: map[string]string{"A": "1", "BROKEN": "\xff"}, Declared: &Declared{Domains: &domains}}
	}
	commit := func(d ReleaseDocument, nonce string) string {
		t.Helper()
		text, err := d.Commitment(nonce)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := commit(document(), nonce)
	shipped := document()
	shipped.Image.Manifest, shipped.Image.Registry = "sha256:3", "registry.example.com/shop"
	shipped.Config["BROKEN"] = "\ufffd" // as it travels
	if diff := cmp.Diff(first, commit(shipped, nonce)); diff != "" {
		t.Errorf("the way to the host counts: %s", diff)
	}
	if first == commit(document(), other) {
		t.Error("the nonce does not count")
	}
	for name, change := range map[string]func(*ReleaseDocument){
		"image":    func(d *ReleaseDocument) { d.Image.ID = "sha256:2" },
		"config":   func(d *ReleaseDocument) { d.Config["A"] = "2" },
		"procfile": func(d *ReleaseDocument) { d.Procfile = "web: x\n" },
		"source":   func(d *ReleaseDocument) { d.Source.Revision = "abc" },
		"domains":  func(d *ReleaseDocument) { d.Declared = nil },
	} {
		changed := document()
		change(&changed)
		if commit(changed, nonce) == first {
			t.Errorf("%s does not count", name)
		}
	}
	for _, bad := range []string{"", "ab", strings.Repeat("x", 64)} {
		if _, err := document().Commitment(bad); err == nil {
			t.Errorf("%q is taken for a nonce", bad)
		}
	}
}
