package triggers

import "context"

// Candidate runs one plugin's own file for a trigger where it is installed, enabled or
// not: what a plugin needs before it may be enabled. No other plugin is asked, and none
// that ships no such file is a failure; one that fails is a *Failure.
func (w *Walk) Candidate(ctx context.Context, plugin, trigger string, args []string, streams Streams) error {
	installed := *w
	installed.folder = "available"
	if installed.look(plugin, trigger) != executable {
		return nil
	}
	return installed.Execute(ctx, plugin, installed.file(plugin, trigger), args, streams)
}

// Config returns the CONFIG_ variables, KEY=VALUE, that an installed plugin's hooks get.
func (w *Walk) Config(plugin string) []string {
	installed := *w
	installed.folder = "available"
	return installed.config(plugin, installed.userValues())
}
