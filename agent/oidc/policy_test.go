package oidc

import (
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestRules: a rule that is wider than it looks is refused.
func TestRules(t *testing.T) {
	good := Rule{App: "shop", Repository: "acme/shop", RepositoryID: "42", Ref: "refs/heads/main"}
	if err := good.Valid(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Rule){
		"no app": func(r *Rule) { r.App = "" }, "every app": func(r *Rule) { r.App = "*" }, "no repository": func(r *Rule) { r.Repository = "" },
		"an owner": func(r *Rule) { r.Repository = "acme" }, "no id": func(r *Rule) { r.RepositoryID = "" }, "any job": func(r *Rule) { r.Ref = "" },
		"two lines": func(r *Rule) { r.Ref = "a\nb" },
	} {
		rule := good
		change(&rule)
		if err := rule.Valid(); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, good := range map[string]bool{GitHub: true, "https://gitlab.example.com/x": true, "http://a.example": false, "https://a.example/": false, "": false, "https://u:p@a.example": false, "https://a.example?x": false} {
		if err := Issuer(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestSlots: not everybody who knocks becomes a process that waits.
func TestSlots(t *testing.T) {
	desk := &Desk{Dir: t.TempDir()}
	var leave func()
	for range slots {
		out, err := desk.Enter()
		if err != nil {
			t.Fatal(err)
		}
		leave = out
	}
	if _, err := desk.Enter(); err == nil || api.AsError(err).Code != api.Locked {
		t.Errorf("one more: %v", err)
	}
	leave()
	if _, err := desk.Enter(); err != nil {
		t.Errorf("after one has left: %v", err)
	}
}
