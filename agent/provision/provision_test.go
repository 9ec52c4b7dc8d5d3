package provision

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/agent/plugin"
	"github.com/dokku-push/dokku-push/api"
)

// machine is a host in memory that obeys the commands that provision gives.
type machine struct {
	plugins []plugin.Plugin
	pins    map[string]string
	keys    map[string]string // public key lines by name
	apps    []string
	global  agent.Settings
	did     []string
	fails   string
	memory  string
}

func newMachine(t *testing.T) *machine {
	return &machine{pins: map[string]string{}, keys: map[string]string{}, global: agent.Settings{Env: map[string]string{}}, memory: filepath.Join(t.TempDir(), "server.json")}
}

func (m *machine) host() *Host {
	return &Host{
		Plugins: func(context.Context) ([]plugin.Plugin, error) { return slices.Clone(m.plugins), nil },
		Pinned:  func(name string) string { return m.pins[name] },
		Keys: func() (list []keys.Key, err error) {
			for name, line := range m.keys {
				_, fingerprint, err := publicKey(line)
				if err != nil {
					return nil, err
				}
				list = append(list, keys.Key{Name: name, Fingerprint: fingerprint})
			}
			return list, nil
		},
		Apps:   func() ([]string, error) { return m.apps, nil },
		Global: func() (agent.Settings, error) { return m.global, nil },
		Run:    m.run, Memory: m.memory,
	}
}

func (m *machine) run(_ context.Context, argv []string, stdin string, out io.Writer) error {
	m.did = append(m.did, strings.Join(argv, " "))
	fmt.Fprint(out, "obeyed")
	if argv[0] == m.fails {
		return errors.New("exit code 1")
	}
	last := argv[len(argv)-1]
	switch argv[0] {
	case "plugin:install":
		m.plugins = append(m.plugins, plugin.Plugin{Name: argv[3], SourceURL: argv[1], Enabled: true})
		if len(argv) > 4 {
			m.pins[argv[3]] = argv[5]
		}
	case "plugin:enable":
		m.plugins[0].Enabled = true
	case "plugin:update":
		m.pins[argv[1]] = argv[2]
	case "ssh-keys:add":
		m.keys[argv[1]] = stdin
	case "ssh-keys:remove":
		for name, line := range m.keys {
			if _, fingerprint, _ := publicKey(line); name == last || fingerprint == last {
				delete(m.keys, name)
			}
		}
	case "apps:create":
		m.apps = append(m.apps, last)
	case "config:import":
		return json.Unmarshal([]byte(stdin), &m.global.Env)
	case "config:unset":
		delete(m.global.Env, last)
	case "domains:set-global":
		m.global.Domains = slices.Clone(argv[1:])
	case "domains:clear-global":
		m.global.Domains = nil
	default:
		return errors.New("there is no such command")
	}
	return nil
}

// apply returns what was planned and how it ended.
func (m *machine) apply(document api.HostDocument) (plan []string, verdict api.Verdict, events []api.Event) {
	m.did = nil
	verdict = m.host().Apply(context.Background(), api.HostRequest{Protocol: api.Protocol, Document: document}, func(event api.Event) {
		events = append(events, event)
		if event.Plan != nil {
			for _, one := range event.Plan.Changes {
				plan = append(plan, one.String())
			}
			plan = append(plan, event.Plan.Warnings...)
		}
	})
	return plan, verdict, events
}

// key is the n-th public key.
func key(t *testing.T, n byte) (line, fingerprint string) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	public, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), ssh.FingerprintSHA256(public)
}

func whole(t *testing.T) api.HostDocument {
	line, _ := key(t, 1)
	return api.HostDocument{Server: "production", Apps: []string{"shop"}, Config: map[string]string{"LEVEL": "info", "TOKEN": "canary"}, Domains: &[]string{"example.com"},
		Plugins: []api.HostPlugin{{Name: "store", URL: "https://example.com/store.git", Committish: "1.0"}}, Keys: []api.HostKey{{Name: "alice", PublicKey: line + " alice@laptop"}}}
}

// TestApply: all of it, then nothing, then what the next document says otherwise.
func TestApply(t *testing.T) {
	m, document := newMachine(t), whole(t)
	_, first := key(t, 1)
	second, other := key(t, 2)
	want := []string{"add config LEVEL", "add config TOKEN", "change domains: example.com", "add plugin store: https://example.com/store.git 1.0", "add ssh_key alice: " + first, "add app shop"}
	for n := range want {
		want[n] = strings.ReplaceAll(want[n], "_", " ")
	}
	plan, verdict, events := m.apply(document)
	if diff := cmp.Diff(want, plan); diff != "" || !verdict.OK || !verdict.Changed {
		t.Fatalf("%+v\n%s", verdict, diff)
	}
	if events[0].Version == nil || events[len(events)-1].Verdict == nil || events[1].Plan == nil || events[1].Plan.Server != "production" {
		t.Errorf("the stream is no stream: %+v", events)
	}
	for _, event := range events {
		if text, err := json.Marshal(event); err != nil || strings.Contains(string(text), "canary") {
			t.Errorf("an event shows a value: %s", text)
		}
	}
	for _, words := range m.did {
		if strings.Contains(words, "canary") {
			t.Errorf("a value is a word of a command: %s", words)
		}
	}
	plan, verdict, _ = m.apply(document)
	if len(plan) > 0 || len(m.did) > 0 || !verdict.OK || verdict.Changed {
		t.Errorf("a second time: %q, %q, %+v", plan, m.did, verdict)
	}

	document.Config = map[string]string{"LEVEL": "debug"}
	document.Plugins[0].Committish = "2.0"
	document.Keys[0].PublicKey = second
	document.Apps = nil
	document.Domains = &[]string{}
	m.plugins[0].Enabled = false
	plan, verdict, _ = m.apply(document)
	want = []string{"change config LEVEL", "remove domains: example.com", "change plugin store (enable)", "change plugin store: 1.0 → 2.0", "change ssh key alice: " + first + " → " + other,
		"remove config TOKEN (no longer named)", "the app shop is no longer named and stays: apps:destroy shop removes it"}
	if diff := cmp.Diff(want, plan); diff != "" || !verdict.OK {
		t.Errorf("%+v\n%s", verdict.Error, diff)
	}
	m.keys["root"], _ = key(t, 3) // nobody's document ever named it
	document.Keys, document.Plugins, document.Domains = nil, nil, nil
	plan, _, _ = m.apply(document)
	want = []string{"remove ssh key alice (no longer named)", "the plugin store is no longer named and stays: plugin:uninstall store removes it"}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Error(diff)
	}
	if _, left := m.keys["root"]; !left || len(m.keys) != 1 {
		t.Errorf("the keys are %v", m.keys)
	}
	if _, _, events := m.apply(document); events[1].Plan.Empty() != true {
		t.Error("it does not come to rest")
	}
}

// TestPlanOnly: a plan changes nothing.
func TestPlanOnly(t *testing.T) {
	m := newMachine(t)
	var planned int
	verdict := m.host().Apply(context.Background(), api.HostRequest{Protocol: api.Protocol, PlanOnly: true, Document: whole(t)}, func(event api.Event) {
		if event.Plan != nil {
			planned = len(event.Plan.Changes)
		}
	})
	if !verdict.OK || verdict.Changed || planned != 6 || len(m.did) > 0 {
		t.Errorf("%+v, %d planned, did %q", verdict, planned, m.did)
	}
	if _, err := os.Stat(m.memory); err == nil {
		t.Error("a plan is remembered")
	}
}

// TestBrokenOff: what was done before a failure stays and is known, and the next run goes on.
func TestBrokenOff(t *testing.T) {
	m, document := newMachine(t), whole(t)
	m.fails = "ssh-keys:add"
	_, verdict, events := m.apply(document)
	if verdict.OK || !verdict.Changed || verdict.Error.Code != api.Precondition || !strings.Contains(verdict.Error.Error(), "dokku ssh-keys:add: exit code 1") {
		t.Fatalf("%+v", verdict.Error)
	}
	if last := events[len(events)-2]; last.Step == nil || last.Step.Status != api.StepFailed {
		t.Errorf("the failing step is not told: %+v", last)
	}
	m.fails = ""
	plan, verdict, _ := m.apply(api.HostDocument{Server: "production"})
	if want := "remove config LEVEL (no longer named)"; !verdict.OK || !slices.Contains(plan, want) {
		t.Errorf("what a broken run had done is not known: %q", plan)
	}
}

// TestRefused: what cannot be, and what would take something from somebody.
func TestRefused(t *testing.T) {
	line, _ := key(t, 1)
	other, _ := key(t, 2)
	for name, test := range map[string]struct {
		alter func(*machine, *api.HostDocument)
		code  api.Code
		says  string
	}{
		"another protocol": {nil, api.WrongProtocol, "protocol"},
		"no key":           {func(_ *machine, d *api.HostDocument) { d.Keys[0].PublicKey = "nonsense" }, api.InvalidManifest, `ssh_key "alice"`},
		"a key with options": {func(_ *machine, d *api.HostDocument) { d.Keys[0].PublicKey = `command="sh" ` + line }, api.InvalidManifest,
			"more than one public key"},
		"a key twice": {func(_ *machine, d *api.HostDocument) {
			d.Keys = append(d.Keys, api.HostKey{Name: "bob", PublicKey: line})
		}, api.InvalidManifest, "twice"},
		"an app like a flag": {func(_ *machine, d *api.HostDocument) { d.Apps = []string{"--force"} }, api.InvalidManifest, `"--force" is no name`},
		"a plugin from elsewhere": {func(m *machine, _ *api.HostDocument) {
			m.plugins = []plugin.Plugin{{Name: "store", SourceURL: "https://example.com/other.git", Enabled: true}}
		}, api.Precondition, "installed already, from https://example.com/other.git"},
		"a name and a key of two others": {func(m *machine, _ *api.HostDocument) { m.keys["alice"], m.keys["bob"] = other, line }, api.Precondition, "is there as bob"},
		"a broken memory":                {func(m *machine, _ *api.HostDocument) { _ = os.WriteFile(m.memory, []byte("{"), 0o600) }, api.Configuration, "server.json"},
	} {
		m, document, protocol := newMachine(t), whole(t), api.Protocol
		if test.alter == nil {
			protocol = 99
		} else {
			test.alter(m, &document)
		}
		verdict := m.host().Apply(context.Background(), api.HostRequest{Protocol: protocol, Document: document}, func(api.Event) {})
		if verdict.OK || verdict.Error.Code != test.code || !strings.Contains(verdict.Error.Error(), test.says) || len(m.did) > 0 {
			t.Errorf("%s: %+v, did %q", name, verdict.Error, m.did)
		}
	}
}

// TestRenamedKey: a key that is there by another name gets the new one.
func TestRenamedKey(t *testing.T) {
	m := newMachine(t)
	line, _ := key(t, 1)
	m.keys["old"] = line
	plan, verdict, _ := m.apply(api.HostDocument{Keys: []api.HostKey{{Name: "new", PublicKey: line}}})
	if !verdict.OK || len(m.keys) != 1 || m.keys["new"] == "" || plan[0] != "change ssh key new (its name was old)" {
		t.Errorf("%q, keys %v, %+v", plan, m.keys, verdict.Error)
	}
}
