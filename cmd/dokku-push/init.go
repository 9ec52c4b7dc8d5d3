package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/push/scaffold"
)

// firstFlags are what only init knows.
type firstFlags struct {
	ci    string
	force bool
}

func initFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.first.ci, "ci", "", "write a workflow for github, gitlab or none (else guessed)")
	flags.BoolVar(&c.first.force, "force", false, "replace files that are there")
}

// init writes the first dokku.hcl and CI workflow of a tree, and says what it guessed
// from which file, what became of each file, and what is left to do.
func (c *client) init(ctx context.Context) error {
	dir, err := c.tree()
	if err != nil {
		return err
	}
	draft, err := scaffold.Look(ctx, scaffold.Options{Dir: dir, App: c.options.App, Host: c.options.Host, CI: c.first.ci,
		Version: version, Force: c.first.force, Getenv: c.options.Getenv})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, guess := range draft.Guesses {
		fmt.Fprintf(table, "guessed\t%s\t%s\t(%s)\n", guess.What, guess.Value, guess.From)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := c.write(dir, draft.Files); err != nil {
		return err
	}
	for _, sentence := range draft.Missing {
		fmt.Fprintf(c.out, "to do: %s\n", sentence)
	}
	return c.verify(dir)
}

// write writes the files and says of each what became of it.
func (c *client) write(dir string, files []scaffold.File) error {
	for _, file := range files {
		outcome, err := file.Write(c.first.force)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, filepath.Join(file.Dir, file.Name))
		if err != nil {
			return fmt.Errorf("name %s: %w", file.Name, err)
		}
		why := ""
		if outcome == scaffold.Kept {
			why = ": it is there already; --force replaces it"
		}
		fmt.Fprintf(c.out, "%s %s%s\n", outcome, name, why)
	}
	return nil
}

// verify reads the tree as a push would: a Procfile or app.json with mistakes was there
// before, but whoever has just asked for a first deploy wants to know.
func (c *client) verify(dir string) error {
	c.options.Dir = dir
	apps, err := c.apps()
	if err != nil {
		return err
	}
	var found manifest.Diagnostics
	for _, app := range apps {
		if _, found = manifest.Load(os.DirFS(dir), manifest.Options{App: app, Getenv: c.options.Getenv}); found.Failed() {
			break
		}
	}
	if !found.Failed() {
		return nil
	}
	if err := report.DiagnosticsText(c.err, found, c.style(c.err)); err != nil {
		return err
	}
	return &exitError{code: api.Exit(&api.Error{Code: api.InvalidManifest})}
}
