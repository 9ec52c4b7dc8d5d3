package core

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/command"
	"github.com/dokku-push/dokku-push/api"
)

// domains prints an app's domains; none while they are turned off.
func domains(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil || !vhosts(settings) {
		return err
	}
	return a.say(settings.Domains...)
}

// vhosts tells whether an app's domains are on.
func vhosts(settings agent.Settings) bool { return settings.Env["NO_VHOST"] != "1" }

func vhostEnabled(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.truth(vhosts(settings))
}

func vhostAnswer(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return yes(vhosts(settings))
}

func defaultVhosts(ctx context.Context, a *ask) error {
	names, err := a.Host.DefaultDomains(ctx, a.arg(0))
	if err != nil {
		return err
	}
	return a.say(names...)
}

func globalVhosts(_ context.Context, a *ask) error {
	settings, err := a.settingsOf("--global")
	if err != nil {
		return err
	}
	return a.say(settings.Domains...)
}

func isHostname(_ context.Context, a *ask) error { return yes(a.Host.Proxy.Domain(a.arg(0)) == nil) }

// urls prints where an app is found: the first for url, all for urls. What a plugin says
// in app-urls takes their place.
func urls(ctx context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	all, err := a.Host.Addresses(ctx, a.arg(0), a.arg(1))
	if err != nil {
		return err
	}
	if a.arg(1) == "url" && len(all) > 1 {
		all = all[:1]
	}
	return a.say(all...)
}

// Certificates.

// certificate reads one of the app's two files.
func (a *ask) certificate(file string) ([]byte, error) {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(a.Host.Places.TLS(a.arg(0)), file))
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return text, nil
}

// sslHostnames are the names that an app's certificate is for.
func sslHostnames(_ context.Context, a *ask) error {
	text, err := a.certificate("server.crt")
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return api.Errorf(api.Unclassified, "read the certificate", "server.crt is none")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	names := slices.Clone(certificate.DNSNames)
	if certificate.Subject.CommonName != "" {
		names = append(names, certificate.Subject.CommonName)
	}
	slices.Sort(names)
	return a.say(slices.Compact(names)...)
}

func certExists(_ context.Context, a *ask) error {
	_, noCertificate := a.certificate("server.crt")
	_, noKey := a.certificate("server.key")
	return a.truth(noCertificate == nil && noKey == nil)
}

// forceCertificate makes a certificate for an app that has none, for its first domain.
func forceCertificate(ctx context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	if _, none := a.certificate("server.crt"); none == nil {
		return nil
	}
	if len(settings.Domains) == 0 {
		return api.Errorf(api.Precondition, "make a certificate", "%s has no domain", a.arg(0)).WithHint("domains:add %s example.com", a.arg(0))
	}
	return a.do(ctx, "certs:generate", a.arg(0), settings.Domains[0])
}

func certGet(_ context.Context, a *ask) error {
	file := map[string]string{"crt": "server.crt", "key": "server.key"}[a.arg(1)]
	if file == "" {
		return api.Errorf(api.Usage, "", "expected crt or key, not %q", a.arg(1))
	}
	text, err := a.certificate(file)
	if err != nil {
		return err
	}
	_, err = a.out.Write(text)
	return err
}

// The proxy.

// reloader is what plugins ask of nginx itself.
type reloader interface {
	// Reload makes nginx load the tree as it is.
	Reload(ctx context.Context, app string) error
	// TestApp tests what is an app's of the live tree; "" is all of it.
	TestApp(ctx context.Context, app string) error
}

func (a *ask) nginx() (reloader, error) {
	proxy, ok := a.Host.Proxy.(reloader)
	if !ok {
		return nil, api.Errorf(api.Precondition, "reload the proxy", "it is no nginx")
	}
	return proxy, nil
}

// restartNginx loads nginx for an app whose proxy it is, or for no app in particular.
func restartNginx(ctx context.Context, a *ask) error {
	if app := a.arg(0); app != "" {
		settings, err := a.settings()
		if err != nil || !proxied(settings) {
			return err
		}
	}
	proxy, err := a.nginx()
	if err != nil {
		return err
	}
	return proxy.Reload(ctx, a.arg(0))
}

// validateNginx tests what nginx would load: [APP] [--clean].
func validateNginx(ctx context.Context, a *ask) error {
	clean := a.flag("--clean")
	proxy, err := a.nginx()
	if err != nil {
		return err
	}
	app := a.arg(0)
	problem := proxy.TestApp(ctx, app)
	if problem == nil || !clean {
		return problem
	}
	warnings, err := a.Host.Proxy.Baseline(ctx, app) // puts broken files aside
	for _, warning := range warnings {
		fmt.Fprintf(a.err, " !     %s\n", warning)
	}
	return err
}

// nginxProperty is [--app APP] [--computed|--global] KEY.
func nginxProperty(_ context.Context, a *ask) error {
	computed, global, app := a.flag("--computed"), a.flag("--global"), ""
	if n := slices.Index(a.args, "--app"); n >= 0 && n+1 < len(a.args) {
		app, a.args = a.args[n+1], slices.Delete(slices.Clone(a.args), n, n+2)
	}
	key, value := a.arg(0), ""
	if !global {
		value, _ = a.properties().Property("nginx", app, key)
	}
	if global || computed && value == "" {
		value, _ = a.properties().Property("nginx", "--global", key)
	}
	if (computed || global) && value == "" {
		value = command.UsualNginx(a.Host, app, key)
	}
	return a.say(value)
}

// proxied tells whether nginx serves an app.
func proxied(settings agent.Settings) bool { return settings.Properties["proxy/disabled"] != "true" }

func proxyEnabled(_ context.Context, a *ask) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	return a.truth(proxied(settings))
}

func proxyType(_ context.Context, a *ask) error { return a.say("nginx") }

// buildProxy writes an app's site anew and loads it.
func buildProxy(ctx context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	return a.Host.Serve(ctx, a.arg(0), a.by())
}

func certificateChanged(ctx context.Context, a *ask) error {
	return a.Host.CertificateChanged(ctx, a.arg(0), a.by())
}

func clearProxy(ctx context.Context, a *ask) error {
	if err := a.Host.Exists(a.arg(0)); err != nil {
		return err
	}
	return a.Host.Proxy.Remove(ctx, a.arg(0))
}
