package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestActionOIDC: the action deploys without a key among its inputs: it trades the job's token
// itself, or finds what an earlier step has left, in a file or an ssh-agent. A pull request's job
// makes review apps where the host's policy says so, and deploys nothing else.
func TestActionOIDC(t *testing.T) {
	t.Parallel()
	i := newCIIssuer(t)
	h := testkit.Serve(t, testkit.ServeOptions{Env: []string{"SSL_CERT_FILE=" + i.roots}})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "shop")
	onHost(t, h, "", "oidc:open")
	onHost(t, h, "", "oidc:set", "audience", "the-host")
	onHost(t, h, "", "oidc:set", "issuer", i.server.URL)
	onHost(t, h, "", "oidc:add", app, "--repository", "acme/shop", "--repository-id", "42", "--environment", "production")
	onHost(t, h, "", "oidc:add", app, "--repository", "acme/shop", "--repository-id", "42", "--subject", "repo:acme/shop:pull_request", "--review")
	j := newJob(t, h, dir, app)
	j.once = true
	key := j.inputs["ssh_private_key"]
	delete(j.inputs, "ssh_private_key")
	token := []string{"SSL_CERT_FILE=" + i.roots, "ACTIONS_ID_TOKEN_REQUEST_URL=" + i.server.URL + "/token?api-version=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + bearer}

	j.env = token
	j.inputs["oidc"], j.inputs["oidc_audience"] = "true", "the-host"
	out := j.run(t)
	if out.exit != 0 || out.outputs["version"] != "v1" || strings.Contains(out.log+out.summary, bearer) || strings.Contains(out.log+out.summary, "eyJ") {
		t.Fatalf("oidc: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, app, "/", "Hello")
	if list := h.Push(t, dir, "releases", "--app", app); !strings.Contains(list.Stdout, "github:acme/shop/777") {
		t.Errorf("releases does not name the job:\n%s", list.Stdout)
	}
	delete(j.inputs, "oidc_audience")
	if out := j.run(t); out.exit != 77 || !strings.Contains(out.log, "not for this host") {
		t.Errorf("another audience: exit %d\n%s", out.exit, out.log)
	}

	i.claims["environment"], i.claims["ref"], i.claims["sub"] = "", "refs/pull/7/merge", "repo:acme/shop:pull_request"
	j.inputs["oidc_audience"] = "the-host"
	if out := j.run(t); out.exit != 77 || !strings.Contains(out.log, "may not deploy "+app) {
		t.Errorf("a pull request deploys the app: exit %d\n%s", out.exit, out.log)
	}
	j.inputs["command"], j.inputs["ci_branch_name"] = "review-apps:create", "topic"
	review := "review-" + app + "-topic"
	if out := j.run(t); out.exit != 0 || out.outputs["review_app_name"] != review {
		t.Fatalf("a review app: exit %d, outputs %v\n%s", out.exit, out.outputs, out.log)
	}
	answers(t, h, review, "/", "Hello")
	put(t, filepath.Join(dir, "dokku.hcl"), "review {\n  inherit = [\"DATABASE_URL\"]\n}\n")
	if out := j.run(t); out.exit == 0 || !strings.Contains(out.log, "does not hand these on to its review apps: DATABASE_URL") {
		t.Errorf("a key that the host has not named: exit %d\n%s", out.exit, out.log)
	}
	put(t, filepath.Join(dir, "dokku.hcl"), "environment \"review\" {\n  storage {\n    mounts = [\"/var/lib/dokku/data/storage/shop:/host\"]\n  }\n}\n")
	if out := j.run(t); out.exit != 77 || !strings.Contains(out.log, review+" may not bring storage") || strings.Contains(out.log, "Ship to") {
		t.Errorf("what leads out of a review app: exit %d\n%s", out.exit, out.log)
	}
	put(t, filepath.Join(dir, "dokku.hcl"), "")
	j.inputs["command"] = "review-apps:destroy"
	if out := j.run(t); out.exit != 0 || h.Dokku(t, "apps:exists", review).Exit == 0 {
		t.Errorf("destroy: exit %d\n%s", out.exit, out.log)
	}

	i.claims["environment"], i.claims["ref"], i.claims["sub"] = "production", "refs/heads/main", "repo:acme/shop:environment:production"
	job := keyless{client: h.Bin.Client, dir: dir, room: t.TempDir(), address: h.SSH, hostKey: h.HostKey, issuer: i}
	left := pushed(t, job.step(t, "", "auth", "github", app, "--audience", "the-host"))
	j.inputs = map[string]string{"git_remote_url": j.inputs["git_remote_url"], "ssh_host_key": j.inputs["ssh_host_key"], "plan_only": "true"}
	for what, env := range map[string]string{"a file": "DOKKU_SSH_KEY_FILE=" + strings.TrimSpace(left.Stdout), "an ssh-agent": "SSH_AUTH_SOCK=" + sshAgent(t, key)} {
		j.env = []string{env}
		if out := j.run(t); out.exit != 0 || out.outputs["changed"] != "false" {
			t.Errorf("a key in %s: exit %d, outputs %v\n%s", what, out.exit, out.outputs, out.log)
		}
	}
	j.env = nil
	if out := j.run(t); out.exit != 77 {
		t.Errorf("no key at all: exit %d\n%s", out.exit, out.log)
	}
}

// sshAgent is an ssh-agent that has one key, at a socket.
func sshAgent(t *testing.T, text string) (socket string) {
	t.Helper()
	key, err := ssh.ParseRawPrivateKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(ring, conn) // until the client leaves
			}()
		}
	}()
	return listener.Addr().String()
}
