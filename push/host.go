package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/remote"
)

// HostOptions is everything that making a host is told.
type HostOptions struct {
	Server   manifest.Server
	Host     string // [user@]host[:port] over the block's own address
	PlanOnly bool
	Sudo     bool // by sudo for whatever user; otherwise for those that are not root
	Remote   remote.Options
	Report   func(api.Event) // never nil
}

// dokkuUser is who deploys, and cannot do anything else.
const dokkuUser = "dokku"

// ApplyHost makes a host what a server block says, or only asks what that would change. The
// host's agent has to be installed. The plan and the verdict are among the events, too.
func ApplyHost(ctx context.Context, o HostOptions) (plan api.Plan, verdict api.Verdict, err error) {
	target := o.Remote
	target.Target, target.HostKey = firstOf(o.Host, o.Server.Address), firstOf(target.HostKey, o.Server.HostKey)
	if target.Target == "" {
		return plan, verdict, api.Errorf(api.Usage, "find the host", "the server block %s has no address", o.Server.Name).
			WithHint("address = \"root@host\", or --host root@host")
	}
	conn, err := remote.Dial(ctx, target)
	if err != nil {
		return plan, verdict, err
	}
	defer conn.Close()
	user := conn.Target().User
	if user == dokkuUser {
		return plan, verdict, notTheDokkuKey(conn.Target().String())
	}
	argv := []string{"dokku-agent", "apply"}
	if o.Sudo || user != "root" {
		argv = append([]string{"sudo", "-n"}, argv...)
	}
	request, err := json.Marshal(api.HostRequest{Protocol: api.Protocol, PlanOnly: o.PlanOnly, Document: HostDocument(o.Server)})
	if err != nil {
		return plan, verdict, err
	}
	answer := &hostAnswer{report: o.Report}
	exit, err := conn.Run(ctx, argv, bytes.NewReader(request), answer, &answer.problems, remote.RunOptions{})
	switch {
	case err != nil:
		return answer.plan, verdict, err
	case answer.wrong != nil:
		return answer.plan, verdict, answer.wrong
	case answer.verdict == nil:
		return answer.plan, verdict, noAgent(conn.Target().String(), exit, answer.problems.String())
	case answer.verdict.Error != nil:
		return answer.plan, *answer.verdict, answer.verdict.Error
	}
	return answer.plan, *answer.verdict, nil
}

// HostDocument is a server block as it goes to the host.
func HostDocument(server manifest.Server) api.HostDocument {
	document := api.HostDocument{Server: server.Name, Apps: server.Apps, Config: server.Config, Domains: server.Domains}
	for _, one := range server.Plugins {
		document.Plugins = append(document.Plugins, api.HostPlugin{Name: one.Name, URL: one.URL, Committish: one.Committish})
	}
	for _, one := range server.Keys {
		document.Keys = append(document.Keys, api.HostKey{Name: one.Name, PublicKey: one.PublicKey})
	}
	return document
}

func notTheDokkuKey(target string) error {
	return api.Errorf(api.Refused, "apply", "%s may deploy, and cannot change the host", target).
		WithHint("use root@HOST, or a user who may run `sudo -n dokku-agent apply`: the dokku user's keys are for apps alone")
}

// noAgent says why there was no answer.
func noAgent(target string, exit int, said string) error {
	said = strings.TrimSpace(said)
	switch {
	case strings.Contains(said, "is not a dokku command") || strings.Contains(said, "is no dokku command"):
		return notTheDokkuKey(target)
	case strings.Contains(said, "sudo:"):
		return api.Errorf(api.Refused, "apply", "%s: %s", target, said).
			WithHint("let the user run it without a password: USER ALL=(root) NOPASSWD: /usr/local/bin/dokku-agent apply")
	case exit == 126 || exit == 127:
		return api.Errorf(api.Precondition, "apply", "%s has no dokku-agent: %s", target, said).WithHint("install it first: sudo dokku-agent install")
	}
	return api.Errorf(api.WrongProtocol, "apply", "%s did not answer (exit code %d): %s", target, exit, said).
		WithHint("bring dokku-agent on the host to this program's version")
}

// hostAnswer reads the event stream of `dokku-agent apply`.
type hostAnswer struct {
	report   func(api.Event)
	part     []byte
	plan     api.Plan
	verdict  *api.Verdict
	wrong    error
	problems limitedText
}

func (a *hostAnswer) Write(p []byte) (int, error) {
	a.part = append(a.part, p...)
	for {
		line, rest, found := bytes.Cut(a.part, []byte("\n"))
		if !found {
			break
		}
		a.part = rest
		a.event(line)
	}
	if len(a.part) > mostLine {
		return 0, errors.New("the host sends no event stream")
	}
	return len(p), nil
}

// mostLine is the longest line of an event stream, in bytes.
const mostLine = 4 << 20

// event takes one line. What is no event is what some login script has to say.
func (a *hostAnswer) event(line []byte) {
	var event api.Event
	if json.Unmarshal(line, &event) != nil || event.Type == "" {
		_, _ = a.problems.Write(append(line, '\n'))
		return
	}
	switch {
	case event.Version != nil && event.Version.Protocol != api.Protocol:
		a.wrong = api.Errorf(api.WrongProtocol, "apply", "the host speaks protocol %d, this program %d", event.Version.Protocol, api.Protocol).
			WithHint("bring both programs to one version")
	case event.Plan != nil:
		a.plan = *event.Plan
	case event.Verdict != nil:
		a.verdict = event.Verdict
	}
	a.report(event)
}

// limitedText keeps the first bytes of what the host complains about.
type limitedText struct{ text strings.Builder }

func (l *limitedText) Write(p []byte) (int, error) {
	l.text.Write(p[:max(0, min(len(p), 4096-l.text.Len()))])
	return len(p), nil
}

func (l *limitedText) String() string { return l.text.String() }
