package build

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/api"
)

// lifecycleLabel is where the lifecycle of Cloud Native Buildpacks says what it has put
// into an image.
const lifecycleLabel = "io.buildpacks.lifecycle.metadata"

// sbomFolder is where the bills of materials are in their layer.
const sbomFolder = "layers/sbom/launch/"

// maxSBOM is the most bytes of one bill.
const maxSBOM = 64 << 20

// WriteSBOM writes the bills of materials that an image carries into a folder, which is
// made, and returns their names in it: BUILDPACK/LAYER/sbom.cdx.json and the like, as
// buildpacks wrote them. An image without any is api.NotFound.
func WriteSBOM(image v1.Image, folder string) ([]string, error) {
	const op = "write the bills of materials"
	layer, err := sbomLayer(image)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, op, "%w", err)
	}
	if layer == nil {
		return nil, api.Errorf(api.NotFound, op, "the image carries none").
			WithHint("buildpacks leave them where they make some; the other builders make none")
	}
	files, err := writeBills(layer, folder)
	if err != nil {
		return nil, api.Errorf(api.BuildFailed, op, "%w", err)
	}
	return files, nil
}

// sbomLayer finds the layer that the lifecycle's label names; nil: there is none.
func sbomLayer(image v1.Image) (v1.Layer, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image's config: %w", err)
	}
	text := config.Config.Labels[lifecycleLabel]
	if text == "" {
		return nil, nil
	}
	var label struct {
		SBOM struct {
			SHA string `json:"sha"`
		} `json:"sbom"`
	}
	if err := json.Unmarshal([]byte(text), &label); err != nil {
		return nil, fmt.Errorf("read the label %s: %w", lifecycleLabel, err)
	}
	if label.SBOM.SHA == "" {
		return nil, nil
	}
	id, err := v1.NewHash(label.SBOM.SHA)
	if err != nil {
		return nil, fmt.Errorf("read the label %s: %w", lifecycleLabel, err)
	}
	return image.LayerByDiffID(id)
}

func writeBills(layer v1.Layer, folder string) (names []string, err error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		name, ours := strings.CutPrefix(path.Clean(strings.TrimPrefix(header.Name, "/")), sbomFolder)
		if !ours || header.Typeflag != tar.TypeReg {
			continue
		}
		if header.Size > maxSBOM {
			return nil, fmt.Errorf("%s is larger than %d MiB", name, maxSBOM>>20)
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return nil, err
		}
		text, err := io.ReadAll(archive)
		if err == nil {
			err = root.WriteFile(name, text, 0o644)
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
}
