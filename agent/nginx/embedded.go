package nginx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const opStart = "start nginx"

// Embedded is the configuration of a host's own nginx that lives in dir and listens
// on bind. WriteEmbedded writes its files, Start runs it.
func Embedded(dir, program, bind string, port, tlsPort int) agent.NginxConfig {
	return agent.NginxConfig{Program: program, Conf: filepath.Join(dir, "nginx.conf"), Prefix: dir, Pid: filepath.Join(dir, "nginx.pid"),
		Port: port, TLSPort: tlsPort, LogDir: filepath.Join(dir, "log"), Bind: bind}
}

// embeddedConf is the main file; its first argument is a user directive or nothing.
// Its workers are few: the machine is a laptop or a test's.
const embeddedConf = `# Written by dokku-agent when the host starts.
%[1]sdaemon off;
worker_processes 2;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log notice;

events {
    worker_connections 1024;
}

http {
    access_log %[3]s/access.log;
    client_body_temp_path %[2]s/temp/body;
    proxy_temp_path %[2]s/temp/proxy;
    fastcgi_temp_path %[2]s/temp/fastcgi;
    uwsgi_temp_path %[2]s/temp/uwsgi;
    scgi_temp_path %[2]s/temp/scgi;
    server_names_hash_bucket_size 512;
    server_tokens off;
    sendfile on;
    default_type application/octet-stream;
    types {
        text/html html htm;
        text/css css;
        text/plain txt;
        text/javascript js mjs;
        application/json json;
        image/svg+xml svg;
        image/png png;
        image/jpeg jpg jpeg;
        image/gif gif;
        image/webp webp;
        image/x-icon ico;
        font/woff2 woff2;
    }
    include %[4]s;
    include %[5]s;
}
`

// WriteEmbedded writes the embedded host's nginx files into dir, which is the
// configuration's prefix. Workers run as the user who started the host: what they
// serve is below folders of that user's.
func (n *Nginx) WriteEmbedded(dir string) error {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	for _, name := range []string{n.logDir(), filepath.Join(dir, "temp"), n.Places.Root, n.loadedDir(), filepath.Dir(n.probeConf())} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			return fmt.Errorf("make nginx's folders: %w", err)
		}
	}
	text := fmt.Sprintf(embeddedConf, user, dir, n.logDir(), n.hostPattern(), n.sitesPattern())
	if err := writeFile(n.Config.Conf, []byte(text)); err != nil {
		return fmt.Errorf("write nginx's main file: %w", err)
	}
	return nil
}

// hostPattern finds the host's own site; a pattern may match nothing, so nginx
// starts before there is one.
func (n *Nginx) hostPattern() string { return filepath.Join(filepath.Dir(n.probeConf()), "*.conf") }

// InstallInclude is the file that makes a system's nginx serve the apps: where it
// belongs and what is in it. The main file has to include conf.d/*.conf, as
// Debian's does.
func (n *Nginx) InstallInclude() (path, text string) {
	var out strings.Builder
	out.WriteString("# Written by dokku-agent install: the apps of this host.\n")
	main, _, err := readFile(n.Config.Conf)
	buckets := false
	for _, d := range directives(string(main)) {
		buckets = buckets || d.words[0] == "server_names_hash_bucket_size"
	}
	if err == nil && !buckets {
		out.WriteString("server_names_hash_bucket_size 512;\n")
	}
	fmt.Fprintf(&out, "include %s;\ninclude %s;\n", n.hostPattern(), n.sitesPattern())
	return filepath.Join(filepath.Dir(n.Config.Conf), "conf.d", "dokku.conf"), out.String()
}

// Running is an nginx that this process started.
type Running struct {
	Warnings []string // apps whose broken files were put aside before the start
	command  *exec.Cmd
	done     chan struct{} // closed when it has ended
	err      error         // how, when done is closed
}

// Start runs the embedded nginx and returns when it serves the apps. One that a
// killed host left behind is stopped first. ctx bounds the start alone.
func (n *Nginx) Start(ctx context.Context) (*Running, error) {
	unlock, err := n.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := n.stopFormer(ctx); err != nil {
		return nil, err
	}
	token, err := n.writeProbe(ctx)
	if err != nil {
		return nil, err
	}
	running := &Running{done: make(chan struct{})}
	if running.Warnings, err = n.repair(ctx, ""); err != nil {
		return nil, err
	}
	if err := n.forgetLoaded(); err != nil {
		return nil, err
	}
	from := size(n.errorLog())
	// Not CommandContext: ctx ends with the start, nginx does not.
	running.command = exec.Command(n.program(), "-c", n.Config.Conf, "-p", n.Config.Prefix, "-e", n.errorLog())
	running.command.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C"}
	running.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for the host, which stops nginx last
	if err := running.command.Start(); err != nil {
		return nil, api.Errorf(api.Precondition, opStart, "%w", err).WithHint("is nginx installed at %s?", n.program())
	}
	go func() {
		running.err = running.command.Wait()
		close(running.done)
	}()
	if err := n.awaitStart(ctx, running, token, from); err != nil {
		return nil, errors.Join(err, running.Stop())
	}
	return running, n.recordLoaded()
}

func (n *Nginx) awaitStart(ctx context.Context, running *Running, token string, from int64) error {
	ctx, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	for !n.serves(ctx, token) || !n.running() {
		why := ""
		select {
		case <-running.done:
			why = fmt.Sprintf("it ended: %v", running.err)
		case <-ctx.Done():
			why = "it does not answer"
		case <-time.After(10 * time.Millisecond):
			continue
		}
		return api.Errorf(api.Precondition, opStart, "%s", strings.Join(append([]string{why}, complaints(n.errorLog(), from)...), "; ")).
			WithHint("is port %d free?", n.httpPort())
	}
	return nil
}

// stopFormer ends an nginx of this very configuration that nobody owns any more.
func (n *Nginx) stopFormer(ctx context.Context) error {
	master, err := n.master()
	if err != nil {
		return nil // none runs
	}
	if !strings.Contains(title(master), n.Config.Conf) {
		return nil
	}
	if err := syscall.Kill(master, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the former nginx: %w", err)
	}
	for n.running() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop the former nginx: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// Done is closed when nginx has ended, by Stop or by itself.
func (r *Running) Done() <-chan struct{} { return r.done }

// Stop ends nginx: requests in flight have a few seconds to finish. It may be called
// again.
func (r *Running) Stop() error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGQUIT, 3 * time.Second}, {syscall.SIGTERM, 3 * time.Second}} {
		_ = r.command.Process.Signal(step.signal) // it may have ended already
		select {
		case <-r.done:
			return nil
		case <-time.After(step.wait):
		}
	}
	err := syscall.Kill(-r.command.Process.Pid, syscall.SIGKILL) // workers, too
	<-r.done
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
