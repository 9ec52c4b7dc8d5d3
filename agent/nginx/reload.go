package nginx

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

const (
	// probeHost is a name that no domain can be: it ends in a reserved word.
	probeHost = "nginx.dokku-push.invalid"
	probePath = "/token"
	// steady is how often in a row a token has to be answered where the workers
	// cannot be seen: for a moment after a reload old and new ones both answer.
	steady = 20
)

// probeConf is the host's own site: it tells which configuration nginx serves and
// answers for names that no app has.
func (n *Nginx) probeConf() string { return filepath.Join(n.Places.Data(), "nginx.d", "probe.conf") }

// apply makes nginx load the tree that is there: host site, test, reload, record.
// Another app's broken file is put aside on the way.
func (n *Nginx) apply(ctx context.Context, app string) error {
	token, err := n.writeProbe(ctx)
	if err != nil {
		return err
	}
	found, err := n.test(ctx)
	if err != nil {
		return err
	}
	if found != nil && found.App != "" && found.App != app {
		warnings, err := n.repair(ctx, app)
		if err != nil {
			return err
		}
		for _, warning := range warnings {
			if n.Warn != nil {
				n.Warn(warning)
			}
		}
	} else if found != nil {
		return found.err(api.ProxyFailed)
	}
	// From here until the record is written nobody knows what nginx has loaded.
	if err := n.forgetLoaded(); err != nil {
		return err
	}
	outcome, err := n.ask(ctx, VerbReload, token)
	if err != nil {
		return err
	}
	if !outcome.Passed {
		return api.Errorf(api.ProxyFailed, opReload, "nginx did not take the new configuration: %s", outcome.Output).
			WithHint("nginx still serves the former configuration; its error log is %s", orElse(n.errorLog(), "where its main file says"))
	}
	return n.recordLoaded()
}

// writeProbe writes the host's own site with a new token.
func (n *Nginx) writeProbe(ctx context.Context) (token string, err error) {
	var draw [16]byte
	if _, err := rand.Read(draw[:]); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	token = hex.EncodeToString(draw[:])
	host := facts{version: n.version(ctx), ipv6: hasIPv6()}
	var out strings.Builder
	fmt.Fprintf(&out, "# Written by dokku-agent before each reload.\nserver {\n%s    server_name %s;\n    access_log off;\n    default_type text/plain;\n\n"+
		"    location = %s {\n        return 200 \"%s\";\n    }\n\n    location / {\n        return 404 \"no app has this name\\n\";\n    }\n}\n",
		n.listen(n.httpPort(), "", host), probeHost, probePath, token)
	tls, err := n.anyTLS()
	if err != nil {
		return "", err
	}
	if tls && host.atLeast(1, 19, 4) {
		// Without it the first app's certificate would answer for every name.
		fmt.Fprintf(&out, "\nserver {\n%s    server_name _;\n    ssl_reject_handshake on;\n    return 404;\n}\n", n.listen(n.tlsPort(), " ssl", host))
	}
	if err := writeFile(n.probeConf(), []byte(out.String())); err != nil {
		return "", fmt.Errorf("write the host's own nginx site: %w", err)
	}
	return token, nil
}

// listen are the directives by which the built-in template listens, too: the same
// addresses, so that they share their sockets.
func (n *Nginx) listen(port int, suffix string, host facts) string {
	address := strconv.Itoa(port)
	if n.Config.Bind != "" {
		address = net.JoinHostPort(n.Config.Bind, address)
	}
	text := "    listen " + address + suffix + ";\n"
	if n.bind6(host) != "" {
		text += fmt.Sprintf("    listen [::]:%d%s;\n", port, suffix)
	}
	return text
}

// anyTLS tells whether an app's live file listens with TLS on the usual port.
func (n *Nginx) anyTLS() (bool, error) {
	apps, err := n.apps()
	if err != nil {
		return false, err
	}
	port := strconv.Itoa(n.tlsPort())
	for _, app := range apps {
		conf, _, err := readFile(n.Places.NginxConf(app))
		if err != nil {
			return false, fmt.Errorf("read the nginx file of %s: %w", app, err)
		}
		for _, d := range directives(string(conf)) {
			if d.words[0] == "listen" && slices.Contains(d.words, "ssl") && (d.words[1] == port || strings.HasSuffix(d.words[1], ":"+port)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// performReload signals nginx and watches until all its workers are new and answer
// the token, or nginx's log says that it gave up, or patience ends.
func (n *Nginx) performReload(ctx context.Context, token string) (answer, error) {
	master, err := n.master()
	if err != nil {
		return answer{}, api.Errorf(api.ProxyFailed, opReload, "%w", err).WithHint("start nginx on the host")
	}
	before, known := workers(master)
	log := n.errorLog()
	from := size(log)
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return answer{}, fmt.Errorf("signal nginx: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, n.patience())
	defer cancel()
	for seen := 0; ; {
		served := n.serves(ctx, token)
		if now, _ := workers(master); known && served && len(now) > 0 && !anyOf(before, now) {
			return answer{Passed: true}, nil
		}
		if seen++; !served {
			seen = 0
		}
		if !known && seen >= steady {
			return answer{Passed: true}, nil
		}
		said := complaints(log, from)
		if gaveUp(said) {
			return answer{Output: strings.Join(said, "; ")}, nil
		}
		select {
		case <-ctx.Done():
			return answer{Output: strings.Join(append([]string{fmt.Sprintf("its new workers did not answer within %s", n.patience())}, said...), "; ")}, nil
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// serves asks nginx, on a connection of its own, which configuration it serves.
func (n *Nginx) serves(ctx context.Context, token string) bool {
	host := orElse(n.Config.Bind, "127.0.0.1")
	if address := net.ParseIP(host); address != nil && address.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, strconv.Itoa(n.httpPort()))+probePath, nil)
	if err != nil {
		return false
	}
	request.Host = probeHost
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 100))
	return errors.Join(err, response.Body.Close()) == nil && string(text) == token
}

var errorLogLine = regexp.MustCompile(`(?m)^error_log[ \t]+([^;\s]+)`)

// errorLog is nginx's main error log; empty when the main file names none.
func (n *Nginx) errorLog() string {
	text, err := os.ReadFile(n.Config.Conf)
	if err != nil {
		return ""
	}
	if found := errorLogLine.FindSubmatch(text); found != nil && filepath.IsAbs(string(found[1])) {
		return string(found[1])
	}
	return ""
}

func size(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// complaints are the distinct [emerg] lines that a log got behind an offset.
func complaints(path string, from int64) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(file, from, mostOutput))
	if err != nil {
		return nil
	}
	var said []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "[emerg]") {
			continue
		}
		found := complaint.FindStringSubmatch(strings.TrimSpace(line))
		if found != nil && !slices.Contains(said, found[1]) {
			said = append(said, found[1])
		}
	}
	return said
}

// gaveUp: nginx tries a busy port several times before it does.
func gaveUp(said []string) bool {
	return slices.ContainsFunc(said, func(line string) bool { return !strings.HasPrefix(line, "bind() to ") })
}
