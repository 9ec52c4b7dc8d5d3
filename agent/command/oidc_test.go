package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestOIDCPolicy: which CI jobs may deploy what is a list of the host's.
func TestOIDCPolicy(t *testing.T) {
	h, _ := newHost(t)
	const rule = " --repository acme/shop --repository-id 42 --environment production"
	prints(t, h, "oidc:add shop"+rule, "=====> Jobs of acme/shop may deploy shop\n")
	prints(t, h, "oidc:add shop"+rule, "=====> Jobs of acme/shop may deploy shop\n")
	prints(t, h, "oidc:add review-* --repository=acme/shop --repository-id=42 --ref=refs/heads/main", "=====> Jobs of acme/shop may deploy review-*\n")
	prints(t, h, "oidc:add shop --repository acme/api --repository-id 43 --subject x --workflow y", "=====> Jobs of acme/api may deploy shop\n")
	prints(t, h, "oidc:list shop", "1 shop"+rule+"\n2 shop --repository acme/api --repository-id 43 --subject x --workflow y\n")
	prints(t, h, "oidc:list", "1 shop"+rule+"\n1 review-* --repository acme/shop --repository-id 42 --ref refs/heads/main\n2 shop --repository acme/api --repository-id 43 --subject x --workflow y\n")
	prints(t, h, "oidc:add shop --review --repository acme/shop --repository-id 42 --subject repo:acme/shop:pull_request", "=====> Jobs of acme/shop may make review apps of shop\n")
	prints(t, h, "oidc:list shop", "1 shop"+rule+"\n2 shop --repository acme/api --repository-id 43 --subject x --workflow y\n3 shop --repository acme/shop --repository-id 42 --subject repo:acme/shop:pull_request --review\n")
	prints(t, h, "oidc:remove shop 3", "=====> Took 1 of the rules for shop away\n")
	prints(t, h, "oidc:remove shop 1", "=====> Took 1 of the rules for shop away\n")
	prints(t, h, "oidc:list shop", "1 shop --repository acme/api --repository-id 43 --subject x --workflow y\n")
	prints(t, h, "oidc:set audience dokku-push:example.com", "=====> Setting audience to dokku-push:example.com\n")
	prints(t, h, "oidc:set --global minutes 5", "=====> Setting minutes to 5\n")
	prints(t, h, "oidc:report", `=====> CI jobs without a key
       Oidc open:                     false
       Oidc audience:                 dokku-push:example.com
       Oidc issuer:                   https://token.actions.githubusercontent.com
       Oidc keys:                     (fetched from the issuer)
       Oidc minutes:                  5
       Oidc rules:                    2
`)
	prints(t, h, "oidc:set minutes", "=====> Unsetting minutes\n")
	refuses(t, h, "oidc:add shop --repository acme/shop --repository-id 42", api.Usage, "which jobs")
	refuses(t, h, "oidc:add shop --repository acme/shop --ref x", api.Usage, "--repository-id is a number")
	refuses(t, h, "oidc:add"+rule, api.Usage, "specify an app")
	refuses(t, h, "oidc:add shop more"+rule, api.Usage, "unexpected argument")
	refuses(t, h, "oidc:add shop --repository acme/shop --repository-id 42 --ref=", api.Usage, "--ref wants a value")
	refuses(t, h, "oidc:remove shop 7", api.Precondition, "no such rule")
	refuses(t, h, "oidc:remove shop x", api.Usage, "no number")
	refuses(t, h, "oidc:set minutes 16", api.Usage, "from 1 to 15")
	refuses(t, h, "oidc:set issuer http://example.com", api.Usage, "https URL")
	refuses(t, h, "oidc:set keys "+filepath.Join(t.TempDir(), "none"), api.Usage, "no such file")
	refuses(t, h, "oidc:set audience 'a b'", api.Usage, "one word")
	refuses(t, h, "oidc:set nothing x", api.Usage, "Invalid property")
}

// TestOIDCOverSSH: who comes over ssh can look at the policy and not change it.
func TestOIDCOverSSH(t *testing.T) {
	h, _ := newHost(t)
	by := agent.Caller{User: "dokku", Name: "ci", Fingerprint: "SHA256:x"}
	for _, line := range []string{"oidc:add shop --repository a/b --repository-id 1 --ref x", "oidc:open", "oidc:close", "oidc:remove shop", "oidc:set audience x"} {
		if _, _, err := do(t, Call{Host: h, By: by}, line); err == nil || api.AsError(err).Code != api.Refused {
			t.Errorf("%s over ssh: %v", line, err)
		}
	}
	for _, line := range []string{"oidc:list", "oidc:report"} {
		if _, _, err := do(t, Call{Host: h, By: by}, line); err != nil {
			t.Errorf("%s over ssh: %v", line, err)
		}
	}
}

// TestOIDCDoor: opening and closing changes authorized_keys; the door answers with JSON,
// and quotes nothing of what it was sent.
func TestOIDCDoor(t *testing.T) {
	h, _ := newHost(t)
	must(t, os.MkdirAll(filepath.Join(h.Places.Root, ".ssh"), 0o700))
	file := filepath.Join(h.Places.Root, ".ssh", "authorized_keys")
	prints(t, h, "oidc:open", "=====> CI jobs may trade their tokens for certificates\n       none is taken before `dokku oidc:set audience dokku-push:HOSTNAME`\n")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "cert-authority") {
		t.Errorf("%s, %v", text, err)
	}
	for sent, want := range map[string]string{"canary": "no request", `{"token":"canary","public_key":"canary","apps":["shop"]}`: "no ssh-ed25519 key", "": "no request",
		`{"token":"canary","public_key":"` + aliceKey + `","apps":["shop"]}`: "no audience"} {
		out, problem, err := do(t, Call{Host: h, In: strings.NewReader(sent)}, api.AuthCommand)
		var answer api.AuthAnswer
		if json.Unmarshal([]byte(out), &answer) != nil || answer.Error == nil || !strings.Contains(answer.Error.Message, want) || answer.Certificate != "" || err == nil || problem != "" || strings.Contains(out, "canary") {
			t.Errorf("%q: %q, %q, %v; want %q", sent, out, problem, err, want)
		}
	}
	prints(t, h, "oidc:close", "=====> No CI job gets in without a key any more\n")
	if text, err := os.ReadFile(file); err != nil || len(text) > 0 {
		t.Errorf("%s, %v", text, err)
	}
}
