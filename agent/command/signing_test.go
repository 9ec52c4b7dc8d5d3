package command

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// Two public keys that nobody has the other half of.
const (
	aliceKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	bobKey   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
)

// TestSigning: who may sign is a list of the app's or the host's, kept as a file that
// ssh-keygen reads.
func TestSigning(t *testing.T) {
	h, _ := newHost(t)
	add := func(line, text string) error {
		t.Helper()
		_, _, err := do(t, Call{Host: h, In: strings.NewReader(text)}, line)
		return err
	}
	must(t, add("signing:add --global", "# the team\n\nteam "+bobKey+" a comment\n"))
	prints(t, h, "signing:list shop", "team "+bobKey+" a comment\n")
	must(t, add("signing:add shop", "alice valid-before=\"20300101Z\" "+aliceKey+"\n"))
	must(t, add("signing:add shop", "alice valid-before=\"20300101Z\" "+aliceKey+"\nbob "+bobKey+"\n"))
	const both = "alice valid-before=\"20300101Z\" " + aliceKey + "\nbob " + bobKey + "\n"
	prints(t, h, "signing:list shop", both)
	text, err := os.ReadFile(h.Places.Property("signing", "shop", "allowed-signers"))
	if err != nil || strings.TrimSpace(string(text))+"\n" != both {
		t.Errorf("the file holds %q, %v", text, err)
	}
	prints(t, h, "signing:set --global required true", "=====> Setting required to true\n")
	prints(t, h, "signing:report shop --signing-computed-required", "true\n")
	prints(t, h, "signing:set shop required false", "=====> Setting required to false\n")
	prints(t, h, "signing:report shop --signing-computed-required", "false\n")
	prints(t, h, "signing:remove shop alice", "=====> alice may no longer sign\n")
	prints(t, h, "signing:list shop", "bob "+bobKey+"\n")
	for _, bad := range []string{"", "# nobody\n", "alice\n", "alice " + aliceKey + "\ncarol ssh-ed25519 x\n", "alice cert-authority " + aliceKey, "alice " + aliceKey + "\r\n"} {
		if err := add("signing:add shop", bad); err == nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%q was added: %v", bad, err)
		}
	}
	prints(t, h, "signing:list shop", "bob "+bobKey+"\n")
	refuses(t, h, "signing:set shop required maybe", api.Usage, "true or false")
	refuses(t, h, "signing:set shop allowed-signers x", api.Usage, "Invalid property")
	refuses(t, h, "signing:remove shop carol", api.Precondition, "no signer")
}

// TestSigningOverSSH: the keys that deploy can look at the policy and not change it, by
// none of its commands and by no backup.
func TestSigningOverSSH(t *testing.T) {
	h, _ := newHost(t)
	by := agent.Caller{User: "dokku", Name: "ci", Fingerprint: "SHA256:x"}
	set(t, h, "shop", func(now *agent.Settings) {
		now.Properties[agent.SigningRequired], now.Properties[agent.AllowedSigners] = "true", "alice "+aliceKey
	})
	for _, line := range []string{"signing:set shop required false", "signing:set --global required false", "signing:add shop", "signing:remove shop alice"} {
		if _, _, err := do(t, Call{Host: h, By: by, In: strings.NewReader("bob " + bobKey)}, line); err == nil || api.AsError(err).Code != api.Refused {
			t.Errorf("%s over ssh: %v", line, err)
		}
	}
	if out, _, err := do(t, Call{Host: h, By: by}, "signing:list shop"); err != nil || out != "alice "+aliceKey+"\n" {
		t.Errorf("signing:list over ssh: %q, %v", out, err)
	}
	for _, properties := range []map[string]string{nil, {agent.SigningRequired: "false"}} {
		settings, err := json.Marshal(backup{Version: 1, Properties: properties})
		must(t, err)
		var archive bytes.Buffer
		out := tar.NewWriter(&archive)
		for name, text := range map[string]string{backupEnv: "", backupSettings: string(settings)} {
			must(t, out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}))
			_, err := out.Write([]byte(text))
			must(t, err)
		}
		must(t, out.Close())
		_, _, err = do(t, Call{Host: h, By: by, In: &archive}, "backup:import --no-restart shop")
		if properties == nil {
			must(t, err)
		} else if err == nil {
			t.Error("a backup with a signing policy was taken")
		}
		now, err := h.Settings.Read("shop")
		must(t, err)
		if now.Properties[agent.SigningRequired] != "true" || now.Properties[agent.AllowedSigners] == "" {
			t.Errorf("a backup has changed the policy: %v", now.Properties)
		}
	}
}
