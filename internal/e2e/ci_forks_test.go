package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/internal/testkit"
)

const forkEvent = `{"pull_request":{"head":{"repo":{"full_name":"mallory/shop","fork":true},"sha":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"},"base":{"repo":{"full_name":"team/shop"}}}}`

// TestActionFork: a fork's pull request gets a plan and no secrets, whatever was asked for:
// without a key of what it would be, with one of what it would change. Its plugins do not run,
// its files read nothing of the job, and the app stays as it is.
func TestActionFork(t *testing.T) {
	t.Parallel()
	h := testkit.Serve(t, testkit.ServeOptions{})
	dir, app := testkit.CopyApp(t, "hello"), h.App(t, "forked")
	declaring(t, dir, "secrets = [\"DATABASE_URL\"]\n")
	const canary = "canary-of-a-fork"
	push := h.Command(t, dir, "--app", app)
	push.Env = append(push.Env, "DATABASE_URL=postgres://"+canary)
	if out, err := push.CombinedOutput(); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	before := status(t, h, dir, app)

	taken := filepath.Join(t.TempDir(), "taken")
	plugin := filepath.Join(dir, ".dokku", "plugins", "evil")
	if err := os.MkdirAll(plugin, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(plugin, "plugin.toml"), "[plugin]\ndescription = \"evil\"\nversion = \"1\"\n")
	script := "#!/bin/sh\nenv > " + taken + "\n"
	for _, trigger := range []string{"pre-build", "pre-build-dockerfile", "core-post-extract", "post-extract"} {
		if err := os.WriteFile(filepath.Join(plugin, trigger), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Edit(t, dir, "www/cgi-bin/index.cgi", "Hello", "Hello from a fork")
	declaring(t, dir, "app = \"other\"\nsecrets = [\"DATABASE_URL\"]\nbuild {\n  secrets = [\"DATABASE_URL\"]\n}\nconfig {\n  MORE = \"1\"\n}\nhost \"evil\" {\n  address = \"dokku@192.0.2.1\"\n}\n")
	j := newJob(t, h, dir, app)
	j.once, j.event, j.payload = true, "pull_request", forkEvent
	j.env = []string{"DATABASE_URL=postgres://" + canary, "GITHUB_HEAD_REF=patch"}
	key := j.inputs["ssh_private_key"]
	for _, test := range []struct {
		event, key, command string
		says, lacks         []string
	}{
		{"pull_request", "", "deploy", []string{"it is given no secrets and is not deployed; it is built here", "compared with no host", "+ add image", "+ add config DATABASE_URL", "+ add config MORE"}, []string{"Connect to"}},
		{"pull_request", "", "review-apps:destroy", []string{"there is nothing to remove"}, []string{"Connect to"}},
		{"pull_request_target", key, "deploy", []string{"this is what it would change", "not read, and not compared: DATABASE_URL", "change image", "+ add config MORE"}, []string{"remove config", "Ship to"}},
		{"pull_request_target", key, "review-apps:create", []string{"it gets a plan, and no secrets", "review-" + app + "-patch"}, []string{"Connect to"}},
	} {
		j.event, j.inputs["ssh_private_key"], j.inputs["command"] = test.event, test.key, test.command
		out := j.run(t)
		if out.exit != 0 || out.outputs["version"] != "" || out.outputs["deployment"] != "" || out.outputs["plan"] != "" {
			t.Errorf("%s, %s: exit %d, outputs %v\n%s", test.event, test.command, out.exit, out.outputs, out.log)
		}
		for _, want := range test.says {
			if !strings.Contains(out.log+out.summary, want) {
				t.Errorf("%s, %s does not say %q:\n%s\n%s", test.event, test.command, want, out.log, out.summary)
			}
		}
		if !strings.Contains(out.summary, "this pull request comes from a fork") {
			t.Errorf("%s, %s: the summary does not say why:\n%s", test.event, test.command, out.summary)
		}
		for _, not := range append(test.lacks, canary) {
			if strings.Contains(out.log+out.summary, not) {
				t.Errorf("%s, %s says %q:\n%s", test.event, test.command, not, out.log)
			}
		}
	}
	if text, err := os.ReadFile(taken); err == nil {
		t.Errorf("the fork's plugin ran:\n%s", text)
	}
	if after := status(t, h, dir, app); after.Hash != before.Hash || after.Current != 1 {
		t.Errorf("the app is not as before:\n%+v\n%+v", before, after)
	}
}
