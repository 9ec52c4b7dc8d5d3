package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// healthy is a real host on which nothing is wrong: two apps, one key, one plugin, one
// certificate.
func healthy(t *testing.T) *Doctor {
	t.Helper()
	dir := t.TempDir()
	places := agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib"), Logs: filepath.Join(dir, "log")}
	d := &Doctor{Places: places, Traffic: "map", Now: time.Now(), Client: time.Now().Add(-2 * time.Second),
		Apps: map[string]agent.Settings{
			"shop": {Domains: []string{"shop.example.com", "*.example.com", "shop.localhost"}, Scale: map[string]int{"web": 2},
				Properties: map[string]string{"resource/web.limit.memory": "512m"}},
			"blog": {Scale: map[string]int{"web": 1}},
		},
		Info: func(context.Context) (agent.EngineInfo, error) {
			return agent.EngineInfo{OS: "linux", Arch: "amd64", Store: "overlay2", Root: "/docker", Version: "20.10.24"}, nil
		},
		Volume: func(string) (Volume, error) {
			return Volume{ID: "a", Size: 100 * gib, Free: 50 * gib, Files: 100, FilesFree: 50}, nil
		},
		Memory:    func() (Memory, error) { return Memory{Total: 4 * gib, Available: 2 * gib}, nil },
		Dial:      func(context.Context, string) error { return nil },
		TestNginx: func(context.Context) error { return nil },
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		},
		Addresses:  func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil },
		Commands:   func() ([][]string, error) { return [][]string{{"sshd"}, {"/usr/local/bin/dokku-agent", "watch"}}, nil },
		Leftovers:  func(context.Context) ([]agent.Leftover, error) { return nil, nil },
		Unfinished: func(string) (string, error) { return "", nil },
		Builds:     func() (bool, error) { return true, nil },
	}
	write(t, filepath.Join(places.Root, ".ssh", "authorized_keys"), "# ours\n"+keyLine(t, `command="x NAME=\"ci\" y",no-port-forwarding`), 0o600)
	write(t, filepath.Join(places.Plugins(), "available", "redis", "plugin.toml"), "[plugin]\n", 0o644)
	link(t, filepath.Join(places.Plugins(), "available", "redis"), filepath.Join(places.Plugins(), "enabled", "redis"))
	core := filepath.Join(places.CorePlugins(), "available", "ps")
	write(t, filepath.Join(core, "plugin.toml"), "[plugin]\n", 0o644)
	link(t, core, filepath.Join(places.Plugins(), "enabled", "ps"))
	certify(t, places.TLS("shop"), d.Now.Add(-time.Hour), d.Now.Add(90*24*time.Hour), "shop.example.com")
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), mode))
	must(t, os.Chmod(path, mode))
}

func link(t *testing.T, to, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.Symlink(to, path))
}

// keyLine is a line of authorized_keys with a fresh key.
func keyLine(t *testing.T, options string) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := ssh.NewPublicKey(public)
	must(t, err)
	return strings.TrimSpace(options+" "+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))) + " somebody\n"
}

// certify writes a certificate with its key.
func certify(t *testing.T, dir string, from, until time.Time, domain string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: []string{domain}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	must(t, err)
	write(t, filepath.Join(dir, "server.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	write(t, filepath.Join(dir, "server.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), 0o600)
}

// TestHealthy: every check says that it is fine, and every code of the table is told.
func TestHealthy(t *testing.T) {
	found := healthy(t).Examine(t.Context())
	var told, table []string
	for _, f := range found.Findings {
		told = append(told, f.Code)
		if f.Level != api.HealthOK || f.Message == "" {
			t.Errorf("a healthy host: %+v", f)
		}
	}
	for _, row := range api.HealthCodes() {
		table = append(table, row.Code)
	}
	if diff := cmp.Diff(table, told); diff != "" {
		t.Errorf("the codes told, -table +told:\n%s", diff)
	}
}

// TestChecks makes each check find something.
func TestChecks(t *testing.T) {
	enabled := func(d *Doctor, name string) string { return filepath.Join(d.Places.Plugins(), "enabled", name) }
	keysFile := func(d *Doctor) string { return filepath.Join(d.Places.Root, ".ssh", "authorized_keys") }
	disk := func(v Volume) func(*testing.T, *Doctor) {
		return func(_ *testing.T, d *Doctor) { d.Volume = func(string) (Volume, error) { return v, nil } }
	}
	ram := func(total, available uint64) func(*testing.T, *Doctor) {
		return func(_ *testing.T, d *Doctor) {
			d.Memory = func() (Memory, error) { return Memory{total, available}, nil }
		}
	}
	engine := func(info agent.EngineInfo, err error) func(*testing.T, *Doctor) {
		return func(_ *testing.T, d *Doctor) {
			d.Info = func(context.Context) (agent.EngineInfo, error) { return info, err }
		}
	}
	certificate := func(from, until time.Duration, domain string) func(*testing.T, *Doctor) {
		return func(t *testing.T, d *Doctor) {
			certify(t, d.Places.TLS("shop"), d.Now.Add(from), d.Now.Add(until), domain)
		}
	}
	key := func(options string) func(*testing.T, *Doctor) {
		return func(t *testing.T, d *Doctor) { write(t, keysFile(d), keyLine(t, options), 0o600) }
	}
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		change func(t *testing.T, d *Doctor)
		code   string
		level  api.HealthLevel
		says   string
	}{
		"disk nearly full": {disk(Volume{Size: 100 * gib, Free: 300 * mib}), api.HealthDisk, api.HealthFailure, "300 MiB of 100.0 GiB free (0 %)"},
		"disk low":         {disk(Volume{Size: 100 * gib, Free: 9 * gib}), api.HealthDisk, api.HealthWarning, "/docker, "},
		"disk unknown": {func(_ *testing.T, d *Doctor) {
			d.Volume = func(string) (Volume, error) { return Volume{}, errors.New("no such") }
		}, api.HealthDisk, api.HealthWarning, "not examined: no such"},
		"no inodes":           {disk(Volume{Size: gib * 100, Free: gib * 50, Files: 1000, FilesFree: 5}), api.HealthInodes, api.HealthFailure, "5 of 1000"},
		"few inodes":          {disk(Volume{Size: gib * 100, Free: gib * 50, Files: 1000, FilesFree: 50}), api.HealthInodes, api.HealthWarning, "(5 %)"},
		"no memory":           {ram(4*gib, 60*mib), api.HealthMemory, api.HealthFailure, "60 MiB of 4.0 GiB"},
		"little memory":       {ram(4*gib, 300*mib), api.HealthMemory, api.HealthWarning, "1 container without one"},
		"limits above memory": {ram(gib-mib, 900*mib), api.HealthMemory, api.HealthWarning, "add up to 1.0 GiB"},
		"no engine":           {engine(agent.EngineInfo{}, errors.New("connection refused")), api.HealthEngine, api.HealthFailure, "connection refused"},
		"windows":             {engine(agent.EngineInfo{OS: "windows", Version: "28.0.1"}, nil), api.HealthEngine, api.HealthFailure, "windows"},
		"an old engine":       {engine(agent.EngineInfo{OS: "linux", Version: "19.03.8"}, nil), api.HealthEngine, api.HealthWarning, "19.03.8"},
		"a clock ahead":       {func(_ *testing.T, d *Doctor) { d.Client = d.Now.Add(-5 * time.Minute) }, api.HealthClock, api.HealthWarning, "5m0s ahead of"},
		"a clock behind":      {func(_ *testing.T, d *Doctor) { d.Client = d.Now.Add(31 * time.Second) }, api.HealthClock, api.HealthWarning, "31s behind"},
		"no nginx": {func(_ *testing.T, d *Doctor) {
			d.Dial = func(context.Context, string) error { return errors.New("refused") }
		}, api.HealthNginx, api.HealthFailure, "does not answer: refused"},
		"a broken site": {func(_ *testing.T, d *Doctor) {
			d.TestNginx = func(context.Context) error { return api.Errorf(api.ProxyFailed, "test", "the app blog: line 3") }
		}, api.HealthNginx, api.HealthFailure, "the app blog"},
		"an expired certificate": {certificate(-100*day, -day, "shop.example.com"), api.HealthCertificates, api.HealthFailure, "shop: the certificate has expired"},
		"one about to expire":    {certificate(-70*day, 20*day+time.Hour, "shop.example.com"), api.HealthCertificates, api.HealthWarning, "in 20 days"},
		"one of tomorrow":        {certificate(day, 90*day, "shop.example.com"), api.HealthCertificates, api.HealthFailure, "not valid before"},
		"one of another name":    {certificate(-day, 90*day, "other.example.org"), api.HealthCertificates, api.HealthWarning, "none of its domains"},
		"another's key": {func(t *testing.T, d *Doctor) {
			certify(t, d.Places.TLS("blog"), d.Now.Add(-day), d.Now.Add(90*day), "x.example.com")
			must(t, os.Rename(filepath.Join(d.Places.TLS("blog"), "server.key"), filepath.Join(d.Places.TLS("shop"), "server.key")))
			must(t, os.Remove(filepath.Join(d.Places.TLS("blog"), "server.crt")))
		}, api.HealthCertificates, api.HealthFailure, "does not match"},
		"no certificate in it": {func(t *testing.T, d *Doctor) {
			write(t, filepath.Join(d.Places.TLS("shop"), "server.crt"), "nothing", 0o644)
		}, api.HealthCertificates, api.HealthFailure, "shop: "},
		"a name that is not": {func(_ *testing.T, d *Doctor) {
			d.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		}, api.HealthDomains, api.HealthWarning, "shop.example.com does not resolve: no such host"},
		"a name that takes for ever": {func(_ *testing.T, d *Doctor) {
			d.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, api.HealthDomains, api.HealthWarning, "deadline"},
		"a name that leads elsewhere": {func(_ *testing.T, d *Doctor) {
			d.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("198.51.100.1")}, nil
			}
		}, api.HealthDomains, api.HealthWarning, "leads to 198.51.100.1"},
		"a key with a shell":       {key("no-port-forwarding"), api.HealthKeys, api.HealthFailure, "somebody has no forced command"},
		"a key that forwards":      {key(`command="x"`), api.HealthKeys, api.HealthFailure, "may forward ports"},
		"a key that forwards anew": {key(`restrict,command="x",port-forwarding`), api.HealthKeys, api.HealthFailure, "may forward ports"},
		"no key":                   {func(t *testing.T, d *Doctor) { write(t, keysFile(d), "\n", 0o600) }, api.HealthKeys, api.HealthWarning, "no key"},
		"no file of keys":          {func(t *testing.T, d *Doctor) { must(t, os.Remove(keysFile(d))) }, api.HealthKeys, api.HealthWarning, "there is no"},
		"keys open to others":      {func(t *testing.T, d *Doctor) { must(t, os.Chmod(keysFile(d), 0o620)) }, api.HealthKeys, api.HealthFailure, "-rw--w----"},
		"a home open to others":    {func(t *testing.T, d *Doctor) { must(t, os.Chmod(d.Places.Root, 0o777)) }, api.HealthKeys, api.HealthFailure, "let themselves in"},
		"a broken plugin":          {func(t *testing.T, d *Doctor) { link(t, "/nowhere", enabled(d, "acl")) }, api.HealthPlugins, api.HealthFailure, "acl is enabled and is not there"},
		"no plugin.toml": {func(t *testing.T, d *Doctor) {
			must(t, os.Remove(filepath.Join(enabled(d, "redis"), "plugin.toml")))
		}, api.HealthPlugins, api.HealthWarning, "redis has no plugin.toml"},
		"a plugin elsewhere": {func(t *testing.T, d *Doctor) {
			write(t, filepath.Join(d.Places.Logs, "mine", "plugin.toml"), "", 0o644)
			link(t, filepath.Join(d.Places.Logs, "mine"), enabled(d, "mine"))
		}, api.HealthPlugins, api.HealthWarning, "mine lies outside"},
		"a plugin as Dokku's own": {func(t *testing.T, d *Doctor) {
			write(t, filepath.Join(d.Places.Plugins(), "available", "config", "plugin.toml"), "", 0o644)
			link(t, filepath.Join(d.Places.Plugins(), "available", "config"), enabled(d, "config"))
		}, api.HealthPlugins, api.HealthWarning, "config bears the name"},
		"a plugin that all can write": {func(t *testing.T, d *Doctor) {
			write(t, filepath.Join(enabled(d, "redis"), "post-deploy"), "", 0o777)
		}, api.HealthPlugins, api.HealthFailure, "post-deploy"},
		"reload": {func(_ *testing.T, d *Doctor) { d.Traffic = "reload" }, api.HealthTraffic, api.HealthWarning, "reloading nginx"},
		"no watch": {func(_ *testing.T, d *Doctor) {
			d.Commands = func() ([][]string, error) { return [][]string{{"dokku-agent", "dokku"}}, nil }
		}, api.HealthWatch, api.HealthWarning, "does not run"},
		"leftovers": {func(_ *testing.T, d *Doctor) {
			d.Leftovers = func(context.Context) ([]agent.Leftover, error) {
				return []agent.Leftover{{App: "old", Kind: "image", Name: "dokku/old:v1"}}, nil
			}
		}, api.HealthLeftovers, api.HealthWarning, "no app old any more, but: image dokku/old:v1"},
		"leftovers unknown": {func(_ *testing.T, d *Doctor) {
			d.Leftovers = func(context.Context) ([]agent.Leftover, error) { return nil, errors.New("no engine") }
		}, api.HealthLeftovers, api.HealthWarning, "no engine"},
		"unfinished": {func(_ *testing.T, d *Doctor) {
			d.Unfinished = func(app string) (string, error) { return "request-of-" + app, nil }
		}, api.HealthUnfinished, api.HealthWarning, "request-of-blog"},
		"builds without limits": {func(_ *testing.T, d *Doctor) {
			d.Builds = func() (bool, error) { return false, errors.New("this host has no program buildkitd") }
		}, api.HealthBuilds, api.HealthWarning, "no limits of memory and processor in the engine's own BuildKit: this host has no program buildkitd"},
		"builds on the host's network": {func(_ *testing.T, d *Doctor) {
			d.Builds = func() (bool, error) { return false, nil }
		}, api.HealthBuilds, api.HealthWarning, "this host's own network"},
	} {
		t.Run(name, func(t *testing.T) {
			d := healthy(t)
			test.change(t, d)
			found := d.Examine(t.Context())
			if !slices.ContainsFunc(found.Findings, func(f api.HealthFinding) bool {
				return f.Code == test.code && f.Level == test.level && strings.Contains(f.Message, test.says)
			}) {
				t.Errorf("no %s of %s says %q: %+v", test.level, test.code, test.says, found.Findings)
			}
			for _, f := range found.Findings {
				if f.Code != test.code && f.Level != api.HealthOK && !(test.code == api.HealthInodes || test.code == api.HealthEngine) {
					t.Errorf("another check was not fine: %+v", f)
				}
				if strings.ContainsAny(f.Message+f.Hint, "\n\r") {
					t.Errorf("more than a line: %+v", f)
				}
			}
			if fails := test.level == api.HealthFailure; fails != (found.Count(api.HealthFailure) > 0) {
				t.Errorf("%d failures", found.Count(api.HealthFailure))
			}
		})
	}
}

// TestForeignOwner: as root, a plugin of another user's is told.
func TestForeignOwner(t *testing.T) {
	d := healthy(t)
	if err := os.Chown(filepath.Join(d.Places.Plugins(), "available", "redis"), 12345, -1); err != nil {
		t.Logf("only root can give a folder away: %v", err)
		return
	}
	found := d.plugins(t.Context())
	if len(found) != 1 || found[0].Level != api.HealthWarning || !strings.Contains(found[0].Message, "another user's") {
		t.Errorf("a plugin of user 12345: %+v", found)
	}
}

func TestBytesOf(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "x": 0, "512": 512 * mib, "512m": 512 * mib, "512MB": 512 * mib, "2g": 2 * gib, "2GiB": 2 * gib, "64k": 64 << 10, "536870912": 536870912, "-1": 0, "1.5g": 0} {
		if got := bytesOf(text); got != want {
			t.Errorf("bytesOf(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestMachine: the real sources answer on this machine.
func TestMachine(t *testing.T) {
	if m, err := ReadMemory(); err != nil || m.Available > m.Total {
		t.Errorf("memory: %+v, %v", m, err)
	}
	if v, err := volume(filepath.Join(t.TempDir(), "not", "yet")); err != nil || v.Size == 0 || v.ID == "" {
		t.Errorf("volume: %+v, %v", v, err)
	}
	if own, err := addresses(); err != nil || !slices.Contains(own, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("addresses: %v, %v", own, err)
	}
	if all, err := commands(); err != nil || len(all) == 0 {
		t.Errorf("commands: %d, %v", len(all), err)
	}
}
