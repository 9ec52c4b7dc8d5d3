package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/core"
	"github.com/dokku-push/dokku-push/agent/entry"
	"github.com/dokku-push/dokku-push/triggers/shim"
)

// shim answers what the functions ask that plugins source (triggers/shim).
func (p *program) shim(args []string) int {
	parts, err := connect(placesFromEnvironment())
	if err != nil {
		return p.fail(err)
	}
	defer parts.close()
	ctx := called(p.ctx)
	return parts.core.Function(ctx, args, os.Environ(), core.Streams{In: p.in, Out: p.out, Err: p.err})
}

// called marks ctx with what a trigger's environment says of whom it was started by.
func called(ctx context.Context) context.Context {
	return agent.Within(agent.Nested(ctx, os.Getenv(entry.RequestVariable)), os.Getenv(agent.ActsVariable))
}

// layOut writes the core as plugins find it on the disk: its folders, and the functions
// that ask program. What is as it should be is not touched.
func layOut(places agent.Places, program string) error {
	if err := shim.Write(places.Lib, program); err != nil {
		return fmt.Errorf("lay out the core's plugins: %w", err)
	}
	return nil
}

// binFolder is where an embedded host has the names that a real one has on its PATH.
func binFolder(places agent.Places) string { return filepath.Join(places.Data(), "bin") }

// linkNames gives program the names by which plugins call it.
func linkNames(folder, program string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	for _, name := range names() {
		link := filepath.Join(folder, name)
		if target, err := os.Readlink(link); err == nil && target == program {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if err := os.Symlink(program, link); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}
