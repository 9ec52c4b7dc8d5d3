package agent_test

import (
	"context"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestRevisionKey: the commit that runs is in the config under the key that the app names;
// under none where that is empty.
func TestRevisionKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		properties map[string]string
		want       map[string]string
	}{
		"nothing said": {nil, map[string]string{"GIT_REV": "abc"}},
		"another":      {map[string]string{agent.RevEnvVar: "SOURCE_VERSION"}, map[string]string{"SOURCE_VERSION": "abc"}},
		"none":         {map[string]string{agent.RevEnvVar: ""}, nil},
	} {
		w := created(t)
		w.set(t, app, test.properties)
		w.process(0).run(func(h *agent.Host) {
			change := deploy(w, 1)
			change.Document.Source.Revision = "abc"
			verdict, err := h.Apply(context.Background(), change)
			settings, readErr := h.Settings.Read(app)
			if err != nil || readErr != nil || !verdict.OK {
				t.Errorf("%s: %+v, %v, %v", name, verdict, err, readErr)
			}
			for _, key := range []string{"GIT_REV", "SOURCE_VERSION"} {
				if settings.Env[key] != test.want[key] {
					t.Errorf("%s: %s is %q, want %q", name, key, settings.Env[key], test.want[key])
				}
			}
		})
	}
}
