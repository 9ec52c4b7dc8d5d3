package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/doctor"
	"github.com/dokku-push/dokku-push/agent/receive"
	"github.com/dokku-push/dokku-push/agent/store"
	"github.com/dokku-push/dokku-push/api"
)

// building is a builder whose dokku-push is a script.
func building(t *testing.T, script string, available uint64) *builder {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "dokku-push"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	places := agent.Places{Root: filepath.Join(dir, "root"), Lib: filepath.Join(dir, "lib")}
	return &builder{host: &agent.Host{Places: places}, store: &store.Store{Dir: places.Blobs()},
		memory: func() (doctor.Memory, error) { return doctor.Memory{Total: 1 << 40, Available: available}, nil }}
}

// TestBuilder: what is asked of dokku-push, and what its answers mean.
func TestBuilder(t *testing.T) {
	const plenty = 4 << 30
	for _, test := range []struct {
		name, script string
		available    uint64
		code         api.Code
		says         []string // of the error with its hint
	}{
		{"no program", "", plenty, api.Precondition, []string{"no program dokku-push", "/usr/local/bin/dokku-push"}},
		{"too small", "echo built >&2; exit 0", 100 << 20, api.Precondition, []string{"too small", "100 MiB", "dokku-push` on a laptop or in CI"}},
		{"it fails", "echo 'no such base' >&2; exit 20", plenty, api.BuildFailed, []string{"exited with code 20"}},
		{"it is killed", "kill -9 $$", plenty, api.BuildFailed, []string{"out of memory", "laptop"}},
		{"no document", "echo hello", plenty, api.WrongProtocol, []string{"different versions"}},
		{"a newer one's", `echo '{"image": {}, "unheard": 1}'`, plenty, api.WrongProtocol, []string{"unheard"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := building(t, test.script, test.available).Build(context.Background(), receive.Source{App: "shop", Dir: t.TempDir()}, &out)
			problem := api.AsError(err)
			if err == nil || problem.Code != test.code {
				t.Fatalf("%v", err)
			}
			for _, want := range test.says {
				if !strings.Contains(problem.Error()+problem.Hint, want) {
					t.Errorf("%s / %s does not say %q", problem, problem.Hint, want)
				}
			}
		})
	}
	t.Run("it builds", func(t *testing.T) {
		dir, asked := t.TempDir(), filepath.Join(t.TempDir(), "asked")
		t.Setenv("CI_COMMIT", "of the agent's own")
		b := building(t, `cat >`+asked+`; env >`+asked+`.env; echo "$*" >`+asked+`.args; echo story >&2; echo '{"image": {"id": "sha256:1", "manifest": "sha256:2"}, "builder": "static", "source": {}}'`, plenty)
		var out bytes.Buffer
		document, err := b.Build(context.Background(), receive.Source{App: "shop", Dir: dir, Config: map[string]string{"TOKEN": "not in argv"}}, &out)
		if err != nil || document.Image.Manifest != "sha256:2" || out.String() != "story\n" {
			t.Fatalf("%+v %v %q", document, err, out.String())
		}
		read := func(file string) string {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		if args := read(asked + ".args"); args != "build --on-host --log-format plain --app shop "+dir+"\n" {
			t.Errorf("it was called with %q", args)
		}
		if text := read(asked); !strings.Contains(text, `"TOKEN":"not in argv"`) || !strings.Contains(text, `"memory":4160749568`) {
			t.Errorf("it was asked for %s", text)
		}
		env := strings.Split(read(asked+".env"), "\n")
		if !slices.Contains(env, "XDG_CACHE_HOME="+filepath.Join(b.host.Places.Data(), "cache")) || slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, "CI_") }) {
			t.Errorf("its environment is %q", env)
		}
	})
	t.Run("dokku.hcl's limits count at the first push", func(t *testing.T) {
		dir, asked := t.TempDir(), filepath.Join(t.TempDir(), "asked")
		for name, text := range map[string]string{"index.html": "hello", "dokku.hcl": `docker_options { build = ["--memory ${env("MOST")}", "--build-arg A=1"] }`} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b := building(t, `cat >`+asked+`; echo '{"image": {"id": "sha256:1", "manifest": "sha256:2"}, "builder": "static", "source": {}}'`, plenty)
		source := receive.Source{App: "shop", Dir: dir, Config: map[string]string{"MOST": "512m"}, Options: []string{"--memory 1g", "--build-arg A=1", "--no-cache"}}
		if _, err := b.Build(context.Background(), source, io.Discard); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(asked)
		if err != nil || !strings.Contains(string(text), `"memory":536870912`) || !strings.Contains(string(text), `"options":["--build-arg A=1","--no-cache"]`) {
			t.Errorf("it was asked for %s, %v", text, err)
		}
	})
}
