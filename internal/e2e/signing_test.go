package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

// onHost runs a Dokku command on the host itself, as a person who is logged in there does.
func onHost(t *testing.T, h *testkit.Host, in string, args ...string) {
	t.Helper()
	cmd := exec.Command(h.Bin.Agent, append([]string{"dokku"}, args...)...)
	cmd.Env = append(os.Environ(), "DOKKU_ROOT="+filepath.Join(h.Root, "home"), "DOKKU_LIB_ROOT="+filepath.Join(h.Root, "lib"))
	cmd.Stdin = strings.NewReader(in)
	must(t, cmd)
}

// TestSigning: with the policy on, an app takes what alice has signed and nothing else; what
// the host has recorded is verified by the real ssh-keygen.
func TestSigning(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "signed")
	key := filepath.Join(t.TempDir(), "alice")
	must(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key))
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	pushed(t, h.Push(t, dir, "--app", app))
	onHost(t, h, "alice "+string(public), "signing:add", app)
	onHost(t, h, "", "signing:set", app, "required", "true")
	if over := dokku(t, h, 1, "signing:set", app, "required", "false"); !strings.Contains(over.Stderr, "not over ssh") {
		t.Errorf("the policy, over ssh: %s", over.Stderr)
	}

	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello again")
	before := status(t, h, dir, app)
	for want, args := range map[string][]string{"is not signed": nil, "not among the app's allowed signers": {"--sign"}} {
		refused := h.Push(t, dir, append([]string{"--app", app}, args...)...)
		if refused.Exit != 77 || !strings.Contains(refused.Stderr, want) || strings.Contains(refused.Stderr, "Ship to") {
			t.Errorf("push %q: exit %d, want 77 with %q before a layer is sent\n%s", args, refused.Exit, want, refused.Stderr)
		}
	}
	dokku(t, h, 0, "tags:create", app, "other")
	if tag := dokku(t, h, 1, "tags:deploy", app, "other"); !strings.Contains(tag.Stderr, "is not signed") {
		t.Errorf("tags:deploy: %s", tag.Stderr)
	}
	dokku(t, h, 0, "tags:destroy", app, "other")
	if after := status(t, h, dir, app); after.Hash != before.Hash {
		t.Errorf("what was refused has changed the host:\n%+v\n%+v", before, after)
	}

	pushed(t, h.Push(t, dir, "--app", app, "--sign="+key))
	answers(t, h, app, "/", "Hello again")
	if list := pushed(t, h.Push(t, dir, "releases", "--app", app)); !strings.Contains(list.Stdout, "alice SHA256:") {
		t.Errorf("releases does not say who signed:\n%s", list.Stdout)
	}
	var releases []api.Release
	shown := pushed(t, h.Push(t, dir, "releases", "--app", app, "--log-format", "json")).Stdout
	if err := json.Unmarshal([]byte(shown), &releases); err != nil || len(releases) != 2 || releases[1].Signature == nil {
		t.Fatalf("releases: %v\n%s", err, shown)
	}
	signed := releases[1].Signature
	statement, err := api.ParseStatement(signed.Statement)
	if err != nil || statement.App != app || statement.Image != releases[1].Built || !signed.Verified {
		t.Errorf("the statement is %q, %v", signed.Statement, err)
	}
	allowed, file := filepath.Join(dir, "allowed"), filepath.Join(dir, "made")
	put(t, allowed, dokku(t, h, 0, "signing:list", app).Stdout)
	put(t, file, signed.Signature)
	verify := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "alice", "-n", api.SignatureNamespace, "-s", file)
	verify.Stdin = strings.NewReader(signed.Statement)
	must(t, verify)

	dokku(t, h, 0, "config:set", app, "COLOUR=blue") // what runs is no arrival
	if back := h.Push(t, dir, "rollback", "--app", app, "v1"); back.Exit != 77 || !strings.Contains(back.Stderr, "never verified") {
		t.Errorf("rollback to v1: exit %d\n%s", back.Exit, back.Stderr)
	}
	pushed(t, h.Push(t, dir, "rollback", "--app", app, "v2"))
}
