package main

import (
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestHostSaid: what the host's commands end with is what they mean by it, and not what this
// program means by the number.
func TestHostSaid(t *testing.T) {
	for exit, want := range map[int]int{20: 22, 1: 22, 22: 22, 64: 64, 75: 75, 77: 77, 3: 22} { // 20: Dokku has no such app
		if err := hostSaid(exit, " !     App x does not exist\n !     apps:list shows the apps\n"); api.Exit(err) != want || api.AsError(err).Message != "App x does not exist" || api.AsError(err).Hint != "apps:list shows the apps" {
			t.Errorf("%d of the host is exit %d: %v", exit, api.Exit(err), err)
		}
	}
}

// TestReviewFormat: a format that is none is wrong usage, which no host needs to say.
func TestReviewFormat(t *testing.T) {
	forget(t)
	if got := at(t, t.TempDir(), "review", "list", "--app", "shop", "--host", "dokku@127.0.0.1:1", "--format", "yaml"); got.exit != 64 {
		t.Errorf("%+v", got)
	}
}
