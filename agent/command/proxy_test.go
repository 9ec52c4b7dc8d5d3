package command

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/api"
)

// networks are an engine's, in memory.
type networks map[string]agent.Network

func (n networks) CreateNetwork(_ context.Context, name string, labels map[string]string) error {
	n[name] = agent.Network{ID: "id-" + name, Name: name, Driver: "bridge", Scope: "local", Attachable: true, Labels: labels}
	return nil
}

func (n networks) RemoveNetwork(_ context.Context, name string) error { delete(n, name); return nil }

func (n networks) Network(_ context.Context, name string) (agent.Network, error) {
	if network, ok := n[name]; ok {
		return network, nil
	}
	return agent.Network{}, agent.ErrNotFound
}

func (n networks) ListNetworks(context.Context) (all []agent.Network, err error) {
	for _, name := range slices.Sorted(maps.Keys(n)) {
		all = append(all, n[name])
	}
	return all, nil
}

func (n networks) Connect(context.Context, string, string, []string) error { return nil }

// fired are plugins that note what they are told.
type fired struct {
	silent
	told *[]string
}

func (f fired) Trigger(_ context.Context, name string, args []string, _ agent.Streams) error {
	*f.told = append(*f.told, strings.TrimSpace(name+" "+strings.Join(args, " ")))
	return nil
}

// unserved renders sites that no nginx serves.
type unserved struct{ *nginx.Nginx }

func (unserved) Check(context.Context, string, []byte) error { return nil }
func (unserved) Swap(context.Context, string, []byte, string, func() error) (bool, error) {
	return false, nil
}
func (unserved) Remove(context.Context, string) error          { return nil }
func (unserved) Restore(context.Context, string, string) error { return nil }

// siteHost is a host whose app was never deployed, with what these commands need.
func siteHost(t *testing.T) (h *agent.Host, told *[]string) {
	t.Helper()
	h, _ = newHost(t)
	told = &[]string{}
	h.Traffic = &nft.Reload{Places: h.Places}
	h.Walk, h.Networks = fired{told: told}, networks{"bridge": {Name: "bridge"}, "host": {Name: "host"}}
	h.Config.Nginx = agent.NginxConfig{LogDir: filepath.Join(t.TempDir(), "logs")}
	h.Proxy = unserved{&nginx.Nginx{Places: h.Places, Config: h.Config.Nginx}}
	must(t, os.MkdirAll(h.Config.Nginx.LogDir, 0o755))
	return h, told
}

// tells fails the test unless plugins were told exactly this since the last time.
func tells(t *testing.T, told *[]string, want ...string) {
	t.Helper()
	got := slices.DeleteFunc(*told, func(line string) bool { return strings.HasPrefix(line, "nginx-hostname ") })
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		t.Errorf("plugins were told (-want +got):\n%s", diff)
	}
	*told = nil
}

func TestDomains(t *testing.T) {
	h, told := siteHost(t)
	prints(t, h, "domains:add-global one.com two.com", "-----> Added one.com\n-----> Added two.com\n")
	prints(t, h, "domains:remove-global two.com", "-----> Removed two.com\n")
	prints(t, h, "domains:set-global host.example.com", "-----> Set host.example.com\n")
	prints(t, h, "domains:report --global --domains-global-vhosts", "host.example.com\n")
	prints(t, h, "domains:report --global --format json", `{"global-enabled":"true","global-vhosts":"host.example.com"}`+"\n")
	tells(t, told)
	prints(t, h, "domains:add shop a.com b.com", "-----> Added a.com to shop\n-----> Added b.com to shop\n")
	tells(t, told, "post-domains-update shop add a.com b.com")
	prints(t, h, "domains:remove shop a.com", "-----> Removed a.com from shop\n")
	prints(t, h, "domains:set shop c.com d.com c.com", "-----> Set c.com for shop\n-----> Set d.com for shop\n-----> Set c.com for shop\n")
	prints(t, h, "domains:report shop --domains-app-vhosts", "c.com d.com\n")
	prints(t, h, "domains:clear shop", "-----> Cleared domains in shop\n")
	prints(t, h, "domains:reset shop", "-----> Reset domains in shop\n")
	prints(t, h, "domains:report shop --format json", `{"app-enabled":"true","app-vhosts":"shop.host.example.com","global-enabled":"true","global-vhosts":"host.example.com"}`+"\n")
	tells(t, told, "post-domains-update shop remove a.com", "post-domains-update shop set c.com d.com c.com", "post-domains-update shop clear",
		"post-domains-update shop reset shop.host.example.com")
	prints(t, h, "domains:disable shop", "-----> Disabling domains for shop\n")
	prints(t, h, "config:get shop NO_VHOST", "1\n")
	prints(t, h, "domains:report shop --domains-app-enabled", "false\n")
	prints(t, h, "domains:enable shop", "-----> Enabling domains for shop\n")
	prints(t, h, "domains:report shop --domains-app-vhosts", "shop.host.example.com\n")
	tells(t, told, "pre-disable-vhost shop", "post-config-update shop set NO_VHOST=1", "post-domains-update shop disable",
		"pre-enable-vhost shop", "post-config-update shop set NO_VHOST=0", "post-domains-update shop enable")
	must(t, h.Settings.Create("other"))
	prints(t, h, "domains:add other taken.com", "-----> Added taken.com to other\n")
	for _, line := range []string{"domains:add shop TAKEN.com", "domains:set shop a.com taken.com", "certs:generate shop taken.com"} {
		refuses(t, h, line, api.Precondition, "belongs to the app other")
	}
	for _, line := range []string{"domains:add shop", "domains:add shop a_b.com", "domains:add shop 10.0.0.1", "domains:set-global 'a;b'", "domains:set-global *.a.com", "domains:add-global",
		"domains:clear shop more", "domains:disable shop more", "domains:clear-global more", "domains:report shop --format yaml", "domains:report shop --format json --domains-app-vhosts"} {
		refuses(t, h, line, api.Usage, "")
	}
	prints(t, h, "domains:clear-global", "-----> Cleared global domains\n")
}

func TestPorts(t *testing.T) {
	h, told := siteHost(t)
	const head = "-----> Port mappings for shop\n-----> scheme             host port                 container port\n"
	prints(t, h, "ports:list shop", head+"http                      80                        5000\n")
	prints(t, h, "ports:add shop http:8080:5000 https:8443:5000", head+"http                      8080                      5000\nhttps                     8443                      5000\n")
	prints(t, h, "proxy:ports-add shop http:8080:5000 grpc:50051:50051", head+"http                      8080                      5000\nhttps                     8443                      5000\ngrpc                      50051                     50051\n")
	prints(t, h, "ports:list shop --format json", `[{"container_port":5000,"host_port":8080,"scheme":"http"},{"container_port":5000,"host_port":8443,"scheme":"https"},{"container_port":50051,"host_port":50051,"scheme":"grpc"}]`+"\n")
	prints(t, h, "ports:remove shop 8443 grpc:50051", head+"http                      8080                      5000\n")
	prints(t, h, "ports:report shop --ports-map", "http:8080:5000\n")
	for _, line := range []string{"ports:add shop", "ports:add shop http", "ports:add shop http:0:5000", "ports:add shop http:80:65536", "ports:add shop http:080:5000", "ports:add shop ftp:21:21",
		"ports:add shop udp:53:53", "ports:add shop https:8080:5000", "ports:set shop http:80:1 http:80:2", "ports:remove shop 9", "ports:remove shop http:9:9", "ports:remove shop",
		"ports:list shop --format yaml", "ports:set shop" + strings.Repeat(" http:%d:1", 33)} {
		for n := 100; strings.Contains(line, "%d"); n++ {
			line = strings.Replace(line, "%d", fmt.Sprint(n), 1)
		}
		refuses(t, h, line, api.Usage, "")
	}
	prints(t, h, "proxy:ports-clear shop", "-----> Port mappings of shop cleared\n")
	tells(t, told, "post-proxy-ports-update shop add", "post-proxy-ports-update shop add", "post-proxy-ports-update shop remove", "post-proxy-ports-update shop clear")
	prints(t, h, "proxy:set shop proxy-port 8000", "=====> Setting proxy-port to 8000\n")
}

func certificateArchive(t *testing.T, files ...tar.Header) io.Reader {
	t.Helper()
	var out bytes.Buffer
	to := tar.NewWriter(&out)
	for _, header := range files {
		text := header.PAXRecords["DKP.text"]
		header.PAXRecords = nil
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
		}
		header.Size = int64(len(text))
		must(t, to.WriteHeader(&header))
		_, err := io.WriteString(to, text)
		must(t, err)
	}
	must(t, to.Close())
	return &out
}

func entry(name, text string) tar.Header {
	return tar.Header{Name: name, Mode: 0o644, PAXRecords: map[string]string{"DKP.text": text}}
}

func TestCertificateTar(t *testing.T) {
	crt, key := entry("x/server.crt", "C"), entry("x/server.key", "K")
	folder, mac, note := tar.Header{Name: "x/", Typeflag: tar.TypeDir, Mode: 0o755}, entry("x/._server.crt", "M"), entry("README", "R")
	chain, private, err := certificateTar(certificateArchive(t, folder, mac, note, key, crt))
	if err != nil || string(chain) != "C" || string(private) != "K" {
		t.Errorf("a good one: %q, %q, %v", chain, private, err)
	}
	many := []tar.Header{crt, key}
	for n := range mostEntries {
		many = append(many, entry(fmt.Sprint("note", n), ""))
	}
	link := func(kind byte) tar.Header { return tar.Header{Name: "a.crt", Typeflag: kind, Linkname: "/etc/passwd"} }
	setuid := crt
	setuid.Mode = 0o4644
	for name, files := range map[string][]tar.Header{
		"nothing": {}, "no key": {crt}, "no certificate": {key}, "two certificates": {crt, entry("b.crt", ""), key}, "two keys": {crt, key, entry("b.key", "")},
		"twice the same": {crt, key, crt}, "too many": many, "a symbolic link": {link(tar.TypeSymlink), key}, "a hard link": {link(tar.TypeLink), key}, "a fifo": {link(tar.TypeFifo), key},
		"a device": {link(tar.TypeChar), key}, "absolute": {entry("/a.crt", ""), key}, "up": {entry("x/../../a.crt", ""), key}, "backslash": {entry(`..\a.crt`, ""), key},
		"newline": {entry("a\n.crt", ""), key}, "escape": {entry("a\x1b[31m.crt", ""), key}, "set-user-id": {setuid, key}, "large": {entry("a.crt", strings.Repeat("x", agent.MostCertificate+1)), key},
		"long name": {entry(strings.Repeat("a/", 150)+"a.crt", ""), key},
	} {
		chain, private, err := certificateTar(certificateArchive(t, files...))
		if err == nil || chain != nil || private != nil || api.AsError(err).Code != api.Usage {
			t.Errorf("%s: %q, %q, %v", name, chain, private, err)
		}
	}
	good, err := io.ReadAll(certificateArchive(t, crt, key))
	must(t, err)
	for name, text := range map[string][]byte{"cut off": good[:600], "twice": append(bytes.Clone(good), good...), "no tar": []byte(strings.Repeat("x", 2000)), "endless": append(bytes.Clone(good), make([]byte, mostArchive)...)} {
		if _, _, err := certificateTar(bytes.NewReader(text)); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

func TestCerts(t *testing.T) {
	h, told := siteHost(t)
	certificate, err := agent.SelfSigned("shop.example.com", time.Now())
	must(t, err)
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	must(t, os.WriteFile(crt, certificate.Chain, 0o600))
	must(t, os.WriteFile(key, certificate.Key, 0o600))
	set(t, h, "shop", func(now *agent.Settings) { now.Ports = []string{"http:80:3000", "http:8080:3000"} })
	refuses(t, h, "certs:show shop key", api.Precondition, "not defined")
	refuses(t, h, "certs:remove shop", api.Precondition, "not defined")
	refuses(t, h, "certs:add shop "+crt, api.Usage, "Please specify")
	refuses(t, h, "certs:add shop "+key+" "+crt, api.Usage, "holds a block")
	refuses(t, h, "certs:add shop "+dir+" "+key, api.Usage, "no file")
	refuses(t, h, "certs:add shop", api.Usage, "expected on stdin")
	refuses(t, h, "certs:show shop pem", api.Usage, "crt or key")
	refuses(t, h, "certs:generate shop", api.Usage, "specify a domain")
	refuses(t, h, "certs:generate shop a;b", api.Usage, "")
	if _, _, err := do(t, Call{Host: h, By: agent.Caller{Fingerprint: "SHA256:x"}}, "certs:add shop "+crt+" "+key); api.AsError(err).Code != api.Refused {
		t.Errorf("files of the host, from afar: %v", err)
	}
	tells(t, told)
	if out, _, err := do(t, Call{Host: h}, "certs:add shop "+crt+" "+key); err != nil || !strings.HasPrefix(out, "-----> Certificate for shop.example.com is in place") {
		t.Fatalf("certs:add: %q, %v", out, err)
	}
	tells(t, told, "post-certs-update shop", "post-domains-update shop")
	prints(t, h, "certs:show shop crt", string(certificate.Chain))
	prints(t, h, "certs:report shop --ssl-hostnames", "shop.example.com\n")
	prints(t, h, "ports:report shop --ports-map", "http:80:3000 http:8080:3000 https:443:3000\n")
	if info, err := os.Stat(filepath.Join(h.Places.TLS("shop"), "server.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	set(t, h, "shop", func(now *agent.Settings) { now.Domains = []string{"elsewhere.com"} })
	refuses(t, h, "certs:update shop "+crt+" "+key, api.Precondition, "is for shop.example.com")
	if _, _, err := do(t, Call{Host: h}, "certs:update shop --force "+crt+" "+key); err != nil {
		t.Errorf("with --force: %v", err)
	}
	*told = nil
	prints(t, h, "certs:remove shop", "-----> Removing SSL endpoint from shop\n")
	tells(t, told, "post-certs-remove shop", "post-domains-update shop")
	prints(t, h, "ports:report shop --ports-map", "http:80:3000 http:8080:3000\n")
	if _, err := os.Stat(h.Places.TLS("shop")); err == nil {
		t.Error("the folder of the certificate is left")
	}
	if out, _, err := do(t, Call{Host: h}, "certs:generate shop own.example.com"); err != nil || !strings.Contains(out, "BEGIN CERTIFICATE REQUEST") {
		t.Errorf("certs:generate: %q, %v", out, err)
	}
	prints(t, h, "domains:report shop --domains-app-vhosts", "elsewhere.com own.example.com\n")
	prints(t, h, "certs:report shop --ssl-verified", "self signed.\n")
}

func TestProxy(t *testing.T) {
	h, _ := siteHost(t)
	prints(t, h, "proxy:disable shop", "-----> Disabling proxy for shop\n")
	prints(t, h, "proxy:disable shop", "-----> proxy is already disabled for shop\n")
	prints(t, h, "proxy:report shop --proxy-enabled", "false\n")
	prints(t, h, "proxy:enable shop", "-----> Enabling proxy for shop\n")
	prints(t, h, "proxy:set shop nginx", "=====> Setting type to nginx\n")
	prints(t, h, "proxy:set shop type nginx", "=====> Setting type to nginx\n")
	prints(t, h, "proxy:set --global proxy-port 8000", "=====> Setting proxy-port to 8000\n")
	prints(t, h, "ports:list shop --format json", `[{"container_port":5000,"host_port":8000,"scheme":"http"}]`+"\n")
	prints(t, h, "proxy:set shop proxy-port 8001", "=====> Setting proxy-port to 8001\n")
	prints(t, h, "proxy:report shop --proxy-computed-proxy-port", "8001\n")
	prints(t, h, "proxy:set shop proxy-port", "=====> Unsetting proxy-port\n")
	prints(t, h, "proxy:report shop --proxy-computed-proxy-port", "8000\n")
	for _, line := range []string{"proxy:set shop caddy", "proxy:set shop type caddy", "proxy:set shop proxy-port 0", "proxy:set shop proxy-port x", "proxy:set shop", "proxy:set shop nonsense 1"} {
		refuses(t, h, line, api.Usage, "")
	}
}

func TestNginx(t *testing.T) {
	h, _ := siteHost(t)
	logs := h.Config.Nginx.LogDir
	prints(t, h, "nginx:set shop client-max-body-size 20m", "=====> Setting client-max-body-size to 20m\n")
	prints(t, h, "nginx:set --global client-max-body-size 5m", "=====> Setting client-max-body-size to 5m\n")
	prints(t, h, "nginx:report shop --nginx-computed-client-max-body-size", "20m\n")
	prints(t, h, "nginx:set shop client-max-body-size", "=====> Unsetting client-max-body-size\n")
	prints(t, h, "nginx:report shop --nginx-computed-client-max-body-size", "5m\n")
	prints(t, h, "nginx:report --global --nginx-global-client-max-body-size", "5m\n")
	must(t, h.Settings.Create("shop-admin"))
	for line, code := range map[string]api.Code{
		"nginx:set shop nonsense 1": api.Usage, "nginx:set shop client-max-body-size much": api.Usage, "nginx:set shop proxy-buffers 8": api.Usage,
		"nginx:set shop x-forwarded-for-value 'a;b'": api.Usage, "nginx:set shop 'hsts' maybe": api.Usage, "nginx:set shop nginx-service-command /bin/x": api.Usage,
		"nginx:set shop nginx-conf-sigil-path a/b": api.Usage, "nginx:set shop access-log-path /etc/passwd": api.Usage,
		"nginx:set shop access-log-path " + logs + "/other-access.log":      api.Usage,
		"nginx:set shop access-log-path " + logs + "/shop-admin-access.log": api.Usage,
		"nginx:set shop access-log-path " + logs + "/../shop-access.log":    api.Usage,
		"nginx:set --global access-log-path " + logs + "/shop-access.log":   api.Usage,
		"nginx:set shop": api.Usage, "nginx:start": api.Refused, "nginx:stop": api.Refused, "nginx:show-config shop": api.Precondition, "nginx:access-logs shop": api.Precondition,
	} {
		refuses(t, h, line, code, "")
	}
	var text strings.Builder
	for n := range 30 {
		fmt.Fprintf(&text, "line %d\n", n)
	}
	must(t, os.WriteFile(filepath.Join(logs, "shop-access.log"), []byte(text.String()), 0o600))
	_, last, _ := strings.Cut(text.String(), "line 9\n")
	prints(t, h, "nginx:access-logs shop", last)
	prints(t, h, "nginx:set shop access-log-path "+logs+"/shop-mine.log", "=====> Setting access-log-path to "+logs+"/shop-mine.log\n")
	must(t, os.Symlink("/etc/passwd", filepath.Join(logs, "shop-mine.log")))
	refuses(t, h, "nginx:access-logs shop", api.Precondition, "has no log yet")
	set(t, h, "shop", func(now *agent.Settings) { now.Properties["nginx/access-log-path"] = "/etc/passwd" })
	refuses(t, h, "nginx:access-logs shop", api.Refused, "/etc/passwd")
	must(t, os.WriteFile(h.Places.NginxConf("shop"), []byte("# the site\n"), 0o600))
	prints(t, h, "nginx:show-config shop", "# the site\n")
}

func TestNginxFollow(t *testing.T) {
	h, _ := siteHost(t)
	path := filepath.Join(h.Config.Nginx.LogDir, "shop-error.log")
	must(t, os.WriteFile(path, []byte("first\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- nginxErrorLogs(ctx, &Call{Host: h, Args: []string{"shop", "-t"}, Out: writer, Err: io.Discard})
	}()
	buffer := make([]byte, 100)
	wants := func(want string) {
		t.Helper()
		if n, err := reader.Read(buffer); err != nil || string(buffer[:n]) != want {
			t.Fatalf("it prints %q, %v; want %q", buffer[:n], err, want)
		}
	}
	wants("first\n")
	must(t, os.Rename(path, path+".1"))
	must(t, os.WriteFile(path, []byte("second\n"), 0o600))
	wants("second\n")
	cancel()
	must(t, <-ended)
}

func TestNetwork(t *testing.T) {
	h, _ := siteHost(t)
	refuses(t, h, "network:exists inner", api.Precondition, "Network does not exist")
	prints(t, h, "network:create inner", "-----> Creating network inner\n")
	prints(t, h, "network:exists inner", "Network exists\n")
	prints(t, h, "network:list", "=====> Networks\nbridge\nhost\ninner\n")
	prints(t, h, "network:info inner --format json", `{"id":"id-inner","name":"inner","driver":"bridge","scope":"local","internal":false,"attachable":true,"labels":{"com.dokku-push.host":"","com.dokku.network-name":"inner"}}`+"\n")
	prints(t, h, "network:set shop attach-post-create inner", "=====> Setting attach-post-create to inner\n")
	prints(t, h, "network:set --global tld svc.local", "=====> Setting tld to svc.local\n")
	prints(t, h, "network:set shop static-web-listener", "=====> Unsetting static-web-listener\n")
	prints(t, h, "network:report shop --network-computed-tld", "svc.local\n")
	prints(t, h, "network:report shop --network-attach-post-create", "inner\n")
	for line, code := range map[string]api.Code{
		"network:create": api.Usage, "network:create a/b": api.Usage, "network:create a b": api.Usage, "network:create inner": api.Precondition, "network:destroy none --force": api.Precondition,
		"network:destroy inner": api.Usage, "network:destroy bridge --force": api.Refused, "network:info none": api.Precondition, "network:list --format x": api.Usage,
		"network:set shop initial-network inside": api.Precondition, "network:set shop initial-network none": api.Usage, "network:set shop initial-network host": api.Usage, "network:set shop initial-network 'bridge inner'": api.Usage,
		"network:set shop tld a;b": api.Usage, "network:set shop bind-all-interfaces yes": api.Usage, "network:set shop static-web-listener x": api.Usage, "network:set shop nonsense 1": api.Usage,
		"network:set --global static-web-listener 127.0.0.1:1": api.Usage, "network:rebuildall more": api.Usage,
	} {
		refuses(t, h, line, code, "")
	}
	if _, _, err := do(t, Call{Host: h, By: agent.Caller{Fingerprint: "SHA256:x"}}, "network:set shop static-web-listener 127.0.0.1:22"); api.AsError(err).Code != api.Refused {
		t.Errorf("a listener of the host, from afar: %v", err)
	}
	prints(t, h, "network:destroy inner --force", "-----> Destroying network inner\n")
}
