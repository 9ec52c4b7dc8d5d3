package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// imageConfig is the file that an image's id is the digest of.
type imageConfig struct {
	Architecture string          `json:"architecture"`
	Variant      string          `json:"variant,omitempty"`
	OS           string          `json:"os"`
	Created      time.Time       `json:"created"`
	Config       json.RawMessage `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// Commit makes an image of a container's files with exactly the config of base, and
// extra labels. The engine's own commit would add the container's env, and with it
// every secret of the app, to the image: so its layers are taken, and the config is
// written anew.
func (e *Engine) Commit(ctx context.Context, ref, base string, labels map[string]string) (string, error) {
	doing := "commit the container " + ref
	committed, err := e.api.ContainerCommit(ctx, ref, client.ContainerCommitOptions{})
	if err != nil {
		return "", wrap(doing, err)
	}
	config, err := e.configLike(ctx, committed.ID, base, labels)
	if err == nil {
		err = e.loadConfig(ctx, config)
	}
	// The image that the engine made goes again; its layers stay with the new one.
	_, removeErr := e.api.ImageRemove(context.WithoutCancel(ctx), committed.ID, client.ImageRemoveOptions{})
	if err := errors.Join(err, removeErr); err != nil {
		return "", wrap(doing, err)
	}
	return config.id(), nil
}

// configFile is an image config with the bytes that its id is made of.
type configFile struct {
	text   []byte
	layers int
}

func (c configFile) id() string {
	sum := sha256.Sum256(c.text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// configLike makes the config of an image that has the layers of one and all else of
// another.
func (e *Engine) configLike(ctx context.Context, layers, base string, labels map[string]string) (configFile, error) {
	from, err := e.api.ImageInspect(ctx, layers)
	if err != nil {
		return configFile{}, err
	}
	var raw bytes.Buffer
	like, err := e.api.ImageInspect(ctx, base, client.ImageInspectWithRawResponse(&raw))
	if err != nil {
		return configFile{}, err
	}
	var answer struct{ Config map[string]json.RawMessage }
	if err := json.Unmarshal(raw.Bytes(), &answer); err != nil {
		return configFile{}, fmt.Errorf("read the config of %s: %w", base, err)
	}
	all := map[string]string{}
	if like.Config != nil {
		maps.Copy(all, like.Config.Labels)
	}
	maps.Copy(all, labels)
	if answer.Config == nil {
		answer.Config = map[string]json.RawMessage{}
	}
	if len(all) > 0 {
		if answer.Config["Labels"], err = json.Marshal(all); err != nil {
			return configFile{}, err
		}
	}
	config := imageConfig{Architecture: like.Architecture, Variant: like.Variant, OS: like.Os, Created: time.Now().UTC()}
	if config.Config, err = json.Marshal(answer.Config); err != nil {
		return configFile{}, err
	}
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", from.RootFS.Layers
	for n := range from.RootFS.Layers {
		by := "of the image " + like.ID
		if n >= len(like.RootFS.Layers) {
			by = "committed by dokku-agent"
		}
		config.History = append(config.History, history{Created: config.Created, CreatedBy: by})
	}
	text, err := json.Marshal(config)
	return configFile{text: text, layers: len(from.RootFS.Layers)}, err
}

// loadConfig makes an image of a config whose layers the engine has. It asks for a
// layer's file only if it does not know the layer.
func (e *Engine) loadConfig(ctx context.Context, config configFile) error {
	name := strings.TrimPrefix(config.id(), "sha256:") + ".json"
	manifest := []struct {
		Config string
		Layers []string
	}{{Config: name, Layers: make([]string, config.layers)}}
	for n := range manifest[0].Layers {
		manifest[0].Layers[n] = fmt.Sprintf("layer-%d.tar", n)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	out := tar.NewWriter(&archive)
	for _, file := range []struct {
		name string
		text []byte
	}{{name, config.text}, {"manifest.json", text}} {
		err = errors.Join(err, out.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.text))}))
		_, writeErr := out.Write(file.text)
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	loaded, err := e.api.ImageLoad(ctx, &archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer loaded.Close()
	var said bytes.Buffer
	if _, err := said.ReadFrom(loaded); err != nil {
		return err
	}
	if _, err := e.api.ImageInspect(ctx, config.id()); err != nil {
		return fmt.Errorf("%w; the engine said: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}
