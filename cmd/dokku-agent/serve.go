package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/keys"
	"github.com/dokku-push/dokku-push/agent/nft"
	"github.com/dokku-push/dokku-push/agent/nginx"
	"github.com/dokku-push/dokku-push/agent/oidc"
	"github.com/dokku-push/dokku-push/agent/serve"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
	"github.com/dokku-push/dokku-push/internal/dirlock"
)

// embedded is what `serve` was asked for.
type embedded struct {
	root    string
	ssh     string
	port    int
	traffic string
	domain  string
}

// ready is the one line that serve prints on stdout once everything answers.
type ready struct {
	SSH     string `json:"ssh"`
	HostKey string `json:"host_key"`
	HTTP    string `json:"http"`
	Key     string `json:"key"`
	Root    string `json:"root"`
	Traffic string `json:"traffic"`
}

// serve runs a whole host under one folder until it is told to end (DESIGN 12).
func (p *program) serve(args []string) int {
	var e embedded
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.SetOutput(p.err)
	flags.StringVar(&e.root, "root", "", "the host's folder")
	flags.StringVar(&e.ssh, "ssh", "127.0.0.1:0", "address of the ssh server")
	flags.IntVar(&e.port, "http", 0, "port of nginx on 127.0.0.1; 0: the former one, else a free one")
	flags.StringVar(&e.traffic, "traffic", "auto", "how traffic is switched: map, reload, or auto: map where it can be had")
	flags.StringVar(&e.domain, "domain", "localhost", "apps answer at APP.DOMAIN")
	if err := flags.Parse(args); err != nil || e.root == "" || flags.NArg() > 0 || !slices.Contains([]string{"auto", "map", "reload"}, e.traffic) {
		return p.usage()
	}
	if err := p.serveHost(e); err != nil {
		return p.fail(err)
	}
	return 0
}

func (p *program) serveHost(e embedded) error {
	root, err := filepath.Abs(e.root)
	if err != nil {
		return fmt.Errorf("find the host's folder: %w", err)
	}
	e.root = root
	places := agent.Places{Root: filepath.Join(root, "home"), Lib: filepath.Join(root, "lib"), Logs: filepath.Join(root, "log")}
	if err := makeFolders(places); err != nil {
		return err
	}
	leave, err := p.alone(root)
	if err != nil {
		return err
	}
	defer leave()
	if err := p.configure(e, places); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's program: %w", err)
	}
	if err := layOut(places, self); err != nil {
		return err
	}
	if err := linkNames(binFolder(places), self); err != nil {
		return err
	}
	for key, value := range map[string]string{"DOKKU_ROOT": places.Root, "DOKKU_LIB_ROOT": places.Lib, "DOKKU_LOGS_DIR": places.Logs} {
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	parts, err := connect(places)
	if err != nil {
		return err
	}
	defer parts.close()
	if _, err := parts.host.Containers.Info(p.ctx); err != nil {
		return api.Errorf(api.Precondition, "ask the engine", "%w", err).WithHint("start Docker first")
	}
	_, _, err = parts.host.Settings.Change("--global", func(now *agent.Settings) error {
		if len(now.Domains) == 0 {
			now.Domains = []string{e.domain}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the global domain: %w", err)
	}
	return p.serveParts(e, parts)
}

// alone refuses a second host in one folder: it would take the first one's nginx and
// addresses away. One that is just ending is waited for.
func (p *program) alone(root string) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	if leave, err = dirlock.Lock(ctx, root, nil); err != nil && ctx.Err() != nil {
		return nil, api.Errorf(api.Locked, "serve "+root, "another dokku-agent serves it").WithHint("end that one first, or name another folder with --root")
	}
	return leave, err
}

// serveParts starts what a host is made of and waits for the end.
func (p *program) serveParts(e embedded, parts *parts) error {
	places := parts.host.Places
	if table, ok := parts.host.Traffic.(*nft.Map); ok {
		if err := table.Ensure(p.ctx); err != nil {
			return err
		}
		defer func() { _ = table.Remove(context.WithoutCancel(p.ctx)) }()
	}
	web, err := parts.proxy.Start(p.ctx)
	if err != nil {
		return err
	}
	defer web.Stop()
	for _, warning := range web.Warnings {
		fmt.Fprintln(p.err, "dokku-agent:", warning)
	}
	server, file, err := p.sshServer(e, places)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", e.ssh)
	if err != nil {
		return api.Errorf(api.Precondition, "start the ssh server", "%w", err)
	}
	ctx, cancel := context.WithCancel(p.ctx)
	var running sync.WaitGroup
	running.Go(func() { watchHost(ctx, parts, func(err error) { fmt.Fprintf(p.err, "dokku-agent: %v\n", err) }) })
	served := make(chan error, 1)
	running.Go(func() { served <- server.Serve(ctx, listener) })
	line, err := json.Marshal(ready{SSH: listener.Addr().String(), HostKey: ssh.FingerprintSHA256(server.HostKey.PublicKey()),
		HTTP: net.JoinHostPort(parts.host.Config.Nginx.Bind, strconv.Itoa(parts.host.Config.Nginx.Port)),
		Key:  file, Root: e.root, Traffic: parts.host.Traffic.Name()})
	if err == nil {
		_, err = fmt.Fprintf(p.out, "%s\n", line)
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-served:
		case <-web.Done():
			err = api.Errorf(api.ProxyFailed, "run nginx", "nginx has ended").WithHint("see %s", filepath.Join(e.root, "nginx", "error.log"))
		}
	}
	cancel()
	running.Wait()
	return err
}

func makeFolders(places agent.Places) error {
	for _, dir := range []string{places.Root, filepath.Join(places.Root, ".ssh"), places.Logs, places.Data(),
		filepath.Join(places.Plugins(), "available"), filepath.Join(places.Plugins(), "enabled"),
		filepath.Join(places.CorePlugins(), "available"), filepath.Join(places.CorePlugins(), "enabled")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the host's folders: %w", err)
		}
	}
	return os.Chmod(filepath.Join(places.Root, ".ssh"), 0o700)
}

// configure writes host.json and nginx's files. The port and the addresses of a former
// run are kept: the apps' sites name them.
func (p *program) configure(e embedded, places agent.Places) error {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(program); err != nil {
		return api.Errorf(api.Precondition, "find nginx", "there is no nginx on this machine").WithHint("apt-get install nginx-light")
	}
	former, _ := readConfig(places) // none on the first run
	port := e.port
	if port == 0 {
		if port = former.Nginx.Port; port == 0 {
			if port, err = freePort(); err != nil {
				return err
			}
		}
	}
	tlsPort := former.Nginx.TLSPort
	if tlsPort == 0 {
		if tlsPort, err = freePort(); err != nil {
			return err
		}
	}
	dir := filepath.Join(e.root, "nginx")
	config := agent.HostConfig{Embedded: true, ID: e.root, Traffic: e.traffic, Nginx: nginx.Embedded(dir, program, "127.0.0.1", port, tlsPort)}
	if err := p.chooseTraffic(e, places, &config); err != nil {
		return err
	}
	if err := (&nginx.Nginx{Places: places, Config: config.Nginx}).WriteEmbedded(dir); err != nil {
		return err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(places.HostConfig(), append(text, '\n'), 0o644)
}

// chooseTraffic takes the address map where it can be had, and says what it costs
// where it cannot.
func (p *program) chooseTraffic(e embedded, places agent.Places, config *agent.HostConfig) error {
	if e.traffic == "reload" {
		return nil
	}
	var err error
	if config.Map, err = nft.Choose(e.root); err == nil {
		err = (&nft.Map{Places: places, Config: config.Map}).Available(p.ctx)
	}
	switch {
	case err == nil:
		config.Traffic = "map"
	case e.traffic == "map":
		return err
	default:
		config.Traffic = "reload"
		fmt.Fprintf(p.err, "dokku-agent: traffic is switched by reloading nginx, which cuts idle keep-alive connections: %v\n", err)
	}
	return nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// sshServer makes the embedded ssh server and a first key to enter with.
func (p *program) sshServer(e embedded, places agent.Places) (*serve.SSH, string, error) {
	host, err := keys.LoadOrCreate(filepath.Join(e.root, "ssh_host_ed25519_key"))
	if err != nil {
		return nil, "", err
	}
	clientFile := filepath.Join(e.root, "client_key")
	client, err := keys.LoadOrCreate(clientFile)
	if err != nil {
		return nil, "", err
	}
	file := keys.At(places.Root)
	if _, known := file.Find(client.PublicKey()); !known {
		if _, err := file.Add("admin", clientFile, ssh.MarshalAuthorizedKey(client.PublicKey())); err != nil {
			return nil, "", err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find the agent's program: %w", err)
	}
	desk := oidc.At(places)
	find := func(key ssh.PublicKey) (serve.Key, bool) {
		if certificate, is := key.(*ssh.Certificate); is {
			by, ok := desk.Accepts(certificate, file)
			return serve.Key{Name: by.Name, Fingerprint: by.Fingerprint, Apps: by.Apps}, ok
		}
		found, ok := file.Find(key)
		known := serve.Key{Name: found.Name, Fingerprint: found.Fingerprint}
		if oidc.IsDoor(key) {
			known.Forced = api.AuthCommand
		}
		return known, ok
	}
	return &serve.SSH{HostKey: host, Keys: find, Argv: []string{self, "dokku"}, Env: os.Environ()}, clientFile, nil
}
