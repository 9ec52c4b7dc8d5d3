package core

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/triggers"
)

// TestCronWrite: cron-write asks every plugin for its cron-entries and writes them between
// the agent's marks; what others have there stays, and a plugin that answers nonsense or
// fails leaves the crontab alone.
func TestCronWrite(t *testing.T) {
	c := newCore(t)
	dir := t.TempDir()
	tab := filepath.Join(dir, "tab")
	script := func(path, text string) {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	script(filepath.Join(dir, "crontab"), `case "$1" in -l) cat `+tab+` ;; -) cat >`+tab+` ;; *) exit 2 ;; esac`)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	plugin := func(name, answer string) {
		script(filepath.Join(c.Host.Places.Plugins(), "enabled", name, "cron-entries"), answer)
	}
	write := func() (said string, err error) {
		var problem bytes.Buffer
		walk := &triggers.Walk{Path: c.Host.Places.Plugins(), Env: os.Environ(), Core: c.AskedByPlugins()}
		c.Host.Walk = asked{walk}
		err = walk.Trigger(context.Background(), "cron-write", nil, triggers.Streams{Err: &problem})
		return problem.String(), err
	}
	now := func() string {
		text, err := os.ReadFile(tab)
		must(t, err)
		return string(text)
	}
	must(t, os.WriteFile(tab, []byte("# mine\n0 0 * * * true\n"), 0o600))
	plugin("clock", `[ "$1" = docker-local ] && echo "0 * * * *;dokku clock:strike;/var/log/dokku/clock.log"`)
	plugin("store", `echo "5 3 * * *;dokku store:backup tower"`)
	if said, err := write(); err != nil || said != "" {
		t.Fatalf("%v %s", err, said)
	}
	first := now()
	for _, want := range []string{"# mine\n0 0 * * * true\n", "0 * * * * dokku clock:strike >> /var/log/dokku/clock.log 2>&1\n", "5 3 * * * dokku store:backup tower\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("the crontab has not %q:\n%s", want, first)
		}
	}
	for _, answer := range []string{"echo nonsense", "exit 3"} {
		plugin("store", answer)
		if _, err := write(); err == nil || now() != first {
			t.Errorf("%s: %v, the crontab is\n%s", answer, err, now())
		}
	}
	plugin("store", ":")
	plugin("clock", ":")
	if said, err := write(); err != nil || now() != "# mine\n0 0 * * * true\n" {
		t.Errorf("without entries: %v %s\n%s", err, said, now())
	}
}
