package dockerfile

import (
	"context"
	"encoding/csv"
	"strings"

	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
)

// readCache reads build { cache { from to } }; where it says nothing, GitHub's cache is
// used if there is one.
func (j *job) readCache() error {
	said := j.request.App.Build.Cache
	for _, text := range said.From {
		entry, err := j.cacheEntry("from", text)
		if err != nil {
			return err
		}
		j.imports = append(j.imports, entry)
	}
	if said.To != "" {
		entry, err := j.cacheEntry("to", said.To)
		if err != nil {
			return err
		}
		if _, says := entry.Attrs["mode"]; !says && entry.Type != "inline" {
			entry.Attrs["mode"] = "max" // the steps of all stages, not of the last one alone
		}
		j.exports = []buildkit.CacheOptionsEntry{entry}
	}
	j.useGitHub()
	return nil
}

// cacheEntry reads an image, which stands for type=registry,ref=IMAGE, or attributes in
// BuildKit's own words: type=registry,ref=IMAGE,mode=max.
func (j *job) cacheEntry(key, text string) (buildkit.CacheOptionsEntry, error) {
	if !strings.Contains(text, "type=") {
		return buildkit.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": text}}, nil
	}
	entry := buildkit.CacheOptionsEntry{Attrs: map[string]string{}}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	for _, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case !ok:
			return entry, badCache(key, text)
		case name == "type":
			entry.Type = value
		default:
			entry.Attrs[name] = value
		}
	}
	if err != nil || entry.Type == "" || entry.Type == "registry" && entry.Attrs["ref"] == "" {
		return entry, badCache(key, text)
	}
	return entry, j.addGitHub(entry)
}

func badCache(key, text string) error {
	return api.Errorf(api.InvalidManifest, "read build { cache { "+key+" } }", "%q is no build cache", text).
		WithHint("write an image, or type=registry,ref=IMAGE")
}

// checkExport refuses a cache that the engine's own BuildKit cannot write. It would say
// so only after the build. One that nobody asked for is left out.
func (e *engine) checkExport(ctx context.Context, j *job) error {
	for _, export := range j.exports {
		if export.Type == "inline" {
			continue
		}
		able, err := e.exports(ctx)
		if err != nil || able {
			return err
		}
		if j.unasked {
			j.imports, j.exports = nil, nil
			j.request.Output("GitHub's cache is left alone: the BuildKit inside this Docker engine cannot write it; set BUILDKIT_HOST to one that can")
			return nil
		}
		return api.Errorf(api.Configuration, "read build { cache { to } }", "the BuildKit inside this Docker engine cannot write a cache of the type %s", export.Type).
			WithHint("set BUILDKIT_HOST to a BuildKit daemon that can, write to = \"type=inline\", or move cache { to } into the environment block of your CI")
	}
	return nil
}

// exports tells whether the engine's BuildKit can write a cache apart from the image: with
// the image store of containerd it can.
func (e *engine) exports(ctx context.Context) (bool, error) {
	info, err := e.docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return false, e.explain(ctx, "ask the engine what it is", err)
	}
	for _, status := range info.Info.DriverStatus {
		if status[0] == "driver-type" && strings.Contains(status[1], "containerd.snapshotter") {
			return true, nil
		}
	}
	return false, nil
}
