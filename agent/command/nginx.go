package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// nginxCommands are the rows of this noun.
func nginxCommands() []Command {
	return []Command{
		{"nginx:access-logs", "<app> [-t]", "Show the last lines of an app's access log; -t follows it", nginxAccessLogs},
		{"nginx:build-config", "<app>", "Build the site of an app anew, as proxy:build-config", proxyBuild},
		{"nginx:error-logs", "<app> [-t]", "Show the last lines of an app's error log; -t follows it", nginxErrorLogs},
		{"nginx:reload", "", "Make nginx load its configuration", nginxReload},
		{"nginx:report", "[<app>|--global] [<flag>]", "Display an nginx report for one or more apps", nginxReport},
		{"nginx:set", "[<app>|--global] <key> (<value>)", "Set or clear an nginx property of an app", nginxSet},
		{"nginx:show-config", "<app>", "Show the nginx file of an app", nginxShow},
		{"nginx:start", "", "Start nginx: not from here", nginxNotOurs},
		{"nginx:stop", "", "Stop nginx: not from here", nginxNotOurs},
		{"nginx:validate-config", "[<app>] [--clean]", "Test the nginx configuration; --clean puts broken files aside", nginxValidate},
	}
}

// The kinds of an app's log, as their properties name them.
const (
	accessLog = "access-log-path"
	errorLog  = "error-log-path"
)

func nginxAccessLogs(ctx context.Context, call *Call) error { return call.nginxLog(ctx, accessLog) }
func nginxErrorLogs(ctx context.Context, call *Call) error  { return call.nginxLog(ctx, errorLog) }

// nginxLog shows a log of an app, and no other file: a property may name another one that
// was written before there was this check.
func (c *Call) nginxLog(ctx context.Context, key string) error {
	follow := c.flag("-t", "--tail")
	app, err := c.alone(ctx)
	if err != nil {
		return err
	}
	path, err := c.logPath(app, key)
	if err != nil {
		return err
	}
	if problem, err := c.notItsLog(app, path); err != nil || problem != "" {
		return api.Errorf(api.Refused, "", "%s %s", path, problem)
	}
	if entry, err := os.Lstat(path); err != nil || !entry.Mode().IsRegular() {
		return api.Errorf(api.Precondition, "", "%s has no log yet", app)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", app, err)
	}
	defer func() { _ = file.Close() }()
	if err := lastLines(file, c.Out); err != nil || !follow {
		return err
	}
	return c.follow(ctx, path, file)
}

// logPath is the app's own, the host's, or the usual one.
func (c *Call) logPath(app, key string) (string, error) {
	for _, owner := range []string{app, "--global"} {
		settings, err := c.settings(owner)
		if err != nil {
			return "", err
		}
		if value := settings.Properties["nginx/"+key]; value != "" {
			return value, nil
		}
	}
	return UsualNginx(c.Host, app, key), nil
}

func logDir(host *agent.Host) string {
	if dir := host.Config.Nginx.LogDir; dir != "" {
		return dir
	}
	return "/var/log/nginx"
}

// notItsLog tells why a path cannot be a log of an app's: it is to stand in nginx's log
// folder under the app's name, and under no other app's.
func (c *Call) notItsLog(app, path string) (problem string, err error) {
	name := filepath.Base(path)
	begins := func(app string) bool {
		rest, ok := strings.CutPrefix(name, app)
		return ok && rest != "" && strings.ContainsRune("-._", rune(rest[0]))
	}
	if filepath.Join(logDir(c.Host), name) != path || !begins(app) {
		return fmt.Sprintf("is not %s-….log in %s", app, logDir(c.Host)), nil
	}
	apps, err := c.Host.Settings.Apps()
	if err != nil {
		return "", fmt.Errorf("list the apps: %w", err)
	}
	for _, other := range apps {
		if len(other) > len(app) && begins(other) {
			return "is the log of another app", nil
		}
	}
	return "", nil
}

const (
	shownLines = 20       // of a log
	mostTail   = 64 << 10 // bytes from its end
)

// lastLines prints the end of a file and leaves it there.
func lastLines(file *os.File, out io.Writer) error {
	info, err := file.Stat()
	if err == nil {
		_, err = file.Seek(max(0, info.Size()-mostTail), io.SeekStart)
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(file, mostTail))
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	_, err = io.WriteString(out, strings.Join(lines[max(0, len(lines)-1-shownLines):], ""))
	return err
}

// follow prints what a log gets until nobody listens; one that was rotated is opened anew.
func (c *Call) follow(ctx context.Context, path string, file *os.File) error {
	defer func() { _ = file.Close() }()
	for {
		if _, err := io.Copy(c.Out, file); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(300 * time.Millisecond):
		}
		now, err := os.Lstat(path)
		if err != nil || !now.Mode().IsRegular() {
			continue // it is being rotated
		}
		if is, err := file.Stat(); err == nil && os.SameFile(is, now) {
			if at, err := file.Seek(0, io.SeekCurrent); err == nil && at > now.Size() {
				_, _ = file.Seek(0, io.SeekStart) // it was emptied
			}
			continue
		}
		fresh, err := os.Open(path)
		if err != nil {
			continue
		}
		_ = file.Close()
		file = fresh
	}
}

// proxyTree is what commands ask of nginx itself.
type proxyTree interface {
	// Reload makes nginx load the tree as it is.
	Reload(ctx context.Context, app string) error
	// TestApp tests what is an app's of the live tree; "" is all of it.
	TestApp(ctx context.Context, app string) error
}

func (c *Call) nginx() (proxyTree, error) {
	tree, ok := c.Host.Proxy.(proxyTree)
	if !ok {
		return nil, api.Errorf(api.Precondition, "", "the proxy of this host is no nginx")
	}
	return tree, nil
}

func nginxReload(ctx context.Context, call *Call) error {
	if err := call.noMore(); err != nil {
		return err
	}
	tree, err := call.nginx()
	if err != nil {
		return err
	}
	if err := tree.Reload(ctx, ""); err != nil {
		return err
	}
	call.say("Reloading nginx")
	return nil
}

func nginxNotOurs(_ context.Context, call *Call) error {
	return api.Errorf(api.Refused, "", "nginx serves every app of this host, and is started and stopped by the host alone").
		WithHint("on the host: systemctl start nginx, systemctl stop nginx; proxy:disable APP takes one app away")
}

func nginxShow(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(call.Host.Places.NginxConf(app))
	if err != nil {
		return api.Errorf(api.Precondition, "", "No nginx.conf exists for %s", app)
	}
	_, err = call.Out.Write(text)
	return err
}

func nginxValidate(ctx context.Context, call *Call) error {
	clean, app := call.flag("--clean"), ""
	call.flag("--all")
	if call.App != "" || len(call.Args) > 0 {
		var err error
		if app, err = call.alone(ctx); err != nil {
			return err
		}
	}
	tree, err := call.nginx()
	if err != nil {
		return err
	}
	problem := tree.TestApp(ctx, app)
	if problem == nil || !clean {
		return problem
	}
	warnings, err := call.Host.Proxy.Baseline(ctx, app)
	for _, warning := range warnings {
		fmt.Fprintf(call.Err, " !     %s\n", warning)
	}
	return err
}

func sortedKeys(known map[string]check) []string { return slices.Sorted(maps.Keys(known)) }

func nginxSet(ctx context.Context, call *Call) error {
	app, err := call.scope(ctx)
	if err != nil {
		return err
	}
	known := map[string]check{}
	for _, name := range manifest.NginxProperties() {
		known[name] = func(value string) error {
			if problem, hint := manifest.NginxProperty(name, value); problem != "" {
				return api.Errorf(api.Usage, "", "%s %s", name, problem).WithHint("%s", hint)
			}
			return nil
		}
	}
	known[accessLog], known[errorLog] = call.isLog(app), call.isLog(app)
	if len(call.Args) > 0 {
		switch call.Args[0] {
		case "nginx-conf-sigil-path":
			return api.Errorf(api.Usage, "", "the template is taken where the image is built").
				WithHint("nginx { nginx-conf-sigil-path = … } in dokku.hcl names it")
		case "nginx-service-command":
			return api.Errorf(api.Usage, "", "this host reloads nginx itself and starts no service command")
		}
	}
	delete(known, "nginx-conf-sigil-path")
	return call.setSite(ctx, app, "nginx", known)
}

// isLog is the check of a log's path.
func (c *Call) isLog(app string) check {
	return func(value string) error {
		switch {
		case value == "off":
			return nil
		case app == "--global":
			return api.Errorf(api.Usage, "", "a log is an app's own: for the host only off can be set")
		}
		problem, err := c.notItsLog(app, value)
		if err == nil && (problem != "" || strings.ContainsAny(value, " ;{}\"'\\#$")) {
			err = api.Errorf(api.Usage, "", "%q is not %s-….log in %s", value, app, logDir(c.Host))
		}
		return err
	}
}

// UsualNginx is what holds for an app where nobody has set an nginx property; a log of no
// app is nowhere.
func UsualNginx(host *agent.Host, app, key string) string {
	if key != accessLog && key != errorLog {
		return usualNginx[key]
	}
	if app == "" || app == "--global" {
		return ""
	}
	return filepath.Join(logDir(host), app+"-"+strings.TrimSuffix(key, "-log-path")+".log")
}

var usualNginx = map[string]string{
	"client-body-timeout": "60s", "client-header-timeout": "60s", "client-max-body-size": "1m", "keepalive-timeout": "75s", "lingering-timeout": "5s",
	"send-timeout": "60s", "proxy-connect-timeout": "60s", "proxy-read-timeout": "60s", "proxy-send-timeout": "60s", "proxy-buffer-size": "4k",
	"proxy-buffering": "on", "proxy-buffers": "8 4k", "proxy-busy-buffers-size": "8k", "underscore-in-headers": "off", "disable-custom-config": "false",
	"x-forwarded-for-value": "$remote_addr", "x-forwarded-port-value": "$server_port", "x-forwarded-proto-value": "$scheme",
	"hsts": "true", "hsts-include-subdomains": "true", "hsts-max-age": "15724800", "hsts-preload": "false",
}

func nginxReport(ctx context.Context, call *Call) error {
	global, err := call.settings("--global")
	if err != nil {
		return err
	}
	return call.report(ctx, "nginx", func(app string, settings agent.Settings) ([]reportLine, error) {
		var rows []reportLine
		for _, key := range manifest.NginxProperties() {
			if key != "nginx-conf-sigil-path" {
				rows = append(rows, computed("Nginx", key, UsualNginx(call.Host, app, key), settings, global, "nginx/"+key)...)
			}
		}
		return rows, nil
	})
}
