package command

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

func TestReviewCommands(t *testing.T) {
	h, _ := newHost(t)
	_, _, err := h.Settings.Change("shop", func(now *agent.Settings) error { now.Env["LEVEL"], now.Env["PASSWORD"] = "1", "canary"; return nil })
	must(t, err)
	for line, message := range map[string]string{
		"review:create shop":                             "specify a new app name",
		"review:create shop r --ttl x":                   "ttl is a time",
		"review:create shop r --ttl 9000h":               "ttl is a time",
		"review:create shop r --max 0":                   "max is a whole number",
		"review:create shop r --inherit A-B":             "--inherit",
		"review:create shop r --domain '*.example.com'":  "is no domain",
		"review:destroy":                                 "specify a review app",
		"review:list --format yaml":                      "text or json",
		"review:set shop inherit A,B-C":                  "config keys with commas",
		"review:set shop max many":                       "max is a whole number",
		"review:set shop parent other":                   "valid properties include: inherit, max, ttl",
		"review:create shop r --branch 'a\nb'":           "one line",
		"review:create shop r more":                      "specify a new app name",
		"review:set --global ttl -1h":                    "ttl is a time",
		"review:create shop r --domain=a.com --inherit=": "--inherit",
	} {
		refuses(t, h, line, api.Usage, message)
	}
	out, problem, err := do(t, Call{Host: h}, "review:create shop review-shop-x --branch x --ttl 2h --inherit LEVEL --inherit NONE --domain pr.example.com")
	if err != nil || !strings.HasPrefix(out, "-----> Creating review app review-shop-x of shop, until 2") || problem != " !     shop has no NONE to take over\n" {
		t.Errorf("review:create: %q, %q, %v", out, problem, err)
	}
	out, _, err = do(t, Call{Host: h}, "review:create shop review-shop-x --branch x")
	if err != nil || out != "-----> Review app review-shop-x of shop is there\n" {
		t.Errorf("review:create again: %q, %v", out, err)
	}
	settings, err := h.Settings.Read("review-shop-x")
	if must(t, err); len(settings.Env) != 0 {
		t.Errorf("its env is %v", settings.Env)
	}
	out, _, err = do(t, Call{Host: h}, "review:list shop --format json")
	var list []agent.Review
	if json.Unmarshal([]byte(out), &list) != nil || err != nil || len(list) != 1 || list[0].Branch != "x" || list[0].Domains[0] != "review-shop-x.pr.example.com" || list[0].Expires != nil {
		t.Errorf("review:list: %s, %v", out, err)
	}
	pull := agent.Caller{User: "dokku", Name: "github:acme/shop/1", Fingerprint: "SHA256:x", Apps: "review:shop"}
	for line, code := range map[string]api.Code{"review:create shop review-shop-y --inherit PASSWORD": api.Refused, "review:create shop shop": api.Refused, "review:create other r": api.NotFound, "review:create shop review-shop-y": "",
		"review:list shop": "", "review:list other": api.NotFound} {
		if _, _, err := do(t, Call{Host: h, By: pull}, line); (err == nil) != (code == "") || err != nil && api.AsError(err).Code != code {
			t.Errorf("%s by a certificate for review apps: %v", line, err)
		}
	}
	prints(t, h, "review:gc", "")
	prints(t, h, "review:gc --dry-run", "REVIEW APP  APP  BRANCH  EXPIRES  DOMAIN\n")
	if out, _, err := do(t, Call{Host: h}, "review:destroy shop"); err == nil || out != "" || !h.Settings.Has("shop") {
		t.Errorf("review:destroy of an app: %v, %q", err, out)
	}
	prints(t, h, "review:destroy none", "-----> There is no review app none\n")
}
