package remote

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
)

// certified is the certificate that lies beside a private key's file as FILE-cert.pub, to
// be offered before the key itself: as OpenSSH does. One that no longer counts is not
// offered, and said to be so.
func (k *keyring) certified(file string, id identity) (identity, bool) {
	path := file + "-cert.pub"
	text, err := os.ReadFile(path)
	if err != nil || id.signer == nil {
		return identity{}, false // most keys have none
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(text)
	certificate, is := public.(*ssh.Certificate)
	if err != nil || !is || !bytes.Equal(certificate.Key.Marshal(), id.public.Marshal()) {
		k.leave("%s is no certificate of the key beside it", path)
		return identity{}, false
	}
	if ends := certificate.ValidBefore; ends != ssh.CertTimeInfinity && uint64(time.Now().Unix()) >= ends {
		k.leave("the certificate %s expired at %s", path, time.Unix(int64(ends), 0).UTC().Format(time.RFC3339))
		return identity{}, false
	}
	signer, err := ssh.NewCertSigner(certificate, id.signer)
	if err != nil {
		k.leave("%s: %v", path, err)
		return identity{}, false
	}
	return identity{signer: signer, public: certificate, from: path, named: id.named, locked: id.locked}, true
}
