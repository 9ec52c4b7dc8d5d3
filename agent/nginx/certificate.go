package nginx

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// certificates refuses a file of an app that would serve a certificate which does not
// match its key, or whose time is over or has not come. nginx -t says nothing of the time,
// and of the match it names no app. Only what is new is refused: a certificate that nginx has
// loaded already may have run out since, and must not keep the app from being mended.
func (n *Nginx) certificates(app string, conf []byte) error {
	served := n.servesTLS(app)
	for _, pair := range keyPairs(string(conf)) {
		if !inside(n.Places.App(app), pair.certificate) || served && inside(n.Places.TLS(app), pair.certificate) {
			continue // the host's own, which are its owner's, or those that nginx has
		}
		if why := unfit(pair, time.Now()); why != "" {
			return api.Errorf(api.ProxyFailed, opTest, "the app %s: its certificate cannot be served: %s", app, why).
				WithHint("put a certificate and its key into %s", n.Places.TLS(app))
		}
	}
	return nil
}

// unfit tells why a certificate cannot be served, or nothing. What cannot be read is
// nginx's to complain of: it may be a variable.
func unfit(pair keyPair, now time.Time) string {
	certificate, err := os.ReadFile(pair.certificate)
	if err != nil {
		return ""
	}
	key, err := os.ReadFile(pair.key)
	if err != nil {
		return ""
	}
	loaded, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Sprintf("%s and %s: %s", pair.certificate, pair.key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf := loaded.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(loaded.Certificate[0]); err != nil {
			return fmt.Sprintf("%s: %v", pair.certificate, err)
		}
	}
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("%s has expired on %s", pair.certificate, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("%s is valid from %s on", pair.certificate, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return ""
}

// keyPair is a certificate and its key, as a file names them.
type keyPair struct{ certificate, key string }

// keyPairs lists what a file would serve: in each block the n-th certificate belongs to the
// n-th key.
func keyPairs(conf string) []keyPair {
	var pairs []keyPair
	var certificates, keys []string
	for _, d := range directives(conf) {
		if len(d.words) < 2 {
			continue
		}
		switch d.words[0] {
		case "ssl_certificate":
			certificates = append(certificates, d.words[1])
		case "ssl_certificate_key":
			keys = append(keys, d.words[1])
		}
	}
	for i := range min(len(certificates), len(keys)) {
		pairs = append(pairs, keyPair{certificates[i], keys[i]})
	}
	return pairs
}

// servesTLS tells whether nginx was given exactly the certificates that the app has now.
func (n *Nginx) servesTLS(app string) bool {
	recorded, absent, err := readFile(n.sumFile(app))
	_, served, _ := strings.Cut(string(recorded), " ")
	return err == nil && !absent && served != "" && served == n.tlsSum(app)
}

// tlsSum is a digest of an app's certificates and keys.
func (n *Nginx) tlsSum(app string) string {
	all := sha256.New()
	hashFiles(all, filepath.Join(n.Places.TLS(app), "*"))
	return hex.EncodeToString(all.Sum(nil))
}
