package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStarts(t *testing.T) {
	plain := Image{Entrypoint: []string{"/entry"}}
	buildpacks := Image{Entrypoint: []string{"/cnb/process/web"}, Labels: map[string]string{
		labelBuildpacks: `{"processes": [{"type": "web", "command": ["serve"]}, {"type": "release", "command": ["migrate"]}]}`}}
	older := Image{Labels: map[string]string{labelBuildpacks: `{"processes": null}`}}
	shell := func(line string) []string { return []string{"/bin/sh", "-ec", line} }
	for name, test := range map[string]struct {
		got, want start
	}{
		"a line":                   {startOf(plain, "web", "serve it"), start{nil, []string{"serve", "it"}}},
		"nothing":                  {startOf(plain, "web", ""), start{}},
		"the image's own":          {startOf(buildpacks, "web", "serve it"), start{[]string{"/cnb/process/web"}, nil}},
		"without a Procfile":       {startOf(buildpacks, "web", ""), start{[]string{"/cnb/process/web"}, nil}},
		"no process of the image":  {startOf(buildpacks, "mail", "send it"), start{[]string{launcher}, []string{"--", "send", "it"}}},
		"no processes at all":      {startOf(older, "web", "serve it"), start{[]string{launcher}, []string{"--", "serve", "it"}}},
		"the image's default":      {startOf(older, "web", ""), start{}},
		"once":                     {commandIn(buildpacks, []string{"env", "-0"}), start{[]string{launcher}, []string{"--", "env", "-0"}}},
		"once, elsewhere":          {commandIn(plain, []string{"env"}), start{nil, []string{"env"}}},
		"a script":                 {scriptIn(plain, "a"), start{[]string{"/bin/sh"}, shell("a")[1:]}},
		"a script by the launcher": {scriptIn(buildpacks, "a"), start{[]string{launcher}, append([]string{"--"}, shell("a")...)}},
		"the image's release":      {releaseIn(buildpacks, "a"), start{[]string{"/cnb/process/release"}, nil}},
		"a release task":           {releaseIn(older, "a"), start{[]string{launcher}, append([]string{"--"}, shell("a")...)}},
		"a release task elsewhere": {releaseIn(plain, "a"), start{[]string{"/bin/sh"}, shell("a")[1:]}},
	} {
		if diff := cmp.Diff(test.want, test.got, cmp.AllowUnexported(start{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
