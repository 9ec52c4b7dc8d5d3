package shim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScratch: what Scratch lays out is what Write lays out, but for the times.
func TestScratch(t *testing.T) {
	same := func(dir string) map[string]string {
		all := map[string]string{}
		for name, text := range picture(t, dir) {
			parts := strings.SplitN(text, " ", 3)
			all[name] = parts[0] + " " + strings.ReplaceAll(parts[2], dir, "DIR")
			if !strings.HasPrefix(text, "L") {
				content, err := os.ReadFile(filepath.Join(dir, name))
				must(t, err)
				all[name] += strings.ReplaceAll(string(content), dir, "DIR")
			}
		}
		return all
	}
	written, scratched := t.TempDir(), t.TempDir()
	for _, dir := range []string{written, scratched} { // somebody's own, under a name of the core's
		must(t, os.MkdirAll(filepath.Join(dir, "plugins", "available", "cron"), 0o755))
		must(t, os.MkdirAll(filepath.Join(dir, "plugins", "enabled"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "plugins", "available", "cron", "cron-write"), []byte("theirs"), 0o755))
	}
	must(t, Write(written, "/usr/bin/agent"))
	must(t, Scratch(scratched, "/usr/bin/agent"))
	if diff := cmp.Diff(same(written), same(scratched)); diff != "" {
		t.Errorf("(-Write +Scratch):\n%s", diff)
	}
	for _, one := range [][2]string{{scratched, "agent"}, {"lib", "/agent"}, {scratched + "/$x", "/agent"}} {
		if err := Scratch(one[0], one[1]); err == nil {
			t.Errorf("laid out in %q with the program %q", one[0], one[1])
		}
	}
}
