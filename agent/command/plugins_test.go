package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/api"
)

// TestTakeValue: both forms of a flag with a value, and neither.
func TestTakeValue(t *testing.T) {
	for line, want := range map[string]string{
		"x --name y z":  "y|x z",
		"--name=y":      "y|",
		"x":             "|x",
		"x --names y":   "|x --names y",
		"x --name":      "--name wants a value",
		"--name= x":     "--name wants a value",
		"--name --name": "--name|",
	} {
		call := Call{Args: strings.Fields(line)}
		value, err := call.takeValue("--name")
		got := value + "|" + strings.Join(call.Args, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// TestPlugins: what the commands say; what they do is agent/plugin's.
func TestPlugins(t *testing.T) {
	h, _ := newHost(t)
	dir := filepath.Join(t.TempDir(), "dokku-near")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "plugin.toml"), []byte("[plugin]\ndescription = \"near by\"\nversion = \"1.0.0\"\n"), 0o644))
	prints(t, h, "plugin:list", "")
	prints(t, h, "plugin:list --format json", "[]\n")
	refuses(t, h, "plugin:install "+dir+" --core", api.Usage, "comes with the agent")
	refuses(t, h, "plugin:install --committish x", api.Usage, "specify the plugin's URL")
	refuses(t, h, "plugin:install a b", api.Usage, "usage: dokku plugin:install")
	refuses(t, h, "plugin:install --unknown", api.Usage, "--unknown is no flag")
	prints(t, h, "plugin:install "+dir, "-----> Fetching plugin near\n-----> Plugin near enabled\n")
	prints(t, h, "plugin:list", "  near                 1.0.0 enabled    near by\n")
	prints(t, h, "plugin:list --format=json", `[{"name":"near","version":"1.0.0","enabled":true,"core":false,"description":"near by","source_url":"","committish":"","branch":""}]`+"\n")
	prints(t, h, "plugin:installed near", "")
	if _, _, err := do(t, Call{Host: h}, "plugin:installed far"); err == nil || err.Error() != "exit code 1" {
		t.Errorf("plugin:installed far: %v", err)
	}
	prints(t, h, "plugin:update", "-----> Plugin near is no git repository: it is not updated\n")
	prints(t, h, "plugin:disable near", "-----> Plugin near disabled\n")
	prints(t, h, "plugin:uninstall near", "-----> Plugin near uninstalled\n")
	refuses(t, h, "plugin:uninstall near", api.Precondition, "not installed")
	refuses(t, h, "plugin:disable nginx-vhosts", api.Refused, "a plugin of the core")
	refuses(t, h, "plugin:update near x y", api.Usage, "usage: dokku plugin:update")
	refuses(t, h, "plugin:trigger", api.Usage, "specify a trigger")
}

// TestSSHKeys: the commands of sshcommand's file.
func TestSSHKeys(t *testing.T) {
	h, _ := newHost(t)
	file := keys.At(h.Places.Root)
	must(t, os.MkdirAll(filepath.Dir(file.Path), 0o700))
	signer, err := keys.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	must(t, err)
	public := filepath.Join(t.TempDir(), "key.pub")
	line := strings.SplitN(file.Line("x", "", signer.PublicKey()), "port-forwarding ", 2)[1]
	must(t, os.WriteFile(public, []byte(line), 0o644))
	refuses(t, h, "ssh-keys:list", api.Precondition, "No public keys found")
	refuses(t, h, "ssh-keys:add", api.Usage, "usage: dokku ssh-keys:add")
	refuses(t, h, "ssh-keys:add alice /nowhere", api.Usage, "no such file")
	out, _, err := do(t, Call{Host: h, In: strings.NewReader(line)}, "ssh-keys:add alice")
	must(t, err)
	refuses(t, h, "ssh-keys:add bob "+public, api.Usage, public+": this key already exists")
	prints(t, h, "ssh-keys:list", strings.TrimSpace(out)+` NAME="alice" SSHCOMMAND_ALLOWED_KEYS="no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"`+"\n")
	refuses(t, h, "ssh-keys:list --format xml", api.Usage, "supported formats")
	refuses(t, h, "ssh-keys:remove alice bob", api.Usage, "usage: dokku ssh-keys:remove")
	prints(t, h, "ssh-keys:remove --fingerprint "+strings.TrimSpace(out), "")
	prints(t, h, "ssh-keys:add bob "+public, out)
	prints(t, h, "ssh-keys:remove bob", "")
}
