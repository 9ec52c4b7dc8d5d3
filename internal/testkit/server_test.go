package testkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/client"
)

// pushBase writes the busybox image to the registry with go-containerregistry.
func pushBase(t *testing.T, server *RegistryServer, auth authn.Authenticator, transport http.RoundTripper) error {
	t.Helper()
	index, err := layout.ImageIndexFromPath(BaseLayout(t))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(server.Addr + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	return remote.Write(ref, image, remote.WithAuth(auth), remote.WithTransport(transport))
}

func TestPlainRegistry(t *testing.T) {
	server := Registry(t, RegistryOptions{})
	if err := pushBase(t, server, authn.Anonymous, http.DefaultTransport); err != nil {
		t.Fatal(err)
	}
	// Two blobs were sent, the layer and the config.
	if got := server.Requests("PUT", "/team/app/blobs/"); got != 2 {
		t.Errorf("%d blobs were sent, want 2:\n%s", got, server.child.said.String())
	}
	if err := pushBase(t, server, authn.Anonymous, http.DefaultTransport); err != nil {
		t.Fatal(err)
	}
	if got := server.Requests("PUT", "/team/app/blobs/"); got != 2 {
		t.Errorf("%d blobs were sent after the second push, want still 2", got)
	}
	engine := Engine(t)
	pulled, err := engine.ImagePull(context.Background(), server.Addr+"/team/app:v1", client.ImagePullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, pulled); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.ImageRemove(context.Background(), server.Addr+"/team/app:v1", client.ImageRemoveOptions{}); err != nil {
		t.Errorf("the engine did not pull it: %v", err)
	}
}

func TestRegistryWithPassword(t *testing.T) {
	server := Registry(t, RegistryOptions{TLS: true, User: "ada", Password: "s3cret"})
	transport := trusting(t, server.CAFile)
	if err := pushBase(t, server, authn.Anonymous, transport); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a password: %v, want 401", err)
	}
	t.Setenv("DOCKER_CONFIG", server.DockerConfig(t))
	registry, err := name.NewRegistry(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := authn.DefaultKeychain.Resolve(registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := pushBase(t, server, auth, transport); err != nil {
		t.Error(err)
	}
}

func TestSSHDForcesTheCommand(t *testing.T) {
	key := NewKey(t)
	server := SSHD(t, SSHDOptions{AuthorizedKeys: `command="echo got $SSH_ORIGINAL_COMMAND",restrict ` + key.Public})
	_, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	result := Run(t, exec.Command("ssh", "-F", "none", "-T", "-p", port, "-i", key.File, "-o", "BatchMode=yes",
		"-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile="+KnownHosts(t, server.Addr, server.HostKey),
		"root@127.0.0.1", "apps:list --quiet"))
	if result.Exit != 0 || result.Stdout != "got apps:list --quiet\n" {
		t.Errorf("ssh exited %d and printed %q\n%s", result.Exit, result.Stdout, result.Stderr)
	}
}

// trusting is a transport that trusts the CA of a registry alone.
func trusting(t *testing.T, ca string) http.RoundTripper {
	t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in the CA's file")
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
}
