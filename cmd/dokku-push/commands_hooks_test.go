package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/api"
)

// TestFailedHooksAreShown: releases tells of each release's hooks that failed, status of the
// current one's; those that went well are in the JSON alone.
func TestFailedHooksAreShown(t *testing.T) {
	state := api.AppState{App: "shop", Exists: true, Current: 3, Releases: []api.Release{
		{Version: 1, Hooks: []api.HookResult{{Name: "release", DurationMS: 5}}},
		{Version: 2, Hooks: []api.HookResult{{Name: "release"}, {Name: "post-deploy", Error: "no"}, {Name: "postdeploy", Error: "it exited with code 3"}}},
		{Version: 3, HooksPending: true},
	}}
	var out bytes.Buffer
	if err := (&client{out: &out}).printReleases(state); err != nil {
		t.Fatal(err)
	}
	_, below, _ := strings.Cut(out.String(), "v3 *")
	_, below, _ = strings.Cut(below, "\n")
	want := "v2: hook post-deploy failed: no\nv2: hook postdeploy failed: it exited with code 3\nv3: what runs after the deploy has not ended, or was cut off\n"
	if diff := cmp.Diff(want, below); diff != "" {
		t.Errorf("releases (-want +got):\n%s", diff)
	}
	for current, want := range map[int]string{1: "", 2: "hooks:     hook post-deploy failed: no\nhooks:     hook postdeploy failed: it exited with code 3\n",
		3: "hooks:     what runs after the deploy has not ended, or was cut off\n"} {
		out.Reset()
		state.Current = current
		(&client{out: &out}).printStatus(state)
		if _, got, _ := strings.Cut(strings.TrimPrefix(out.String(), "app:       shop\n"), "\n"); got != want {
			t.Errorf("status of v%d: %q, want %q", current, got, want)
		}
	}
}
