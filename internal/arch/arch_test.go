// Package arch is the import table of the house (DESIGN 3) as a test. It parses the
// sources itself: a test that asks the go command passes from Go's cache after a
// forbidden import.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/dokku-push/dokku-push/"

// rule is what a package may import: of ours, and of other modules by prefix.
type rule struct {
	ours    []string // "agent/..." stands for all below it
	modules []string
}

const (
	ggcr      = "github.com/google/go-containerregistry/"
	engineAPI = "github.com/moby/moby/"
)

var adapters = []string{"agent/docker", "agent/nginx", "agent/nft", "agent/state", "agent/store", "agent/keys", "agent/checks", "agent/sshsig", "agent/oidc"}

// table is the whole house. A package that is not in it fails the test.
var table = map[string]rule{
	"api":              {},
	"manifest":         {modules: []string{"github.com/hashicorp/hcl/v2", "github.com/zclconf/go-cty", "github.com/tailscale/hujson", "github.com/BurntSushi/toml"}},
	"build":            {ours: []string{"manifest", "api"}, modules: []string{ggcr}},
	"build/dockerfile": {ours: []string{"build", "manifest", "api", "internal/..."}, modules: []string{ggcr, engineAPI, "github.com/moby/buildkit/", "github.com/tonistiigi/fsutil", "github.com/moby/patternmatcher", "github.com/docker/cli/cli/config", "github.com/opencontainers/", "github.com/containerd/", "golang.org/x/sync", "google.golang.org/grpc"}},
	"build/hooks":      {ours: []string{"build", "manifest", "triggers", "triggers/shim", "api", "internal/..."}, modules: []string{"github.com/moby/patternmatcher", "golang.org/x/sys"}},
	"build/image":      {ours: []string{"build", "manifest", "api"}, modules: []string{ggcr}},
	"build/pack":       {ours: []string{"build", "build/dockerfile", "manifest", "api", "internal/..."}, modules: []string{ggcr, engineAPI, "github.com/buildpacks/pack/pkg/", "github.com/BurntSushi/toml"}},
	"build/static":     {ours: []string{"build", "build/image", "manifest", "api", "internal/..."}, modules: []string{ggcr, "github.com/moby/patternmatcher"}},
	"remote":           {ours: []string{"api", "internal/redact", "internal/atomicfile"}, modules: []string{ggcr, "golang.org/x/crypto/", "golang.org/x/sync", "github.com/kevinburke/ssh_config", "github.com/hiddeco/sshsig"}},
	"push":             {ours: []string{"manifest", "build", "build/...", "remote", "triggers", "api", "internal/..."}},
	"push/report":      {ours: []string{"api", "manifest", "internal/..."}, modules: []string{"golang.org/x/text/width", "github.com/google/jsonschema-go"}},
	"push/ci":          {ours: []string{"api", "manifest", "remote", "internal/redact"}},
	"push/imports":     {ours: []string{"api", "manifest"}},
	"push/scaffold":    {ours: []string{"api", "manifest", "build", "internal/..."}, modules: []string{"github.com/BurntSushi/toml"}},
	"triggers":         {ours: []string{"internal/run"}, modules: []string{"github.com/BurntSushi/toml"}},
	"triggers/shim":    {ours: []string{"internal/atomicfile"}},

	"agent":           {ours: []string{"api", "manifest"}},
	"agent/sigil":     {},
	"agent/docker":    {ours: []string{"agent", "api", "internal/..."}, modules: []string{engineAPI, "github.com/containerd/errdefs", "github.com/opencontainers/"}},
	"agent/nginx":     {ours: []string{"agent", "agent/sigil", "api", "internal/..."}, modules: []string{"github.com/pmezard/go-difflib"}},
	"agent/nft":       {ours: []string{"agent", "api", "internal/..."}, modules: []string{"github.com/google/nftables", "github.com/vishvananda/", "github.com/mdlayher/", "golang.org/x/sys"}},
	"agent/sshsig":    {ours: []string{"agent", "api"}, modules: []string{"golang.org/x/crypto/", "github.com/hiddeco/sshsig"}},
	"agent/oidc":      {ours: []string{"agent", "agent/keys", "api", "internal/..."}, modules: []string{"golang.org/x/crypto/", "github.com/golang-jwt/jwt/v5"}},
	"agent/state":     {ours: []string{"agent", "api", "internal/..."}, modules: []string{"golang.org/x/sys"}},
	"agent/store":     {ours: []string{"agent", "agent/archive", "api", "internal/..."}, modules: []string{ggcr, "golang.org/x/sys"}},
	"agent/checks":    {ours: []string{"agent", "api", "manifest", "triggers", "internal/..."}},
	"agent/cron":      {ours: []string{"agent", "api", "manifest"}},
	"agent/keys":      {ours: []string{"agent", "api", "triggers", "internal/..."}, modules: []string{"golang.org/x/crypto/"}},
	"agent/archive":   {ours: []string{"api", "internal/outward"}},
	"agent/plugin":    {ours: []string{"agent", "agent/archive", "api", "triggers", "internal/..."}, modules: []string{"github.com/BurntSushi/toml"}},
	"agent/cgroup":    {modules: []string{"golang.org/x/sys"}},
	"agent/buildkitd": {ours: []string{"agent", "agent/cgroup", "api", "internal/..."}, modules: []string{"github.com/BurntSushi/toml"}},
	"agent/doctor":    {ours: []string{"agent", "agent/buildkitd", "agent/plugin", "api", "internal/..."}, modules: []string{"golang.org/x/crypto/"}},
	"agent/install":   {ours: append([]string{"agent", "api", "triggers", "internal/..."}, adapters...), modules: []string{"golang.org/x/crypto/"}},
	"agent/provision": {ours: []string{"agent", "agent/keys", "agent/plugin", "api", "internal/..."}, modules: []string{"golang.org/x/crypto/"}},
	"agent/receive":   {ours: []string{"agent", "api", "manifest", "triggers", "internal/..."}},
	"agent/command":   {ours: append([]string{"agent", "agent/archive", "agent/plugin", "agent/receive", "api", "manifest", "agent/cron", "triggers"}, adapters...)},
	"agent/core":      {ours: append([]string{"agent", "agent/command", "agent/receive", "api", "manifest", "triggers", "internal/..."}, adapters...)},
	"agent/entry":     {ours: []string{"agent", "agent/command", "agent/receive", "api", "triggers", "internal/..."}},
	"agent/serve":     {ours: append([]string{"agent", "agent/doctor", "agent/entry", "api", "manifest"}, adapters...), modules: []string{"golang.org/x/crypto/"}},

	"cmd/dokku-push":  {ours: []string{"push", "push/...", "remote", "build", "build/...", "manifest", "triggers", "api", "internal/..."}, modules: []string{"github.com/spf13/pflag", "golang.org/x/term", ggcr}},
	"cmd/dokku-agent": {ours: []string{"agent", "agent/...", "triggers", "triggers/...", "manifest", "api", "internal/..."}, modules: []string{"github.com/spf13/pflag", "golang.org/x/crypto/"}},

	"internal/run":        {modules: []string{"golang.org/x/sys", "golang.org/x/term"}},
	"internal/atomicfile": {modules: []string{"golang.org/x/sys"}},
	"internal/dirlock":    {},
	"internal/outward":    {},
	"internal/redact":     {},
}

// free are packages for tests only: they may import whatever they need.
var free = []string{"internal/contract", "internal/testkit", "internal/transfertest", "internal/e2e", "internal/arch", "bench"}

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (name == "testdata" || strings.HasPrefix(name, ".") || name == "bin") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		relative, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		room := filepath.ToSlash(relative)
		seen[room] = true
		if slices.Contains(free, room) {
			return nil
		}
		allowed, known := table[room]
		if !known {
			t.Errorf("%s is in no row of the table: which room is it?", room)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			target, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			if !allowed.allows(target) {
				t.Errorf("%s: %s may not import %s", path, room, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range table {
		if !seen[room] {
			t.Errorf("%s has a row in the table and no file", room)
		}
	}
}

func (r rule) allows(target string) bool {
	if ours, ok := strings.CutPrefix(target, module); ok {
		return slices.ContainsFunc(r.ours, func(one string) bool {
			below, all := strings.CutSuffix(one, "/...")
			return ours == one || all && strings.HasPrefix(ours, below+"/")
		})
	}
	first, _, _ := strings.Cut(target, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(r.modules, func(prefix string) bool { return strings.HasPrefix(target+"/", strings.TrimSuffix(prefix, "/")+"/") })
}

// TestRules makes sure that the rules can fail.
func TestRules(t *testing.T) {
	for _, test := range []struct {
		room, target string
		want         bool
	}{
		{"agent", module + "api", true},
		{"agent", module + "build", false},
		{"agent", "github.com/moby/moby/client", false},
		{"agent/docker", "github.com/moby/moby/client", true},
		{"push", module + "agent", false},
		{"push", module + "build/static", true},
		{"api", "net/http", true},
		{"api", "golang.org/x/crypto/ssh", false},
		{"build/static", module + "internal/run", true},
	} {
		if got := table[test.room].allows(test.target); got != test.want {
			t.Errorf("%s imports %s: allowed %t, want %t", test.room, test.target, got, test.want)
		}
	}
}
