package buildkitd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// TestPrograms: where there is no daemon, and who may have put it there.
func TestPrograms(t *testing.T) {
	dir := t.TempDir()
	place := Place{Folder: []string{filepath.Join(dir, "none"), dir}}
	put := func(name string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
		must(t, os.Chmod(path, mode))
	}
	ready := func(want string) {
		t.Helper()
		if err := place.Ready(); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ready("no program buildkitd")
	put("buildkitd", 0o777)
	ready("no program buildkitd") // anybody could have written it
	put("buildkitd", 0o755)
	ready("no program runc")
	put("runc", 0o755)
	ready("")
	if path, err := place.runtime(); err != nil || path != filepath.Join(dir, "runc") {
		t.Error(path, err)
	}
	put("buildkit-runc", 0o755)
	if path, err := place.runtime(); err != nil || path != filepath.Join(dir, "buildkit-runc") {
		t.Error(path, err)
	}
	put("buildkit-cni-bridge", 0o755)
	if !place.Isolated() {
		t.Error("BuildKit's own network plugins are not seen")
	}
}

// TestPlaceOf: a real host's places are root's, and no variable of the caller moves them.
func TestPlaceOf(t *testing.T) {
	t.Setenv("PATH", "/tmp/mine")
	real := PlaceOf(agent.Places{Root: "/elsewhere", Lib: "/elsewhere"}, agent.HostConfig{})
	if text := strings.Join(append(real.Folder, real.State, real.Run), " "); strings.Contains(text, "mine") || strings.Contains(text, "elsewhere") {
		t.Errorf("%+v", real)
	}
	one, other := PlaceOf(agent.Places{Lib: "/a"}, agent.HostConfig{Embedded: true}), PlaceOf(agent.Places{Lib: "/b"}, agent.HostConfig{Embedded: true})
	if one.Group == other.Group || one.Run == other.Run || !cmp.Equal(one.Folder, []string{"/tmp/mine"}) || len(one.socket()) > 100 {
		t.Errorf("two embedded hosts: %+v %+v", one, other)
	}
}

// TestConfigure: the admin's mirrors count, what belongs to another daemon does not.
func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	admin := filepath.Join(dir, "admin.toml")
	must(t, os.WriteFile(admin, []byte(`root = "/elsewhere"
insecure-entitlements = ["security.insecure"]
[grpc]
address = ["tcp://0.0.0.0:1234"]
[registry."docker.io"]
mirrors = ["mirror.example.com"]
[worker.oci]
max-parallelism = 2
networkMode = "cni"
[worker.containerd]
enabled = true
`), 0o644))
	place := Place{State: dir, Run: "/run/x", Owner: "dokku"}
	args, err := place.configure("/dokku-push-x", admin)
	must(t, err)
	want := []string{"--config", filepath.Join(dir, "buildkitd.toml"), "--root", filepath.Join(dir, "root"), "--addr", "unix:///run/x/sock", "--cdi-disabled", "--otel-socket-path", "/run/x/otel", "--group", "dokku"}
	if diff := cmp.Diff(want, args); diff != "" {
		t.Error(diff)
	}
	var got map[string]any
	_, err = toml.DecodeFile(args[1], &got)
	must(t, err)
	config := map[string]any{
		"registry": map[string]any{"docker.io": map[string]any{"mirrors": []any{"mirror.example.com"}}},
		"worker": map[string]any{
			"oci":        map[string]any{"enabled": true, "defaultCgroupParent": "/dokku-push-x", "max-parallelism": int64(2), "networkMode": "cni"},
			"containerd": map[string]any{"enabled": false},
		},
	}
	if diff := cmp.Diff(config, got); diff != "" {
		t.Error(diff)
	}
	if _, err := place.configure("/x", filepath.Join(dir, "none.toml")); err != nil {
		t.Errorf("without a file of the admin's: %v", err)
	}
	must(t, os.WriteFile(admin, []byte("root = "), 0o644))
	if _, err := place.configure("/x", admin); err == nil || !strings.Contains(err.Error(), admin) {
		t.Errorf("a broken file: %v", err)
	}
}

// TestRequest: what root is asked for by somebody else is looked at.
func TestRequest(t *testing.T) {
	for text, fine := range map[string]bool{
		`{"limits": {"memory": 134217728, "shares": 256}}` + "\n": true,
		`{"sweep": true}`: true,
		`{"limits": {"memory": 134217728}}` + "\nrest": true,
		``:                          false,
		`{}`:                        false, // no limit at all
		`{"limits": {"memory": 1}}`: false,
		`{"limits": {"memory": 134217728, "shares": 1}}`: false,
		`{"limits": {"memory": 134217728, "cpus": -1}}`:  false,
		`{"limits": {"memory": 134217728}, "root": "/"}`: false,
		strings.Repeat(" ", 1<<20) + `{"sweep": true}`:   false,
	} {
		_, err := readRequest(bytes.NewBufferString(text))
		if fine != (err == nil) || err != nil && api.AsError(err).Code != api.Refused {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
