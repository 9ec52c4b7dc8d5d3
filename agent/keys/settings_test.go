package keys

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSettings: sshcommand's variables; what would be another command, or more than one
// word of a line, is not believed.
func TestSettings(t *testing.T) {
	for _, test := range []struct {
		text string
		env  map[string]string
		want Settings
	}{
		{"", nil, Settings{}},
		{"# SSHCOMMAND_ALLOWED_KEYS=x\nexport SSHCOMMAND_ALLOWED_KEYS=\"restrict,pty\"\nSSHCOMMAND_CHECK_DUPLICATE_NAME='false'\nPATH=/x\n", nil, Settings{Allowed: "restrict,pty", SameName: true}},
		{"", map[string]string{"SSHCOMMAND_CHECK_DUPLICATE_FINGERPRINT": "false", "SSHCOMMAND_IGNORE_LIST_WARNINGS": "true"}, Settings{SameKey: true, Lenient: true}},
		{"SSHCOMMAND_ALLOWED_KEYS=no-pty\n", map[string]string{"SSHCOMMAND_ALLOWED_KEYS": "restrict"}, Settings{Allowed: "no-pty"}},
		{"SSHCOMMAND_ALLOWED_KEYS=command=\"/bin/sh\"\n", nil, Settings{}},
		{"SSHCOMMAND_ALLOWED_KEYS=no-pty ssh-rsa AAAA\n", nil, Settings{}},
	} {
		got := settings(test.text, func(name string) string { return test.env[name] })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q %v: %s", test.text, test.env, diff)
		}
	}
	home := t.TempDir()
	want := File{Path: home + "/.ssh/authorized_keys", Command: home + "/.sshcommand", Allowed: "restrict", SameKey: true}
	if diff := cmp.Diff(want, Settings{Allowed: "restrict", SameKey: true}.File(home)); diff != "" {
		t.Error(diff)
	}
}
