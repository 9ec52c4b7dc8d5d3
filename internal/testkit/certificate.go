package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate writes a CA of its own and a server certificate by it for
// 127.0.0.1 and localhost, as PEM files in dir.
func certificate(t testing.TB, dir string) (ca, cert, key string) {
	t.Helper()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dokku-push test CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, serverKey := newKey(t), newKey(t)
	ca, cert, key = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	writeCertificate(t, ca, authority, authority, authorityKey, authorityKey)
	writeCertificate(t, cert, server, authority, serverKey, authorityKey)
	der, err := x509.MarshalECPrivateKey(serverKey)
	must(t, "encode the server's key", err)
	writePEM(t, key, "EC PRIVATE KEY", der)
	return ca, cert, key
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "make a key", err)
	return key
}

func writeCertificate(t testing.TB, file string, subject, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, subject, issuer, &key.PublicKey, issuerKey)
	must(t, "make a certificate", err)
	writePEM(t, file, "CERTIFICATE", der)
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	must(t, "write "+filepath.Base(file), os.WriteFile(file, text, 0o600))
}

// Certificate writes server.crt and server.key for localhost into a folder, by an
// authority of their own.
func Certificate(t testing.TB, dir string) {
	t.Helper()
	must(t, "make the folder of the certificate", os.MkdirAll(dir, 0o755))
	certificate(t, dir)
}
