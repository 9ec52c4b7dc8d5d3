package remote

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/dokku-push/dokku-push/api"
)

const opRegistry = "push to the registry"

// PushedImage is an image in a registry.
type PushedImage struct {
	Repository string // without tag or digest, as an engine may pull it
	Manifest   string // digest
	Bytes      int64  // of request bodies, as they went out
}

// PushRegistry pushes img, by its digest and without a tag, to a repository
// such as "registry.example.com/team/app". Layers that are there are not sent.
// Credentials come from Docker's configuration and its helpers. A registry on
// the loopback may speak plain HTTP, every other one needs TLS; Docker's own
// certs.d folders are honoured. progress counts the image as a whole and may
// be nil.
func PushRegistry(ctx context.Context, img v1.Image, repository string, progress func(api.Progress)) (PushedImage, error) {
	repo, err := parseRepository(repository)
	if err != nil {
		return PushedImage{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return PushedImage{}, api.Errorf(api.ShipFailed, opRegistry, "read the image's digest: %w", err)
	}
	base, err := registryTransport(repo.RegistryStr())
	if err != nil {
		return PushedImage{}, err
	}
	defer base.CloseIdleConnections()
	sent := new(atomic.Int64)
	updates := make(chan v1.Update, 16)
	told := make(chan struct{})
	go func() {
		defer close(told)
		for u := range updates {
			if progress != nil && u.Total > 0 { // before the first blob nothing is known yet
				progress(api.Progress{Name: repo.RepositoryStr(), Done: u.Complete, Total: u.Total})
			}
		}
	}()
	err = ggcr.Write(repo.Digest(digest.String()), img,
		ggcr.WithContext(ctx),
		ggcr.WithAuthFromKeychain(authn.DefaultKeychain),
		ggcr.WithTransport(countingTransport{secureTransport{base}, sent}),
		ggcr.WithProgress(updates))
	<-told // Write closes the channel in any case
	pushed := PushedImage{Repository: repo.Name(), Manifest: digest.String(), Bytes: sent.Load()}
	return pushed, registryError(ctx, repo, err)
}

// RegistryAuth is what Docker's configuration and its helpers know for a
// repository; nil when they know nothing.
func RegistryAuth(repository string) (*api.RegistryAuth, error) {
	repo, err := parseRepository(repository)
	if err != nil {
		return nil, err
	}
	found, err := authn.DefaultKeychain.Resolve(repo)
	if err != nil {
		return nil, api.Errorf(api.Configuration, "read the registry's credentials", "%w", err).
			WithHint("check Docker's config.json and the credential helper that it names")
	}
	if found == authn.Anonymous {
		return nil, nil
	}
	c, err := found.Authorization()
	if err != nil {
		return nil, api.Errorf(api.Configuration, "read the registry's credentials", "%w", err).
			WithHint("docker login %s", repo.RegistryStr())
	}
	auth := &api.RegistryAuth{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}
	if pair, err := base64.StdEncoding.DecodeString(c.Auth); err == nil && auth.Username == "" {
		auth.Username, auth.Password, _ = strings.Cut(string(pair), ":")
	}
	if *auth == (api.RegistryAuth{}) {
		return nil, nil
	}
	return auth, nil
}

// RegistryKey is what Docker's config.json calls the registry of a repository: its host, or
// for Docker Hub, under each of its names, a URL.
func RegistryKey(repository string) (string, error) {
	repo, err := parseRepository(repository)
	if err != nil {
		return "", err
	}
	if host := repo.RegistryStr(); host != name.DefaultRegistry {
		return host, nil
	}
	return authn.DefaultAuthKey, nil
}

// parseRepository wants a repository alone: what is pushed is named by digest.
func parseRepository(repository string) (name.Repository, error) {
	repo, err := name.NewRepository(repository, name.StrictValidation)
	if err != nil {
		return name.Repository{}, api.Errorf(api.Configuration, "read image.registry", "%q is not a repository without tag or digest", repository).
			WithHint("write it like registry.example.com/team/app")
	}
	return repo, nil
}

// registryError says what went wrong in the words of api.
func registryError(ctx context.Context, repo name.Repository, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &api.Error{Code: api.Cancelled, Op: opRegistry, Message: "cancelled", Cause: ctx.Err()}
	}
	host := repo.RegistryStr()
	if own, ok := errors.AsType[*api.Error](err); ok {
		return own
	}
	// The library tries plain HTTP after TLS; that answer is beside the point.
	if isCertificateError(err) {
		return api.Errorf(api.ShipFailed, opRegistry, "%w", err).
			WithHint("put the CA's certificate into /etc/docker/certs.d/%s/ca.crt or ~/.docker/certs.d/%s/ca.crt", host, host)
	}
	if status, ok := errors.AsType[*transport.Error](err); ok {
		if status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden {
			return api.Errorf(api.Refused, opRegistry, "%s refuses to take %s (%d)", host, repo.RepositoryStr(), status.StatusCode).
				WithHint("docker login %s", host)
		}
		return api.Errorf(api.ShipFailed, opRegistry, "%w", err)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return api.Errorf(api.Unreachable, opRegistry, "%w", err).WithHint("is %s up, and reachable from here?", host)
	}
	return api.Errorf(api.ShipFailed, opRegistry, "%w", err)
}

// isCertificateError uses errors.As: the library's joined errors know no other way.
func isCertificateError(err error) bool {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &wrongName) || errors.As(err, &invalid)
}
