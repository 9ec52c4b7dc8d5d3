package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// soon is how long before its end a certificate is to be renewed: Let's Encrypt's are
// renewed 30 days before, so that at 21 something does not work.
const soon = 21 * 24 * time.Hour

// certificates looks at the apps' own certificates, as nginx serves them.
func (d *Doctor) certificates(context.Context) []api.HealthFinding {
	var findings []api.HealthFinding
	count := 0
	for _, app := range d.appNames() {
		path := filepath.Join(d.Places.TLS(app), "server.crt")
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		count++
		leaf, err := leafOf(path, filepath.Join(d.Places.TLS(app), "server.key"))
		if err != nil {
			findings = append(findings, fail(api.HealthCertificates, "dokku certs:add "+app+" puts a new one in", "%s: %v", app, err))
			continue
		}
		findings = append(findings, judge(app, leaf, d.Apps[app].Domains, d.Now)...)
	}
	if count == 0 {
		return []api.HealthFinding{fine(api.HealthCertificates, "no app has a certificate")}
	}
	return orFine(findings, api.HealthCertificates, "%s, none of which expires within 21 days", plural(count, "certificate", "certificates"))
}

// leafOf reads a certificate and makes sure that the key is its own.
func leafOf(certificate, key string) (*x509.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(pair.Certificate[0])
}

func judge(app string, leaf *x509.Certificate, domains []string, now time.Time) []api.HealthFinding {
	renew := "dokku letsencrypt:enable " + app + ", or certs:add"
	day := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		return []api.HealthFinding{fail(api.HealthCertificates, renew, "%s: the certificate has expired on %s", app, day)}
	case now.Before(leaf.NotBefore):
		return []api.HealthFinding{fail(api.HealthCertificates, "is the host's clock right?", "%s: the certificate is not valid before %s", app, leaf.NotBefore.UTC().Format(time.RFC3339))}
	case left < soon:
		return []api.HealthFinding{warn(api.HealthCertificates, renew, "%s: the certificate expires on %s, in %s", app, day, plural(int(left/(24*time.Hour)), "day", "days"))}
	}
	if len(domains) > 0 && !slices.ContainsFunc(domains, func(domain string) bool { return leaf.VerifyHostname(domain) == nil }) {
		return []api.HealthFinding{warn(api.HealthCertificates, renew, "%s: the certificate is for none of its domains: %s", app, fmt.Sprint(leaf.DNSNames))}
	}
	return nil
}
