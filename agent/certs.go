package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// The files of an app's certificate, in its tls folder (PLUGIN-CONTRACT 5.8).
const (
	certificateFile = "server.crt"
	keyFile         = "server.key"
	requestFile     = "server.csr"
)

// MostCertificate is the largest file of a certificate, in bytes.
const MostCertificate = 256 << 10

// clockSkew is how far another clock may be ahead.
const clockSkew = 5 * time.Minute

// Certificate is an app's certificate with its chain, and its key, both in PEM.
type Certificate struct {
	Chain, Key []byte
	Request    []byte            // the signing request of one that was made here
	Leaf       *x509.Certificate // what the first of the chain says
}

// ParseCertificate reads a certificate and its key and refuses a pair that nginx or a
// browser would not take: not PEM, encrypted, not each other's, expired or not yet valid.
func ParseCertificate(chain, key []byte, now time.Time) (*Certificate, error) {
	refuse := func(hint, format string, args ...any) (*Certificate, error) {
		return nil, api.Errorf(api.Usage, "read the certificate", format, args...).WithHint("%s", hint)
	}
	const both = "give the certificate with its chain as .crt and its key as .key, both in PEM"
	for name, text := range map[string][]byte{"certificate": chain, "key": key} {
		if len(text) > MostCertificate {
			return refuse(both, "the %s is longer than %d KiB", name, MostCertificate>>10)
		}
		if bytes.Contains(text, []byte("\r")) {
			return refuse("take them out: tr -d '\\r'", "the %s has line ends of Windows", name)
		}
	}
	if problem := onlyBlocks(chain, "CERTIFICATE"); problem != "" {
		return refuse(both, "the certificate %s", problem)
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return refuse("decrypt it first: openssl pkey -in server.key -out plain.key", "the key is encrypted, and nobody could tell nginx its password")
	}
	if problem := onlyBlocks(key, "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"); problem != "" {
		return refuse(both, "the key %s", problem)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil { // its words name no secret
		return refuse(both, "certificate and key are no pair: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return refuse(both, "the certificate cannot be read: %s", err)
	}
	for _, other := range pair.Certificate[1:] {
		if _, err := x509.ParseCertificate(other); err != nil {
			return refuse(both, "a certificate of the chain cannot be read: %s", err)
		}
	}
	switch {
	case now.After(leaf.NotAfter):
		return refuse("renew it", "the certificate has expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Add(clockSkew).Before(leaf.NotBefore):
		return refuse("is the host's clock right?", "the certificate is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return &Certificate{Chain: chain, Key: key, Leaf: leaf}, nil
}

// onlyBlocks tells what is wrong with a PEM file that is to have blocks of some kinds
// and, where those are keys, one of them.
func onlyBlocks(text []byte, kinds ...string) (problem string) {
	found := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case slices.Contains(kinds, block.Type):
			found++
		case block.Type == "EC PARAMETERS": // stands before an EC key
		default:
			return fmt.Sprintf("file holds a block %q", block.Type)
		}
	}
	switch {
	case found == 0:
		return "is not in PEM"
	case found > 1 && kinds[0] != "CERTIFICATE":
		return "file holds two keys"
	}
	return ""
}

// Covers tells whether the certificate is for at least one of some names; of no names it is.
func (c *Certificate) Covers(domains []string) bool {
	return len(domains) == 0 || slices.ContainsFunc(domains, func(domain string) bool {
		return slices.Contains(c.Leaf.DNSNames, domain) || c.Leaf.VerifyHostname(domain) == nil || strings.EqualFold(c.Leaf.Subject.CommonName, domain)
	})
}

// Names are the names that the certificate is for, sorted.
func (c *Certificate) Names() []string {
	names := slices.Clone(c.Leaf.DNSNames)
	if c.Leaf.Subject.CommonName != "" {
		names = append(names, c.Leaf.Subject.CommonName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SelfSigned makes a key, a certificate of a year that it has signed itself, and a
// request with which somebody else may sign it.
func SelfSigned(domain string, now time.Time) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	subject := pkix.Name{CommonName: domain}
	if len(domain) > 64 { // more than the field takes
		subject = pkix.Name{}
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		DNSNames: []string{domain}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: []string{domain}}, crypto.Signer(key))
	if err != nil {
		return nil, fmt.Errorf("make the signing request: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	certificate, err := ParseCertificate(block("CERTIFICATE", der), block("PRIVATE KEY", private), now)
	if err != nil {
		return nil, err
	}
	certificate.Request = block("CERTIFICATE REQUEST", request)
	return certificate, nil
}

// SetCertificate gives an app a certificate: its files, 443 in its port map, its domain if
// one is named, and its site. Where nginx refuses, all is as it was. Plugins are told after.
func (h *Host) SetCertificate(ctx context.Context, app string, by Caller, certificate *Certificate, domain string) error {
	folder := h.Places.TLS(app)
	files := []SiteFile{
		{Path: filepath.Join(folder, keyFile), Text: certificate.Key, Mode: 0o600},
		{Path: filepath.Join(folder, certificateFile), Text: certificate.Chain, Mode: 0o644},
		{Path: filepath.Join(folder, requestFile), Text: certificate.Request, Mode: 0o644},
	}
	err := h.ChangeSite(ctx, app, by, SiteChange{Files: files, Settings: func(now *Settings) error {
		withTLSPorts(now)
		if domain != "" && !slices.Contains(now.Domains, domain) {
			now.Domains = append(now.Domains, domain)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	return h.tellCertificate(ctx, app, by, "post-certs-update")
}

// RemoveCertificate takes an app's certificate away, with all files that stand beside it.
func (h *Host) RemoveCertificate(ctx context.Context, app string, by Caller) error {
	entries, err := os.ReadDir(h.Places.TLS(app))
	if err != nil {
		return api.Errorf(api.Precondition, "", "An app-specific SSL endpoint is not defined")
	}
	var files []SiteFile
	for _, entry := range entries {
		if !entry.IsDir() {
			files = append(files, SiteFile{Path: filepath.Join(h.Places.TLS(app), entry.Name())})
		}
	}
	err = h.ChangeSite(ctx, app, by, SiteChange{Files: files, Settings: func(now *Settings) error {
		withoutTLSPorts(now)
		return nil
	}})
	if err != nil {
		return err
	}
	return h.tellCertificate(ctx, app, by, "post-certs-remove")
}

// CertificateChanged is the core's part when a plugin has put a certificate in its place
// by itself, or taken it away: the port map and the site follow what is there.
func (h *Host) CertificateChanged(ctx context.Context, app string, by Caller) error {
	return h.ChangeSite(ctx, app, by, SiteChange{Settings: func(now *Settings) error {
		if h.hasTLS(app) {
			withTLSPorts(now)
		} else {
			withoutTLSPorts(now)
		}
		return nil
	}})
}

// withTLSPorts gives the ports of http theirs of https.
func withTLSPorts(now *Settings) {
	if len(now.Ports) > 0 {
		now.Ports = withTwins(now.Ports)
		return
	}
	detected := strings.Fields(now.Properties["ports/map-detected"])
	if len(detected) == 0 {
		detected = []string{usualPort}
	}
	now.Properties["ports/map-detected"] = strings.Join(withTwins(detected), "\n")
}

// withoutTLSPorts takes those of https away.
func withoutTLSPorts(now *Settings) {
	now.Ports = withoutTwins(now.Ports)
	setLines(now.Properties, "ports/map-detected", withoutTwins(strings.Fields(now.Properties["ports/map-detected"])))
	delete(now.Properties, "proxy/proxy-ssl-port")
}

// tellCertificate tells the plugins, and makes the site once more for what they changed.
func (h *Host) tellCertificate(ctx context.Context, app string, by Caller, trigger string) error {
	if err := h.fire(ctx, trigger, app); err != nil {
		return err
	}
	if err := h.fire(ctx, "post-domains-update", app); err != nil {
		return err
	}
	return h.Serve(ctx, app, by)
}

// CertificateFiles are the texts of an app's certificate and key; nil when it has none.
func (h *Host) CertificateFiles(app string) (chain, key []byte, err error) {
	if !h.hasTLS(app) {
		return nil, nil, nil
	}
	if chain, err = os.ReadFile(filepath.Join(h.Places.TLS(app), certificateFile)); err == nil {
		key, err = os.ReadFile(filepath.Join(h.Places.TLS(app), keyFile))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the certificate of %s: %w", app, err)
	}
	return chain, key, nil
}

// CertificateFacts are what certs:report says of a certificate, in openssl's words.
type CertificateFacts struct {
	Names                                      []string
	Expires, Starts, Issuer, Subject, Verified string
}

// DescribeCertificate says what a PEM file's first certificate is; nothing of one that
// is not there, and of one that cannot be read that it cannot.
func DescribeCertificate(chain []byte) CertificateFacts {
	if chain == nil {
		return CertificateFacts{}
	}
	block, rest := pem.Decode(chain)
	if block == nil {
		return CertificateFacts{Verified: "unreadable."}
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return CertificateFacts{Verified: "unreadable."}
	}
	const layout = "Jan _2 15:04:05 2006 GMT"
	facts := CertificateFacts{Names: (&Certificate{Leaf: leaf}).Names(), Expires: leaf.NotAfter.UTC().Format(layout), Starts: leaf.NotBefore.UTC().Format(layout),
		Issuer: leaf.Issuer.String(), Subject: leaf.Subject.String(), Verified: "verified by a certificate authority."}
	others := x509.NewCertPool()
	others.AppendCertsFromPEM(rest)
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: others}); err != nil {
		facts.Verified = "not verified by a known certificate authority."
	}
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		facts.Verified = "self signed."
	}
	return facts
}
