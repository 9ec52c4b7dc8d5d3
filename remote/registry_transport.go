package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dokku-push/dokku-push/api"
)

// registryTransport is the library's own, with the certificates that Docker
// would trust for that host.
func registryTransport(host string) (*http.Transport, error) {
	t := ggcr.DefaultTransport.(*http.Transport).Clone()
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any; certs.d may have the one
	}
	added := false
	for _, dir := range certificateFolders(host) {
		files, err := filepath.Glob(filepath.Join(dir, "*.crt"))
		if err != nil {
			continue // the only error is a malformed pattern, from a strange home
		}
		for _, file := range files {
			pem, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, api.Errorf(api.Configuration, opRegistry, "read a CA certificate: %w", err)
			}
			if !pool.AppendCertsFromPEM(pem) {
				return nil, api.Errorf(api.Configuration, opRegistry, "%s holds no certificate in PEM form", file)
			}
			added = true
		}
	}
	if added {
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return t, nil
}

// certificateFolders are Docker's, of the machine and of the user.
func certificateFolders(host string) []string {
	dirs := []string{filepath.Join("/etc/docker/certs.d", host)}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".docker", "certs.d", host))
	}
	return dirs
}

// secureTransport refuses plain HTTP beyond the loopback. The library would fall
// back to it for private addresses, with the password in plain sight.
type secureTransport struct{ next http.RoundTripper }

func (t secureTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !isLoopback(r.URL.Hostname()) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, api.Errorf(api.Refused, opRegistry, "%s does not speak TLS", r.URL.Host).
			WithHint("give the registry a certificate; plain HTTP is for the loopback only")
	}
	return t.next.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
