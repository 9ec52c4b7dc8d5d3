package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnseenIn(t *testing.T) {
	r := Request{Dir: "/project", Unseen: []string{"plan.json", "apps/web/plan.json", "apps"}}
	for folder, want := range map[string][]string{
		"/project":          {"plan.json", "apps/web/plan.json", "apps"},
		"/project/apps":     {"web/plan.json"},
		"/project/apps/web": {"plan.json"},
		"/elsewhere":        nil,
	} {
		if diff := cmp.Diff(want, r.UnseenIn(folder)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
}
