package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestStatusNamesTheHolder: who has to wait is told for whom, and where to look.
func TestStatusNamesTheHolder(t *testing.T) {
	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for name, test := range map[string]struct {
		lock api.Lock
		want string
	}{
		"a deploy of CI's": {api.Lock{Key: "ci", PID: 12, Request: "abc", RunURL: "https://ci.example.com/runs/7", Since: since},
			`request abc by key "ci" (pid 12) since 2026-03-04T05:06:07Z, https://ci.example.com/runs/7`},
		"a deploy":          {api.Lock{Key: "alice", PID: 12, Request: "abc", Since: since}, `request abc by key "alice" (pid 12) since 2026-03-04T05:06:07Z`},
		"another command's": {api.Lock{Key: "alice", PID: 12, Since: since}, `key "alice" (pid 12) since 2026-03-04T05:06:07Z`},
	} {
		var out bytes.Buffer
		(&client{out: &out}).printStatus(api.AppState{App: "shop", Exists: true, Current: 3, Lock: &test.lock})
		if diff := cmp.Diff("app:       shop\nrelease:   v3\nlock:      held by "+test.want+"\n", out.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
