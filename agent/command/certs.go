package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// certsCommands are the rows of this noun.
func certsCommands() []Command {
	return []Command{
		{"certs:add", "<app> [CRT KEY]", "Add a certificate to an app, from two files or from a tar on standard input", certsAdd},
		{"certs:generate", "<app> DOMAIN", "Make a key, a signing request and a self-signed certificate", certsGenerate},
		{"certs:remove", "<app>", "Remove the certificate of an app", certsRemove},
		{"certs:report", "[<app>] [<flag>]", "Display a certificate report for one or more apps", certsReport},
		{"certs:show", "<app> <crt|key>", "Show the certificate or the key of an app", certsShow},
		{"certs:update", "<app> [CRT KEY]", "Replace the certificate of an app, from two files or from a tar on standard input", certsAdd},
	}
}

func certsAdd(ctx context.Context, call *Call) error {
	force := call.flag("--force") || call.Force
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	chain, key, err := call.certificateTexts()
	if err != nil {
		return err
	}
	certificate, err := agent.ParseCertificate(chain, key, time.Now())
	if err != nil {
		return err
	}
	settings, err := call.settings(app)
	if err != nil {
		return err
	}
	if !force && !certificate.Covers(settings.Domains) {
		return api.Errorf(api.Precondition, "", "the certificate is for %s, and %s has the domains %s", strings.Join(certificate.Names(), ", "), app, strings.Join(settings.Domains, ", ")).
			WithHint("domains:add %s its name first; --force adds it all the same", app)
	}
	if err := call.Host.SetCertificate(ctx, app, call.By, certificate, ""); err != nil {
		return err
	}
	call.say("Certificate for %s is in place, until %s", strings.Join(certificate.Names(), ", "), certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

// certificateTexts reads a certificate and its key: the files that are named, or a tar.
func (c *Call) certificateTexts() (chain, key []byte, err error) {
	switch {
	case len(c.Args) == 0:
		return certificateTar(c.In)
	case len(c.Args) != 2:
		return nil, nil, api.Errorf(api.Usage, "", "Please specify a certificate and a key, or send a tar with both on standard input")
	case c.afar():
		return nil, nil, api.Errorf(api.Refused, "", "files of the host are not read for a call from afar").
			WithHint("tar c server.crt server.key | ssh … certs:add APP")
	}
	if chain, err = certificateFile(c.Args[0]); err == nil {
		key, err = certificateFile(c.Args[1])
	}
	return chain, key, err
}

func certificateFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, api.Errorf(api.Usage, "", "%s is no file that can be read", filepath.Base(path))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open a file of the certificate: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, agent.MostCertificate+1))
	if err != nil {
		return nil, fmt.Errorf("read a file of the certificate: %w", err)
	}
	return text, nil
}

// certsGenerate makes a certificate that nobody has to trust, for a first try or for a
// site that only its owner looks at.
func certsGenerate(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify a domain")
	}
	domain := call.Args[0]
	if err := call.Host.FreeDomains(app, []string{domain}); err != nil {
		return err
	}
	certificate, err := agent.SelfSigned(domain, time.Now())
	if err != nil {
		return err
	}
	if err := call.Host.SetCertificate(ctx, app, call.By, certificate, domain); err != nil {
		return err
	}
	call.say("Self-signed certificate for %s is in place, until %s", domain, certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))
	_, err = call.Out.Write(certificate.Request)
	return err
}

func certsRemove(ctx context.Context, call *Call) error {
	app, err := call.alone(ctx)
	if err != nil {
		return err
	}
	if err := call.Host.RemoveCertificate(ctx, app, call.By); err != nil {
		return err
	}
	call.say("Removing SSL endpoint from %s", app)
	return nil
}

func certsShow(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 || call.Args[0] != "crt" && call.Args[0] != "key" {
		return api.Errorf(api.Usage, "", "Please specify crt or key")
	}
	chain, key, err := call.Host.CertificateFiles(app)
	if err != nil {
		return err
	}
	if chain == nil {
		return api.Errorf(api.Precondition, "", "An app-specific SSL endpoint is not defined")
	}
	text := chain
	if call.Args[0] == "key" {
		text = key
	}
	_, err = call.Out.Write(text)
	return err
}

func certsReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "ssl", func(app string, _ agent.Settings) ([]reportLine, error) {
		if app == "--global" {
			return nil, nil
		}
		chain, _, err := call.Host.CertificateFiles(app)
		if err != nil {
			return nil, err
		}
		values := []reportLine{{"Ssl dir", call.Host.Places.TLS(app)}, {"Ssl enabled", fmt.Sprint(chain != nil)}, {"Ssl hostnames", ""}, {"Ssl expires at", ""},
			{"Ssl issuer", ""}, {"Ssl starts at", ""}, {"Ssl subject", ""}, {"Ssl verified", ""}}
		facts := agent.DescribeCertificate(chain)
		for n, value := range []string{strings.Join(facts.Names, " "), facts.Expires, facts.Issuer, facts.Starts, facts.Subject, facts.Verified} {
			values[n+2].value = value
		}
		return values, nil
	})
}
