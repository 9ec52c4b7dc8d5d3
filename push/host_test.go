package push

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestHostAnswer: an event stream is read in any pieces; what a login script says is no event.
func TestHostAnswer(t *testing.T) {
	stream := "Welcome to the machine\n" + `{"type":"version","time":"2026-01-01T00:00:00Z","version":{"protocol":1,"request":"","app":""}}` + "\n" +
		`{"type":"plan","time":"2026-01-01T00:00:00Z","plan":{"app":"","server":"one","exists":true,"state":"","document":"","changes":[{"kind":"app","name":"x","action":"add"}]}}` + "\n" +
		`{"type":"verdict","time":"2026-01-01T00:00:00Z","verdict":{"ok":true,"changed":true}}` + "\n"
	for _, size := range []int{1, 7, len(stream)} {
		var kinds []string
		answer := &hostAnswer{report: func(event api.Event) { kinds = append(kinds, string(event.Type)) }}
		for rest := stream; rest != ""; rest = rest[min(size, len(rest)):] {
			if _, err := answer.Write([]byte(rest[:min(size, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"version", "plan", "verdict"}, kinds); diff != "" || answer.wrong != nil || answer.verdict == nil || !answer.verdict.OK || answer.plan.Server != "one" {
			t.Errorf("in pieces of %d: %+v %s", size, answer, diff)
		}
		if answer.problems.String() != "Welcome to the machine\n" {
			t.Errorf("in pieces of %d it complains %q", size, answer.problems.String())
		}
	}
	other := &hostAnswer{report: func(api.Event) {}}
	_, _ = other.Write([]byte(`{"type":"version","version":{"protocol":99}}` + "\n"))
	if api.AsError(other.wrong).Code != api.WrongProtocol {
		t.Errorf("another protocol: %v", other.wrong)
	}
	if _, err := other.Write([]byte(strings.Repeat("x", mostLine+1))); err == nil {
		t.Error("a line without an end is read for ever")
	}
}

// TestNoAgent: why there was no answer, and what to do.
func TestNoAgent(t *testing.T) {
	for _, test := range []struct {
		exit int
		said string
		code api.Code
		hint string
	}{
		{1, " !     `sudo -n dokku-agent apply' is not a dokku command.", api.Refused, "sudo -n dokku-agent apply"},
		{1, "sudo: a password is required", api.Refused, "NOPASSWD: /usr/local/bin/dokku-agent apply"},
		{127, "bash: dokku-agent: command not found", api.Precondition, "dokku-agent install"},
		{64, "Usage: dokku-agent COMMAND", api.WrongProtocol, "version"},
	} {
		problem := api.AsError(noAgent("root@host", test.exit, test.said))
		if problem.Code != test.code || !strings.Contains(problem.Hint, test.hint) {
			t.Errorf("%q: %+v", test.said, problem)
		}
	}
}

// TestHostDocument: all of a server block travels.
func TestHostDocument(t *testing.T) {
	domains := []string{"example.com"}
	server := manifest.Server{Name: "one", Address: "root@host", HostKey: "SHA256:x", Plugins: []manifest.ServerPlugin{{Name: "p", URL: "u", Committish: "c"}},
		Keys: []manifest.ServerKey{{Name: "k", PublicKey: "ssh-ed25519 AAAA"}}, Apps: []string{"a"}, Config: map[string]string{"A": "1"}, Domains: &domains}
	want := api.HostDocument{Server: "one", Plugins: []api.HostPlugin{{Name: "p", URL: "u", Committish: "c"}}, Keys: []api.HostKey{{Name: "k", PublicKey: "ssh-ed25519 AAAA"}},
		Apps: []string{"a"}, Config: map[string]string{"A": "1"}, Domains: &domains}
	if diff := cmp.Diff(want, HostDocument(server)); diff != "" {
		t.Error(diff)
	}
}
