package api

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// HostBuild is what a host's agent asks `dokku-push build --on-host` for, on its standard
// input: the build of a tree that was pushed there by git. The answer, on its standard
// output, is the ReleaseDocument of what it has built and handed to the agent.
type HostBuild struct {
	// Agent is the unix socket at which the agent takes the image's layers.
	Agent  string `json:"agent"`
	Source Source `json:"source"`
	// Config is the app's config on the host: buildpacks see it, and secrets that dokku.hcl
	// names have their values there.
	Config map[string]string `json:"config,omitempty"`
	// Options are docker's for the build, a line each.
	Options []string `json:"options,omitempty"`
	// Plugins is the host's tree of plugins.
	Plugins string `json:"plugins,omitempty"`
	// Builder is the one that the host has been told to use for the app; empty: the tree says.
	Builder string `json:"builder,omitempty"`
	// Memory is how many bytes each container of a build may use, Shares how much of a busy
	// processor, beside 1024 for any other container, and CPUs how many billionths of a
	// processor at most; 0: no limit.
	Memory int64 `json:"memory,omitempty"`
	Shares int64 `json:"shares,omitempty"`
	CPUs   int64 `json:"cpus,omitempty"`
	// Missing are blobs that the host turned out to lack of the image: they are sent again.
	Missing []string `json:"missing,omitempty"`
}

// BuiltImage is the name under which a build leaves an app's image in the engine, for the next
// one. On a host that builds it goes with the app.
func BuiltImage(app string) string { return "dokku-push/" + app + ":latest" }

// BuildCache is the name of the volume in which a build of an app keeps what its next one may
// use. folder tells one copy of its tree from another, kind what is kept. On a host that
// builds it goes with the app.
func BuildCache(app, folder, kind string) string {
	sum := sha256.Sum256([]byte(folder))
	return BuildCaches(app) + hex.EncodeToString(sum[:buildCacheHash]) + "." + kind
}

// BuildCaches is how the names of an app's volumes begin (BuildCache), and perhaps those of
// another's whose name begins with its own.
func BuildCaches(app string) string { return "dokku-push-" + app + "-" }

// IsBuildCache tells an app's volume by its name.
func IsBuildCache(app, volume string) bool {
	rest, ok := strings.CutPrefix(volume, BuildCaches(app))
	sum, kind, dot := strings.Cut(rest, ".")
	bytes, err := hex.DecodeString(sum)
	return ok && dot && kind != "" && err == nil && len(bytes) == buildCacheHash
}

const buildCacheHash = 6 // bytes

// BuildKitPath is where the agent's socket, asked with POST, answers with a HostBuildKit:
// the daemon is started for the build that asks, and ends with it.
const BuildKitPath = "/v1/buildkit"

// HostBuildKit is the BuildKit that a build on a host is to use.
type HostBuildKit struct {
	Address string `json:"address,omitempty"` // as BUILDKIT_HOST has it; empty: the engine's own
	Note    string `json:"note,omitempty"`    // for people: why it has no limits
}
