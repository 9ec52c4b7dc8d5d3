package bench

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/testkit"
)

const (
	procfile = "web: exec busybox httpd -f -p \"$PORT\" -h /www\n"
	appJSON  = `{"healthchecks": {"web": [{"type": "startup", "path": "/", "attempts": 10, "wait": 1, "timeout": 2}]}}`
	webPort  = 5000
)

// shelf is a local registry full of images that were built before: a web server of a
// megabyte and one page each, so that what a deploy costs beside the pull is seen.
type shelf struct {
	repository string
	base       v1.Image
	made       int
}

// built is one image on the shelf; its page is its text.
type built struct {
	api.Image
	text string
}

func newShelf(b *testing.B) *shelf {
	b.Helper()
	registry := testkit.Registry(b, testkit.RegistryOptions{})
	index, err := layout.ImageIndexFromPath(testkit.BaseLayout(b))
	if err != nil {
		b.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		b.Fatal(err)
	}
	base, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		b.Fatal(err)
	}
	s := &shelf{repository: registry.Addr + "/bench/web", base: base}
	b.Cleanup(func() { forgetImages(b, s.repository) })
	return s
}

// next puts another image on the shelf; every one has a layer that no engine has seen.
func (s *shelf) next(b *testing.B) built {
	b.Helper()
	s.made++
	text := fmt.Sprintf("release %d of %s", s.made, s.repository)
	var page bytes.Buffer
	files := tar.NewWriter(&page)
	_ = files.WriteHeader(&tar.Header{Name: "www/", Mode: 0o755, Typeflag: tar.TypeDir}) // a bytes.Buffer takes everything
	_ = files.WriteHeader(&tar.Header{Name: "www/index.html", Mode: 0o644, Size: int64(len(text))})
	_, _ = files.Write([]byte(text))
	_ = files.Close()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(page.Bytes())), nil })
	if err != nil {
		b.Fatal(err)
	}
	image, err := mutate.Append(s.base, mutate.Addendum{Layer: layer, MediaType: types.DockerLayer})
	if err != nil {
		b.Fatal(err)
	}
	tag, err := name.NewTag(fmt.Sprintf("%s:%d", s.repository, s.made), name.Insecure)
	if err != nil {
		b.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		b.Fatal(err)
	}
	id, err := image.ConfigName()
	if err != nil {
		b.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		b.Fatal(err)
	}
	return built{Image: api.Image{ID: id.String(), Manifest: digest.String(), Registry: s.repository}, text: text}
}

func (i built) ref() string { return i.Registry + "@" + i.Manifest }

// document asks for the image to be deployed as a one-process app with a healthcheck.
func (i built) document() api.ReleaseDocument {
	return api.ReleaseDocument{Image: i.Image, Builder: "dockerfile", Procfile: procfile, AppJSON: appJSON}
}

// forgetImages removes what the engine has pulled from a repository.
func forgetImages(b *testing.B, repository string) {
	out, err := exec.CommandContext(context.Background(), "docker", "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}", repository).Output()
	if err != nil {
		b.Errorf("list the images pulled: %v", err)
	}
	for _, ref := range strings.Fields(string(out)) {
		_ = exec.Command("docker", "rmi", "-f", ref).Run() // it may be gone with the app's tags
	}
}
