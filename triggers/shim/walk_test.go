package shim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/triggers"
)

// TestWalkOverTheCore: plugins stand between the core's folders, source its files, look for
// its triggers, and the core's Go handlers act at their places.
func TestWalkOverTheCore(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"letsencrypt", "redirect"} {
		dir := filepath.Join(w.dir, "plugins", "available", name)
		must(t, os.MkdirAll(dir, 0o755))
		script := "#!/usr/bin/env bash\nset -eo pipefail\nsource \"$PLUGIN_CORE_AVAILABLE_PATH/common/functions\"\n" +
			"verify_app_name \"$1\"\n[[ -x $PLUGIN_AVAILABLE_PATH/cron/cron-write ]]\ndokku_log_info1 \"" + name + " $1\"\n"
		must(t, os.WriteFile(filepath.Join(dir, "post-domains-update"), []byte(script), 0o755))
		must(t, os.Symlink(dir, filepath.Join(w.dir, "plugins", "enabled", name)))
	}
	said := func(_ context.Context, call triggers.Call) error {
		_, err := fmt.Fprintf(call.Out, "%s builds %s\n", call.Plugin, call.Args[0])
		return err
	}
	walk := &triggers.Walk{Path: filepath.Join(w.dir, "plugins"), Env: w.env(),
		Core: map[string]map[string]triggers.Handler{"nginx-vhosts": {"post-domains-update": said}}}
	var stdout, stderr bytes.Buffer
	streams := triggers.Streams{Out: &stdout, Err: &stderr}
	must(t, walk.Trigger(context.Background(), "post-domains-update", []string{"app", "add", "a.org"}, streams))
	if diff := cmp.Diff("-----> letsencrypt app\nnginx-vhosts builds app\n-----> redirect app\n", stdout.String()); diff != "" {
		t.Error(diff)
	}
	must(t, walk.Trigger(context.Background(), "cron-write", nil, streams))
	asked, err := os.ReadFile(w.asked)
	must(t, err)
	if diff := cmp.Diff("<shim><verify_app_name><app>\n<shim><verify_app_name><app>\n<shim><cron-write>\n", string(asked)); diff != "" {
		t.Error(diff)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", stderr.String())
	}
	for _, one := range plugins() {
		if got, _ := walk.Subcommand(one.name + ":show"); got != "" && got != "config" {
			t.Errorf("%s answers a command by a file", one.name)
		}
	}
}
