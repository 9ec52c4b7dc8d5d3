package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

// TestImport: an app that was made by Dokku's commands alone is written as dokku.hcl with
// no secret's value in it; check finds nothing wrong, and a plan is empty: what is in the
// file is what is on the host.
func TestImport(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	source, app := testkit.CopyApp(t, "hello"), h.App(t, "taken")
	pushed(t, h.Push(t, source, "--app", app))
	volume := t.TempDir()
	dokku := func(args ...string) {
		t.Helper()
		if r := h.Dokku(t, args...); r.Exit != 0 {
			t.Fatalf("%q: %+v", args, r)
		}
	}
	dokku("config:set", "--no-restart", app, "STRIPE_KEY=canary-secret", "SIGNATURE='canary two words'", "NODE_ENV=production", "LEVEL='${low}'", "EMPTY=")
	dokku("domains:set", app, app+".localhost", app+"-other.localhost")
	dokku("docker-options:add", app, "deploy,run", "'--shm-size 64m'")
	dokku("docker-options:add", app, "deploy", "'-e INNER=canary-option'")
	dokku("storage:mount", app, volume+":/data")
	dokku("checks:set", app, "wait-to-retire", "1")
	dokku("nginx:set", app, "client-max-body-size", "7m")
	dokku("resource:limit", "--process-type", "web", "--memory", "64m", "--cpu", "0.5", app)
	dokku("ports:set", app, "http:80:5000")
	dokku("ps:scale", "--skip-deploy", app, "web=2")
	chain, key := pair(t, app+".localhost", time.Now().AddDate(0, 1, 0))
	add := h.DokkuCommand(t, "certs:add", app)
	add.Stdin = strings.NewReader(string(archive(t, "server.crt", string(chain), "server.key", string(key))))
	if r := testkit.Run(t, add); r.Exit != 0 {
		t.Fatalf("certs:add: %+v", r)
	}
	dokku("ps:rebuild", app)
	before := status(t, h, source, app)

	result := h.Push(t, source, "import", "--app", app, "--plain", "LEVEL")
	text, err := os.ReadFile(filepath.Join(source, "dokku.hcl"))
	if result.Exit != 0 || err != nil {
		t.Fatalf("import: %v: %+v", err, result)
	}
	if all := string(text) + result.Stdout + result.Stderr; strings.Contains(all, "canary") {
		t.Errorf("the value of a secret is shown:\n%s", all)
	}
	for _, part := range []string{`app     = "` + app + `"`, `secrets = ["SIGNATURE", "STRIPE_KEY"]`, `domains = ["` + app + `.localhost", "` + app + `-other.localhost"]`, `ports   = ["http:80:5000", "https:443:5000"]`,
		`address  = "dokku@` + h.SSH + `"`, `host_key = "` + h.HostKey + `"`, `LEVEL    = "$${low}"`, `NODE_ENV = "production"`, `quantity = 2`, `memory   = "64m"`, `cpu      = "0.5"`, `wait_to_retire = 1`,
		`mounts = ["` + volume + `:/data"]`, `deploy = ["--shm-size 64m"]`, `client-max-body-size = "7m"`, `-e INNER=… (deploy)`, "certificate for " + app + ".localhost until "} {
		if !strings.Contains(string(text), part) {
			t.Errorf("dokku.hcl does not say %q:\n%s", part, text)
		}
	}
	if r := h.Push(t, source, "check"); r.Exit != 0 || strings.Contains(r.Stdout, "mistake") || strings.Contains(r.Stdout, "advice") {
		t.Errorf("check: %+v", r)
	}
	if r := h.Push(t, source, "plan"); r.Exit == 0 || !strings.Contains(r.Stderr, "dokku.hcl names secrets that are not set here: SIGNATURE, STRIPE_KEY") {
		t.Errorf("a plan without the secrets: %+v", r)
	}
	plan := h.Command(t, source, "plan", "--detailed-exitcode")
	plan.Env = append(plan.Env, "STRIPE_KEY=canary-secret", "SIGNATURE=canary two words")
	if r := testkit.Run(t, plan); r.Exit != 0 {
		t.Errorf("the plan after an import is not empty: %+v", r)
	}
	if after := status(t, h, source, app); after.Hash != before.Hash {
		t.Errorf("the import has changed the host: %+v, before %+v", after, before)
	}

	if r := h.Push(t, source, "import", "--app", app); r.Exit == 0 || !strings.Contains(r.Stderr, "dokku.hcl is there already") {
		t.Errorf("a second import: %+v", r)
	}
	if again, err := os.ReadFile(filepath.Join(source, "dokku.hcl")); err != nil || string(again) != string(text) {
		t.Errorf("a file that was there is changed: %v\n%s", err, again)
	}
	if r := h.Push(t, source, "import", "--app", app, "--force", "--plain", "LEVEL"); r.Exit != 0 || !strings.Contains(r.Stdout, "replaced dokku.hcl") {
		t.Errorf("with force: %+v", r)
	}
	all := t.TempDir()
	if r := h.Push(t, all, "import", "--all", "--server", "here"); r.Exit != 0 || strings.Contains(r.Stdout+r.Stderr, "canary") {
		t.Fatalf("import --all: %+v", r)
	}
	hosts, err := os.ReadFile(filepath.Join(all, "hosts.hcl"))
	if err != nil || !strings.Contains(string(hosts), `apps     = ["`+app+`"]`) || !strings.Contains(string(hosts), `server "here"`) {
		t.Errorf("hosts.hcl: %v\n%s", err, hosts)
	}
	if own, err := os.ReadFile(filepath.Join(all, app, "dokku.hcl")); err != nil || !strings.Contains(string(own), `secrets = ["LEVEL", "SIGNATURE", "STRIPE_KEY"]`) {
		t.Errorf("the app's own folder: %v\n%s", err, own)
	}
	if r := h.Push(t, all, "import", "--app", app+"-none"); r.Exit == 0 || !strings.Contains(r.Stderr, "there is no app "+app+"-none") {
		t.Errorf("an app that is not there: %+v", r)
	}
}

// answering is the forced command of a host that gives recorded answers, as a Dokku without
// JSON in its reports would.
const answering = `#!/bin/sh
if [ -f "DIR/dokku $SSH_ORIGINAL_COMMAND" ]; then
  exec cat "DIR/dokku $SSH_ORIGINAL_COMMAND"
fi
case "$SSH_ORIGINAL_COMMAND" in
  *--format*) echo " !     Invalid flag passed, valid flags: --some-flag" >&2 ;;
  *) echo " !     '$SSH_ORIGINAL_COMMAND' is not a dokku command." >&2 ;;
esac
exit 1
`

// TestImportOpenSSH: a Dokku that knows nothing of dokku-push is read through OpenSSH.
func TestImportOpenSSH(t *testing.T) {
	t.Parallel()
	bin, key, dir, project := testkit.Binaries(t), testkit.NewKey(t), t.TempDir(), t.TempDir()
	recorded, err := txtar.ParseFile(filepath.Join(testkit.Root(t), "push", "imports", "testdata", "app-old.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := ""
	for _, one := range recorded.Files {
		if strings.HasPrefix(one.Name, "dokku ") {
			put(t, filepath.Join(dir, one.Name), string(one.Data))
		}
		if one.Name == "want/dokku.hcl" {
			wanted = string(one.Data)
		}
	}
	script := filepath.Join(dir, "answer")
	put(t, script, strings.ReplaceAll(answering, "DIR", dir))
	sshd := testkit.SSHD(t, testkit.SSHDOptions{AuthorizedKeys: `command="sh ` + script + `",no-pty ` + key.Public})
	cmd := exec.Command(bin.Client, "import", "--host", "root@"+sshd.Addr, "--host-key", sshd.HostKey, "--key", key.File, "--app", "shop", "--plain", "LOG_LEVEL")
	cmd.Dir, cmd.Env = project, []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	if r := testkit.Run(t, cmd); r.Exit != 0 || strings.Contains(r.Stdout+r.Stderr, "canary") {
		t.Fatalf("import: %+v", r)
	}
	text, err := os.ReadFile(filepath.Join(project, "dokku.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	after := func(text string) string { _, rest, _ := strings.Cut(text, "\nconfig {"); return rest }
	if got := after(string(text)); got == "" || got != after(wanted) {
		t.Errorf("dokku.hcl is not what the recording gives:\n%s", text)
	}
	put(t, filepath.Join(project, "Dockerfile"), "FROM scratch\nCMD [\"/web\"]\n")
	put(t, filepath.Join(project, "Procfile"), "web: /web\nworker: /worker\n")
	check := exec.Command(bin.Client, "check")
	check.Dir, check.Env = project, cmd.Env
	if r := testkit.Run(t, check); r.Exit != 0 {
		t.Errorf("check: %+v", r)
	}
}
