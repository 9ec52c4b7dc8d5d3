package buildkitd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"

	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// adminConfig is BuildKit's own file: its mirrors, registries and rules for the cache count
// here, too.
const adminConfig = "/etc/buildkit/buildkitd.toml"

// configure writes the daemon's configuration and returns its arguments.
func (p Place) configure(group, admin string) (args []string, err error) {
	config := map[string]any{}
	text, err := os.ReadFile(admin)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read BuildKit's configuration: %w", err)
	}
	if err := toml.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("read BuildKit's configuration %s: %w", admin, err)
	}
	for _, own := range []string{"root", "grpc", "debug", "insecure-entitlements", "otel"} { // ours, or another daemon's
		delete(config, own)
	}
	worker := table(config, "worker")
	worker["containerd"] = map[string]any{"enabled": false}
	oci := table(worker, "oci")
	oci["enabled"], oci["defaultCgroupParent"] = true, group
	if mode, _ := oci["networkMode"].(string); mode == "" || mode == "auto" {
		for key, value := range p.network() {
			oci[key] = value
		}
	}
	var written bytes.Buffer
	if err := toml.NewEncoder(&written).Encode(config); err != nil {
		return nil, fmt.Errorf("write BuildKit's configuration: %w", err)
	}
	file := filepath.Join(p.State, "buildkitd.toml")
	if err := atomicfile.WriteFile(file, written.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("write BuildKit's configuration: %w", err)
	}
	args = []string{"--config", file, "--root", filepath.Join(p.State, "root"), "--addr", p.address(), "--cdi-disabled",
		"--otel-socket-path", filepath.Join(p.Run, "otel")}
	if p.Owner != "" {
		args = append(args, "--group", p.Owner)
	}
	return args, nil
}

// table is a table in a table, made when it is missing.
func table(in map[string]any, name string) map[string]any {
	inner, ok := in[name].(map[string]any)
	if !ok {
		inner = map[string]any{}
		in[name] = inner
	}
	return inner
}

func (p Place) socket() string { return filepath.Join(p.Run, "sock") }

func (p Place) address() string { return "unix://" + p.socket() }
