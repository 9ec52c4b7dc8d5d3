package entry

import (
	"os"
	"path/filepath"
)

// modes are switched on for a whole host by trace:on and events:on: a file in .dokkurc
// each, of which only the presence counts.
func modes(root string) {
	for _, name := range []string{"DOKKU_TRACE", "DOKKU_EVENTS"} {
		if _, err := os.Stat(filepath.Join(root, ".dokkurc", name)); err == nil && os.Getenv(name) == "" {
			_ = os.Setenv(name, "1") // fails only for names that are not valid
		}
	}
}
