package push

import (
	"testing"
	"testing/fstest"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestWhyOnHost: the builder image that the app's config names is not said to be dokku.hcl's.
func TestWhyOnHost(t *testing.T) {
	for name, test := range map[string]struct {
		onHost *api.HostBuild
		app    manifest.App
		want   string
	}{
		"the app's config":        {&api.HostBuild{}, manifest.App{}, "DOKKU_CNB_BUILDER names its builder image"},
		"dokku.hcl names another": {&api.HostBuild{}, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Builder: "of/hcl"}}}, build.SaidPack},
		"dokku.hcl's buildpacks":  {&api.HostBuild{}, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Buildpacks: []string{"a/b"}}}}, build.SaidPack},
		"where it is no host":     {nil, manifest.App{Build: manifest.Build{Pack: manifest.PackBuild{Builder: "of/config"}}}, build.SaidPack},
	} {
		o := Options{OnHost: test.onHost, Getenv: func(name string) (string, bool) { return "of/config", name == "DOKKU_CNB_BUILDER" }}
		o.onHost(&test.app)
		_, why, err := build.Choose(&test.app, fstest.MapFS{})
		if got := o.whyOnHost(&test.app, why); err != nil || got != test.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, test.want)
		}
	}
}
