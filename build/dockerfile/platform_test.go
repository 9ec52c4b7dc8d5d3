package dockerfile

import (
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/api"
)

// TestPlatforms: what the host cannot run, and what the builder cannot, is refused by the
// Dockerfile's text; what another platform's compiler makes here is not.
func TestPlatforms(t *testing.T) {
	b := newBench(t, nil)
	for _, tt := range []struct{ name, text, target, arch, want string }{
		{"nothing said", "FROM x\nRUN a\n", "", "amd64", ""},
		{"the host's own", "FROM --platform=linux/amd64 x\nRUN a\n", "", "amd64", ""},
		{"another in the last stage", "FROM x AS y\n\nFROM --platform=linux/arm64 y\n", "", "amd64", "Dockerfile:3 builds for linux/arm64, the host runs linux/amd64"},
		{"inherited", "FROM --platform=arm64 x AS y\nFROM y\n", "", "amd64", "builds for linux/arm64"},
		{"another stage", "FROM --platform=linux/arm64 x AS y\nFROM x\n", "", "amd64", ""},
		{"the target", "FROM --platform=linux/arm64 x AS y\nFROM x\n", "y", "amd64", "Dockerfile:1 builds for linux/arm64"},
		{"a host of another kind", "FROM x\nWORKDIR /a\nRUN make \\\n all\n", "", "arm64", "Dockerfile:3 runs a program of linux/arm64, and this builder runs linux/amd64"},
		{"nothing is run", "FROM x\nCOPY a /a\n", "", "arm64", ""},
		{"compiled here", "FROM --platform=$BUILDPLATFORM x AS y\nRUN make\nFROM x\nCOPY --from=y /a /a\n", "", "arm64", ""},
		{"compiled there", "FROM x AS y\nRUN make\nFROM x\nCOPY --from=y /a /a\n", "", "arm64", "Dockerfile:2 runs a program"},
		{"by number", "FROM x\nRUN make\nFROM x\nCOPY --from=0 /a /a\n", "", "arm64", "Dockerfile:2 runs a program"},
		{"never needed", "FROM x AS y\nRUN make\nFROM x\nCOPY a /a\n", "", "arm64", ""},
		{"the builder's own as the image", "FROM --platform=${BUILDPLATFORM} x\n", "", "arm64", "builds for linux/amd64, the host runs linux/arm64"},
		{"a variable", "ARG P=linux/s390x\nFROM --platform=$P x\nRUN a\n", "", "amd64", ""},
		{"no Dockerfile", "RUNN a\n", "", "arm64", ""},
		{"no such stage", "FROM x\nRUN a\n", "z", "arm64", ""},
		{"another name of it", "FROM --platform=linux/x86_64 x\nRUN a\n", "", "amd64", ""},
	} {
		b.write("Dockerfile", tt.text)
		b.request.Arch = tt.arch
		j, err := Builder{}.prepare(b.request)
		if err != nil {
			t.Fatal(err)
		}
		p := platforms{want: "linux/" + tt.arch, runs: []string{"linux/amd64", "linux/386", "linux/amd64"}, stages: j.stages(), file: "Dockerfile"}
		if len(p.stages) > 0 {
			err = p.check(tt.target)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestPlatformBeforeBuild: the real builder is asked what it runs, and no step is started.
func TestPlatformBeforeBuild(t *testing.T) {
	b := newBench(t, map[string]string{"Dockerfile": "FROM " + base + "\nRUN echo never\n"})
	b.request.Arch = "s390x"
	_, err := b.try()
	e := api.AsError(err)
	if e == nil || e.Code != api.BuildFailed || !strings.Contains(e.Message, "Dockerfile:2 runs a program of linux/s390x") || !strings.Contains(e.Hint, "BUILDKIT_HOST") || len(b.lines) > 0 {
		t.Errorf("%v\n%s", err, strings.Join(b.lines, "\n"))
	}
}
