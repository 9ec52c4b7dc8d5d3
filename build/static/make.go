package static

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/internal/run"
)

// outVariable names the folder in which the command leaves what it makes.
const outVariable = "OUT"

// maxLine is where a line that the command prints is cut.
const maxLine = 8 << 10

// maxFailure is how much of what it printed the error of a failing command carries.
const maxFailure = 64 << 10

// sources are the places whose files go into the image, each a layer of its own: those of
// the tree, which seldom change, under what the command makes. cleanUp is never nil.
func (b Builder) sources(ctx context.Context, request build.Request) (all []source, cleanUp func(), err error) {
	cleanUp = func() {}
	tree, err := locate(request)
	if err != nil {
		return nil, cleanUp, err
	}
	said := request.App.Build.Static
	if said.Make == "" {
		return []source{tree}, cleanUp, nil
	}
	out, err := os.MkdirTemp("", "dokku-push-static-")
	if err != nil {
		return nil, cleanUp, err
	}
	cleanUp = func() { _ = os.RemoveAll(out) } // a temporary folder
	if err := b.make(ctx, request, out); err != nil {
		return nil, cleanUp, err
	}
	made, err := os.ReadDir(out)
	if err != nil {
		return nil, cleanUp, err
	}
	if said.Dir != "" {
		all = append(all, tree)
	}
	if len(made) > 0 {
		all = append(all, source{context: out, dir: ".", dest: tree.dest})
	}
	if len(all) == 0 {
		return nil, cleanUp, api.Errorf(api.BuildFailed, "make", "the command has left nothing in $%s", outVariable).
			WithHint("write its results there: go build -o $%s/server, or name the folder of its results in build { static { dir } }", outVariable)
	}
	return all, cleanUp, nil
}

// make runs the command that the project names, for the platform that is built for.
func (b Builder) make(ctx context.Context, request build.Request, out string) error {
	said := request.App.Build
	dir, err := inside(request.Dir, orDefault(said.Dir, orDefault(said.Context, ".")))
	if err != nil {
		return err
	}
	request.Output("run " + said.Static.Make)
	printed := &lines{output: request.Output, hide: b.secrets(said.Secrets)}
	command := run.Cmd{Argv: []string{"/bin/sh", "-c", said.Static.Make}, Dir: dir, Stdout: printed, Stderr: printed,
		Env: append(os.Environ(), outVariable+"="+out, "GOOS="+request.OS, "GOARCH="+request.Arch, "TARGETOS="+request.OS, "TARGETARCH="+request.Arch)}
	for _, name := range slices.Sorted(maps.Keys(said.Args)) {
		command.Env = append(command.Env, name+"="+said.Args[name])
	}
	err = command.Run(ctx)
	printed.end()
	if exit, ok := errors.AsType[*run.ExitError](err); ok && ctx.Err() == nil {
		return api.Errorf(api.BuildFailed, "make", "%w%s", exit, printed.all).WithHint("build { static { make } } ran it in %s", filepath.Clean(dir))
	}
	return err
}

// secrets takes the values of the build's secrets out of what is printed.
func (b Builder) secrets(names []string) *redact.Redactor {
	var values []redact.Secret
	for _, name := range names {
		if b.Getenv == nil {
			break
		}
		if value, ok := b.Getenv(name); ok {
			values = append(values, redact.Secret(value))
		}
	}
	return redact.New(values...)
}

// lines hands on what a program prints, a line at a time.
type lines struct {
	output  func(string)
	hide    *redact.Redactor
	partial []byte
	all     []byte // each line behind a newline, the last of them
}

func (l *lines) Write(p []byte) (int, error) {
	l.partial = append(l.partial, p...)
	for {
		line, rest, whole := bytes.Cut(l.partial, []byte("\n"))
		if !whole {
			break
		}
		l.say(line)
		l.partial = append([]byte(nil), rest...)
	}
	if len(l.partial) > maxLine {
		l.end()
	}
	return len(p), nil
}

// end shows a last line without a newline.
func (l *lines) end() {
	if len(l.partial) > 0 {
		l.say(l.partial)
		l.partial = nil
	}
}

func (l *lines) say(line []byte) {
	text := l.hide.Text(strings.TrimSuffix(string(line), "\r"))
	l.output(text)
	l.all = append(append(l.all, '\n'), text...)
	if over := len(l.all) - maxFailure; over > 0 {
		l.all = append([]byte(nil), l.all[over:]...)
	}
}
