package hooks

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/manifest"
)

// This file is what docker's arguments for a build mean to our builders. Dokku hands what
// docker-args-build prints to docker as it is; BuildKit, buildpacks and plain files take a
// part of it each.

// taken is an argument that a builder takes.
type taken struct {
	names    string // with blanks between
	flag     bool   // it has no value
	builders string
	set      func(request *build.Request, app *manifest.App, value string) error
}

// takenArguments are all of them.
func takenArguments() []taken {
	return []taken{
		{"--build-arg", false, "dockerfile pack", setBuildArg},
		{"--label", false, "dockerfile pack static", setLabel},
		{"--secret", false, "dockerfile pack", setSecret},
		{"--env -e", false, "pack", setEnv},
		{"--target", false, "dockerfile", func(_ *build.Request, app *manifest.App, value string) error {
			app.Build.Dockerfile.Target = value
			return nil
		}},
		{"--file -f", false, "dockerfile", setFile},
		{"--cache-from", false, "dockerfile", func(_ *build.Request, app *manifest.App, value string) error {
			app.Build.Cache.From = append(slices.Clone(app.Build.Cache.From), value)
			return nil
		}},
		{"--cache-to", false, "dockerfile", func(_ *build.Request, app *manifest.App, value string) error {
			app.Build.Cache.To = value
			return nil
		}},
		{"--platform", false, "dockerfile pack static", setPlatform},
		{"--add-host", false, "dockerfile", setAddHost},
		{"--network", false, "dockerfile", setNetwork},
		{"--shm-size", false, "dockerfile", setShm},
		{"--ulimit", false, "dockerfile", func(request *build.Request, _ *manifest.App, value string) error {
			return addTo(request, "ulimit", value)
		}},
		{"--no-cache", true, "dockerfile", setFrontend("no-cache", "")},
		{"--pull", true, "dockerfile", setFrontend("image-resolve-mode", "pull")},
	}
}

// Arguments that mean nothing to a build without docker's own old builder: those of
// containers that run, as Dokku leaves them out of builds too, and those that BuildKit does
// not know. They are left out and named.
const (
	idleArguments = ` --link --volume -v --mount --env -e --env-file --publish -p --expose --restart --memory -m --memory-swap
 --memory-reservation --cpu-period --cpu-quota --cpu-shares -c --cpus --cpuset-cpus --cpuset-mems --progress --isolation --security-opt --cgroup-parent --gpus --ip
 --hostname -h --user -u --workdir -w --log-driver --log-opt --dns --tmpfs --device --cap-add --cap-drop --stop-timeout --stop-signal `
	idleFlags = ` --rm --force-rm --compress --squash --quiet -q --init --privileged --read-only --publish-all -P --no-healthcheck `
)

// limitArguments are those that a build on a host is held by, whoever says them.
const limitArguments = " --memory -m --memory-swap --cpu-period --cpu-quota --cpu-shares -c --cpus "

// apply puts arguments into a request, whose manifest is copied before it is changed. One
// that the builder cannot take is refused by its name.
func apply(args []string, builder string, request *build.Request, note func(string)) error {
	app := *request.App
	for len(args) > 0 {
		name, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		one, known := lookup(name)
		takes := known && slices.Contains(strings.Fields(one.builders), builder)
		flag := known && one.flag || !known && isOneOf(idleFlags, name)
		if !takes && !known && !flag && !isOneOf(idleArguments, name) {
			return refused(name, builder)
		}
		if !flag && !joined {
			if len(args) == 0 {
				return api.Errorf(api.BuildFailed, "read docker's arguments for the build", "%s has no value", name)
			}
			value, args = args[0], args[1:]
		}
		switch {
		case takes:
			if err := one.set(request, &app, value); err != nil {
				return api.Errorf(api.BuildFailed, "read docker's arguments for the build", "%s %s: %w", name, value, err)
			}
		case isOneOf(idleArguments, name) || flag && !known:
			note("left out of the build: " + name + ", which is for containers that run or for docker's old builder")
		case builder == "static":
			note("left out of the build: " + name + ", for plain files have no build steps")
		default:
			return refused(name, builder)
		}
	}
	request.App = &app
	return nil
}

func refused(name, builder string) error {
	return api.Errorf(api.BuildFailed, "read docker's arguments for the build", "the builder %s cannot take %q", builder, name).
		WithHint("docker_options { build } in dokku.hcl or docker-args-build of a plugin says it; docs/plugins.md lists what can be said")
}

func lookup(name string) (taken, bool) {
	for _, one := range takenArguments() {
		if slices.Contains(strings.Fields(one.names), name) {
			return one, true
		}
	}
	return taken{}, false
}

func isOneOf(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// pair reads KEY=VALUE; a KEY alone has its value in the environment, as docker reads it.
func pair(text string) (key, value string, err error) {
	key, value, said := strings.Cut(text, "=")
	if key == "" {
		return "", "", errors.New("it names no key")
	}
	if !said {
		value = os.Getenv(key)
	}
	return key, value, nil
}

func setBuildArg(_ *build.Request, app *manifest.App, text string) error {
	key, value, err := pair(text)
	if err != nil {
		return err
	}
	app.Build.Args = with(app.Build.Args, key, value)
	return nil
}

func setEnv(_ *build.Request, app *manifest.App, text string) error {
	key, value, err := pair(text)
	if err != nil {
		return err
	}
	app.Build.Pack.Env = with(app.Build.Pack.Env, key, value)
	return nil
}

func setLabel(request *build.Request, _ *manifest.App, text string) error {
	key, value, _ := strings.Cut(text, "=")
	if key == "" {
		return errors.New("it names no key")
	}
	request.Labels = with(request.Labels, key, value)
	return nil
}

// setSecret takes secrets that are variables of the same name: dokku.hcl's way.
func setSecret(_ *build.Request, app *manifest.App, text string) error {
	id, variable := "", ""
	for field := range strings.SplitSeq(text, ",") {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "id":
			id = value
		case "env":
			variable = value
		case "type":
		default:
			return fmt.Errorf("%q cannot be said here: a secret is an environment variable, id=NAME", key)
		}
	}
	if id == "" || variable != "" && variable != id {
		return errors.New("a secret is an environment variable under its own name, id=NAME")
	}
	if !slices.Contains(app.Build.Secrets, id) {
		app.Build.Secrets = append(slices.Clone(app.Build.Secrets), id)
	}
	return nil
}

func setFile(_ *build.Request, app *manifest.App, value string) error {
	if !path.IsAbs(value) && !strings.HasPrefix(path.Clean(value), "..") {
		app.Build.Dockerfile.Path = value
		return nil
	}
	return errors.New("it is outside of the build context")
}

func setPlatform(request *build.Request, _ *manifest.App, value string) error {
	if host := request.OS + "/" + request.Arch; value != host {
		return fmt.Errorf("the host runs %s", host)
	}
	return nil
}

func setAddHost(request *build.Request, _ *manifest.App, value string) error {
	name, address, said := strings.Cut(value, "=")
	if !said {
		name, address, said = strings.Cut(value, ":")
	}
	if !said || name == "" || address == "" {
		return errors.New("write NAME:ADDRESS")
	}
	return addTo(request, "add-hosts", name+"="+address)
}

// addTo adds to a list with commas.
func addTo(request *build.Request, key, value string) error {
	if strings.Contains(value, ",") {
		return errors.New("it holds a comma")
	}
	if former := request.Frontend[key]; former != "" {
		value = former + "," + value
	}
	request.Frontend = with(request.Frontend, key, value)
	return nil
}

// setShm reads a size as docker does: bytes, or with one of the letters b, k, m and g.
func setShm(request *build.Request, _ *manifest.App, value string) error {
	number, unit := strings.TrimRight(strings.ToLower(value), "bkmg"), int64(1)
	switch letters := strings.ToLower(value)[len(number):]; letters {
	case "", "b":
	case "k", "kb":
		unit = 1 << 10
	case "m", "mb":
		unit = 1 << 20
	case "g", "gb":
		unit = 1 << 30
	default:
		return errors.New("it is no size, such as 256m")
	}
	size, err := strconv.ParseInt(number, 10, 32)
	if err != nil || size <= 0 {
		return errors.New("it is no size, such as 256m")
	}
	request.Frontend = with(request.Frontend, "shm-size", strconv.FormatInt(size*unit, 10))
	return nil
}

func setNetwork(request *build.Request, _ *manifest.App, value string) error {
	switch value {
	case "default", "bridge":
		return nil
	case "none":
		request.Frontend = with(request.Frontend, "force-network-mode", value)
		return nil
	}
	return errors.New("BuildKit's steps have the network default or none")
}

func setFrontend(key, said string) func(*build.Request, *manifest.App, string) error {
	return func(request *build.Request, _ *manifest.App, value string) error {
		if value == "false" {
			return nil
		}
		request.Frontend = with(request.Frontend, key, said)
		return nil
	}
}

// with is a map with one more entry; the one that was given stays as it is.
func with(all map[string]string, key, value string) map[string]string {
	more := maps.Clone(all)
	if more == nil {
		more = map[string]string{}
	}
	more[key] = value
	return more
}

// words splits a text at blanks. Quotes and backslashes are honoured, and nothing is
// evaluated (PLUGIN-CONTRACT 4.3).
func words(text string) ([]string, error) {
	var all []string
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote == 0:
			begun, escaped = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			begun, quote = true, c
		case strings.ContainsRune(" \t\r\n", c):
			if begun {
				all = append(all, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote or a backslash has no end")
	}
	if begun {
		all = append(all, word.String())
	}
	return all, nil
}
