package remote

import (
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// route is the way to a host: any jump hosts, then itself.
type route struct {
	hops    []*hop
	ignored []string // parts of the ssh configuration that were not understood
}

func (r *route) last() *hop { return r.hops[len(r.hops)-1] }

// hop is one host on the way.
type hop struct {
	target  Target
	trust   *trust
	keys    *keyring
	timeout time.Duration
}

// planner reads the configuration once for all hops.
type planner struct {
	Options
	config *sshConfig
	local  string // the local user's name
	socket string
}

// plan resolves the options and the ssh configuration into a route.
func plan(o Options) (*route, error) {
	if o.Home == "" {
		home, err := os.UserHomeDir()
		if me, unknown := user.Current(); err != nil && unknown == nil {
			home, err = me.HomeDir, nil
		}
		if err != nil {
			return nil, api.Errorf(api.Configuration, "find the home folder", "%w", err).WithHint("set HOME")
		}
		o.Home = home
	}
	p := &planner{Options: o, socket: o.AgentSocket}
	if p.socket == "" {
		p.socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if me, err := user.Current(); err == nil {
		p.local = me.Username
	} else {
		p.local = os.Getenv("USER")
	}
	var err error
	if p.config, err = readConfig(o.Home, o.ConfigFile); err != nil {
		return nil, err
	}
	hops, err := p.hops(o.Target, nil)
	if err != nil {
		return nil, err
	}
	return &route{hops: hops, ignored: p.config.ignored}, nil
}

// hops resolves a host and, before it, the hosts that it is reached through. Only
// the first of a ProxyJump list may have jump hosts of its own, as in OpenSSH.
func (p *planner) hops(text string, outer []string) ([]*hop, error) {
	if len(outer) > 8 {
		return nil, api.Errorf(api.Configuration, "connect to "+p.Target, "ProxyJump goes in circles: %s", strings.Join(outer, " through "))
	}
	outer = append(outer, text)
	s, err := p.settings(text)
	if err != nil {
		return nil, err
	}
	var hops []*hop
	for i, jump := range s.jumps {
		jump = strings.TrimPrefix(strings.TrimSpace(jump), "ssh://")
		if i == 0 {
			before, err := p.hops(jump, outer)
			if err != nil {
				return nil, err
			}
			hops = append(hops, before...)
			continue
		}
		js, err := p.settings(jump)
		if err != nil {
			return nil, err
		}
		h, err := p.hop(js, true)
		if err != nil {
			return nil, err
		}
		hops = append(hops, h)
	}
	h, err := p.hop(s, len(outer) > 1)
	return append(hops, h), err
}

func (p *planner) settings(text string) (settings, error) {
	target, err := parseTarget(text)
	if err != nil {
		return settings{}, err
	}
	return p.config.of(target, p.local)
}

// hop makes a hop of what the configuration says. A jump host is logged into as
// OpenSSH would: as the local user, with its own keys first.
func (p *planner) hop(s settings, jump bool) (*hop, error) {
	fallback := Target{User: DefaultUser, Port: DefaultPort}
	if jump {
		fallback.User = p.local
	}
	h := &hop{target: s.target.or(fallback), timeout: p.Timeout}
	if h.timeout == 0 {
		h.timeout = s.timeout
	}
	if h.timeout == 0 {
		h.timeout = defaultTimeout
	}
	h.trust = p.trustFor(s, h.target)
	if !jump {
		h.trust.pinnable, h.trust.said = true, p.Names.HostKey
		if err := h.trust.readPin(p.HostKey); err != nil {
			return nil, err
		}
	}
	h.keys = p.keysFor(s, jump)
	return h, nil
}

func (p *planner) trustFor(s settings, target Target) *trust {
	t := &trust{host: target.address(), address: strings.ToLower(target.address()), acceptNew: p.AcceptNew, files: p.KnownHosts}
	if s.hostKeyAlias != "" { // OpenSSH looks it up without a port
		t.address = net.JoinHostPort(s.hostKeyAlias, "22")
	}
	if t.files == nil {
		t.files = s.knownHosts
		if t.files == nil {
			ssh := filepath.Join(p.Home, ".ssh")
			t.files = []string{filepath.Join(ssh, "known_hosts"), filepath.Join(ssh, "known_hosts2")}
		}
		if len(t.files) > 0 {
			t.record = t.files[0]
		}
		t.files = append(t.files, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
	} else if len(t.files) > 0 {
		t.record = t.files[0]
	}
	return t
}

// keysFor chooses the keys for a host. A key that the caller named is the only
// one for the target; a jump host is offered it beside those of its own.
func (p *planner) keysFor(s settings, jump bool) *keyring {
	k := &keyring{ask: p.Passphrase, only: s.identitiesOnly, socket: p.socket, text: p.Key, names: p.Names}
	if s.identityAgent != "" && p.AgentSocket == "" {
		k.socket = s.identityAgent
	}
	if k.socket == "none" {
		k.socket = ""
	}
	explicit := p.Key != "" || p.KeyFile != ""
	if explicit && !jump {
		k.only = true
	} else {
		for _, path := range s.identityFiles {
			k.files = append(k.files, keyFile{path: path, named: true})
		}
		if len(k.files) == 0 {
			for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
				k.files = append(k.files, keyFile{path: filepath.Join(p.Home, ".ssh", name)})
			}
		}
	}
	if p.KeyFile != "" {
		path := p.KeyFile
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			path = filepath.Join(p.Home, rest)
		}
		k.files = append(k.files, keyFile{path: path, named: true, must: !jump})
	}
	return k
}
