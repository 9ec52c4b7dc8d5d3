package triggers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The plugins of the measured tree.
const installed, shipping = 60, 3

// crowded is a tree of many plugins of which a few ship the trigger.
func crowded(t testing.TB) *Walk {
	t.Helper()
	path := t.TempDir()
	for n := range installed {
		name := fmt.Sprintf("plugin-%02d", n)
		trigger := "other"
		if n%(installed/shipping) == 0 {
			trigger = "act"
		}
		dir := filepath.Join(path, "available", name)
		for _, folder := range []string{dir, filepath.Join(path, "enabled")} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		toml := fmt.Appendf(nil, "[plugin]\ndescription = \"one of many\"\nversion = \"1.0.%d\"\n[plugin.config]\nverbose = \"no\"\n", n)
		if err := os.WriteFile(filepath.Join(dir, "plugin.toml"), toml, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, trigger), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, filepath.Join(path, "enabled", name)); err != nil {
			t.Fatal(err)
		}
	}
	return &Walk{Path: path, Env: os.Environ()}
}

// cost is what a walk takes, and what its processes take where they are started without
// one: the middle of so many times each, measured in turn.
func cost(b testing.TB, walk *Walk, times int) (whole, processes time.Duration) {
	files := walk.Ships("act")
	if len(files) != shipping {
		b.Fatalf("%d plugins ship the trigger, want %d", len(files), shipping)
	}
	var walks, starts []time.Duration
	for range times {
		began := time.Now()
		if err := walk.Trigger(b.Context(), "act", []string{"app"}, Streams{}); err != nil {
			b.Fatal(err)
		}
		walks = append(walks, time.Since(began))
		began = time.Now()
		for _, name := range files {
			if err := exec.Command(filepath.Join(walk.Path, "enabled", name, "act"), "app").Run(); err != nil {
				b.Fatal(err)
			}
		}
		starts = append(starts, time.Since(began))
	}
	slices.Sort(walks)
	slices.Sort(starts)
	return walks[times/2], starts[times/2]
}

// mostOwn is what a walk may take beside its processes.
const mostOwn = 5 * time.Millisecond

// BenchmarkWalk measures a trigger that 3 of 60 plugins ship, and one that nobody ships.
func BenchmarkWalk(b *testing.B) {
	walk := crowded(b)
	b.Run("3 of 60", func(b *testing.B) {
		whole, processes := cost(b, walk, max(b.N, 21))
		own := whole - processes
		b.ReportMetric(float64(whole.Microseconds())/1000, "ms/walk")
		b.ReportMetric(float64(processes.Microseconds())/1000, "ms/processes")
		b.ReportMetric(float64(own.Microseconds())/1000, "ms/own")
		b.Logf("a trigger that %d of %d plugins ship: %s, of that %s their processes and %s the walk, which may take %s", shipping, installed, whole, processes, own, mostOwn)
	})
	b.Run("0 of 60", func(b *testing.B) {
		for b.Loop() {
			if err := walk.Trigger(b.Context(), "nobody", nil, Streams{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
