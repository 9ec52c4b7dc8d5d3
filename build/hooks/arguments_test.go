package hooks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// TestArguments: what docker's arguments become, by builder. Each case is the whole of what
// differs from an empty request.
func TestArguments(t *testing.T) {
	t.Setenv("FROM_ENV", "value")
	app := func(change func(*manifest.App)) *manifest.App {
		one := &manifest.App{}
		change(one)
		return one
	}
	for text, test := range map[string]struct {
		builders string
		want     build.Request
		notes    int
	}{
		" --build-arg A=1 --build-arg=B='x y' --build-arg FROM_ENV": {"dockerfile pack", build.Request{App: app(func(a *manifest.App) {
			a.Build.Args = map[string]string{"A": "1", "B": "x y", "FROM_ENV": "value"}
		})}, 0},
		"--label a=b --label=c": {"dockerfile pack static", build.Request{App: &manifest.App{}, Labels: map[string]string{"a": "b", "c": ""}}, 0},
		"--env A=1 -e B=2":      {"pack", build.Request{App: app(func(a *manifest.App) { a.Build.Pack.Env = map[string]string{"A": "1", "B": "2"} })}, 0},
		"--target final -f build/Dockerfile": {"dockerfile", build.Request{App: app(func(a *manifest.App) {
			a.Build.Dockerfile = manifest.DockerfileBuild{Path: "build/Dockerfile", Target: "final"}
		})}, 0},
		"--secret id=TOKEN --secret type=env,id=KEY,env=KEY": {"dockerfile pack", build.Request{App: app(func(a *manifest.App) { a.Build.Secrets = []string{"TOKEN", "KEY"} })}, 0},
		"--cache-from a --cache-from type=registry,ref=b --cache-to type=inline": {"dockerfile", build.Request{App: app(func(a *manifest.App) {
			a.Build.Cache = manifest.BuildCache{From: []string{"a", "type=registry,ref=b"}, To: "type=inline"}
		})}, 0},
		"--platform linux/amd64": {"dockerfile pack static", build.Request{App: &manifest.App{}}, 0},
		"--no-cache --pull --add-host db:10.0.0.1 --add-host=x=::1 --network none --shm-size 64m --ulimit nofile=1:2": {"dockerfile", build.Request{App: &manifest.App{},
			Frontend: map[string]string{"no-cache": "", "image-resolve-mode": "pull", "add-hosts": "db=10.0.0.1,x=::1", "force-network-mode": "none", "shm-size": "67108864", "ulimit": "nofile=1:2"}}, 0},
		"--no-cache=false --network default":            {"dockerfile", build.Request{App: &manifest.App{}}, 0},
		"--link db:db -v /a:/b --memory=1g --rm --init": {"dockerfile pack static", build.Request{App: &manifest.App{}}, 5},
		"--env A=1":                          {"dockerfile static", build.Request{App: &manifest.App{}}, 1},
		"--build-arg CACHEBUST=1 --no-cache": {"static", build.Request{App: &manifest.App{}}, 2},
		"":                                   {"dockerfile pack static", build.Request{App: &manifest.App{}}, 0},
	} {
		for builder := range strings.FieldsSeq(test.builders) {
			notes := 0
			args, err := words(text)
			must(t, err)
			request := build.Request{App: &manifest.App{}, OS: "linux", Arch: "amd64"}
			former := request.App
			if err := apply(args, builder, &request, func(string) { notes++ }); err != nil || notes != test.notes {
				t.Errorf("%s, %s: %v, %d notes", builder, text, err, notes)
				continue
			}
			if diff := cmp.Diff(manifest.Build{}, former.Build); diff != "" {
				t.Errorf("%s, %s: the manifest itself was changed:\n%s", builder, text, diff)
			}
			for name, pair := range map[string][2]any{"build": {test.want.App.Build, request.App.Build}, "labels": {test.want.Labels, request.Labels}, "frontend": {test.want.Frontend, request.Frontend}} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s, %s: %s (-want +got):\n%s", builder, text, name, diff)
				}
			}
		}
	}
}

// TestArgumentsRefused: what a builder cannot take is refused by its name.
func TestArgumentsRefused(t *testing.T) {
	for text, test := range map[string]struct{ builders, says string }{
		"--tag x":                        {"dockerfile pack static", `cannot take "--tag"`},
		"--allow security.insecure":      {"dockerfile pack static", `cannot take "--allow"`},
		"context":                        {"dockerfile pack static", `cannot take "context"`},
		"--target x":                     {"pack", `cannot take "--target"`},
		"--build-arg":                    {"dockerfile", "--build-arg has no value"},
		"--build-arg =x":                 {"dockerfile pack", "it names no key"},
		"--label =x":                     {"dockerfile static", "it names no key"},
		"--secret id=a,src=/etc/passwd":  {"dockerfile", `"src" cannot be said here`},
		"--secret id=a,env=b":            {"dockerfile", "under its own name"},
		"--platform linux/arm64":         {"dockerfile pack", "the host runs linux/amd64"},
		"--network host":                 {"dockerfile", "default or none"},
		"--file ../Dockerfile":           {"dockerfile", "outside of the build context"},
		"--file /etc/Dockerfile":         {"dockerfile", "outside of the build context"},
		"--add-host nobody":              {"dockerfile", "NAME:ADDRESS"},
		"--add-host a:1,b=2":             {"dockerfile", "a comma"},
		"--shm-size 64x --shm-size=-1":   {"dockerfile", "it is no size"},
		"--shm-size 9999999999999999999": {"dockerfile", "it is no size"},
	} {
		for builder := range strings.FieldsSeq(test.builders) {
			args, err := words(text)
			must(t, err)
			request := build.Request{App: &manifest.App{}, OS: "linux", Arch: "amd64"}
			if err := apply(args, builder, &request, func(string) {}); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s, %s: %v", builder, text, err)
			}
		}
	}
}

// TestWords: quotes and backslashes are honoured; nothing is evaluated.
func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                nil,
		" \n":                             nil,
		" --a b\t--c=d\n":                 {"--a", "b", "--c=d"},
		`--a 'x y' "z '"`:                 {"--a", "x y", "z '"},
		`a\ b \"c\" '\d'`:                 {"a b", `"c"`, `\d`},
		`$(id) ` + "`id`" + ` $HOME # no`: {"$(id)", "`id`", "$HOME", "#", "no"},
		`''`:                              {""},
	} {
		if got, err := words(text); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{`"a`, `'`, `a\`} {
		if got, err := words(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestArgumentsOfPlugins: what plugins and dokku.hcl print stands in the walk's order and
// goes into the build.
func TestArgumentsOfPlugins(t *testing.T) {
	w := newWorld(t, map[string]string{"Dockerfile": "FROM scratch\n", "dokku.hcl": "docker_options {\n  build = [\"--build-arg A=hcl\", \"--link db:db\"]\n}\n"})
	w.plugin("a", "docker-args-build", `echo -n "$(cat) --build-arg A=plugin --build-arg FIRST=1"`)
	w.plugin("z", "docker-args-build", `echo -n "$(cat) --build-arg FIRST=2"`)
	w.plugin("z", "docker-args-process-build", `echo -n " --build-arg FIRST=3 --label 'said=by a plugin'"`)
	request, err := w.build()
	must(t, err)
	if diff := cmp.Diff(map[string]string{"A": "hcl", "FIRST": "3"}, request.App.Build.Args); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"said": "by a plugin"}, request.Labels); diff != "" {
		t.Error(diff)
	}
	must(t, w.room.Close())
	w.plugin("z", "docker-args-process-build", `echo -n " --label 'no end"`)
	if _, err := w.build(); err == nil || !strings.Contains(err.Error(), "read what docker-args-process-build printed") {
		t.Errorf("%v", err)
	}
}

// TestLimitsOfAHost: a host holds a build by what dokku.hcl says of limits, and its builders
// are not told of them.
func TestLimitsOfAHost(t *testing.T) {
	app := &manifest.App{DockerOptions: manifest.DockerOptions{Build: []string{"--memory 512m", "--cpus=1.5", "--build-arg A=1", "-m 1g"}}}
	for name, test := range map[string]struct {
		host *Host
		want string
	}{
		"a laptop": {nil, " --memory 512m --cpus=1.5 --build-arg A=1 -m 1g"},
		"a host":   {&Host{Options: []string{"--build-arg A=1", "--no-cache"}}, " --build-arg A=1 --no-cache"},
	} {
		if got := (&Room{app: app, o: Options{Host: test.host}}).optionText(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
