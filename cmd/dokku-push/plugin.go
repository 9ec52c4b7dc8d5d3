package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/scaffold"
)

func forceFlag(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.first.force, "force", false, "replace files that are there")
}

// plugin writes the skeleton of a plugin: plugin new NAME [DIR].
func (c *client) plugin() error {
	if len(c.args) < 2 || c.args[0] != "new" {
		return api.Errorf(api.Usage, "", "plugin takes the word new and a name, not %q", c.args).WithHint("dokku-push plugin new clock")
	}
	name, dir := c.args[1], "dokku-"+c.args[1]
	if len(c.args) > 2 {
		dir = c.args[2]
	}
	here, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	files, err := scaffold.Plugin(here, name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(here, 0o755); err != nil {
		return api.Errorf(api.Usage, "make the folder", "%w", err)
	}
	if err := c.write(filepath.Dir(here), files); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "test it: %s\n", filepath.Join(dir, "tests", "run"))
	return err
}
