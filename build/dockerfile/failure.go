package dockerfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
)

// failure says which step of a build failed, at which line of the Dockerfile
// and why. What the step printed was shown already.
func failure(ctx context.Context, err error, story *progress, request build.Request, from source) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
	}
	e := &api.Error{Code: api.BuildFailed, Op: "build", Message: reason(err.Error()), Cause: err}
	e.Hint = "look at " + from.file + " and at the lines above"
	place := sentLine(err)
	if story.failed != nil {
		name := story.failed.name
		e.Message = fmt.Sprintf("step %q failed: %s", name, reason(story.failed.err))
		e.Hint = "what the step printed stands above"
		if strings.Contains(name, "load metadata for") {
			e.Hint = fmt.Sprintf("the base image must exist for %s/%s, in the local engine or in a registry that it can reach",
				request.OS, request.Arch)
		}
		if place == "" {
			place = searchedLine(from, name)
		}
	}
	e.Message += place
	return e
}

// sentLine is " (Dockerfile:7)" where the engine says it; older ones do not.
func sentLine(err error) string {
	for _, source := range errdefs.Sources(err) {
		if source.Info == nil || len(source.Ranges) == 0 || source.Ranges[0].Start == nil {
			continue
		}
		return fmt.Sprintf(" (%s:%d)", source.Info.Filename, source.Ranges[0].Start.Line)
	}
	return ""
}

// searchedLine finds the step's instruction in the Dockerfile. A step whose
// text stands there twice, or was changed by a variable, has no line.
func searchedLine(from source, step string) string {
	text, err := os.ReadFile(filepath.Join(from.folder, from.file))
	if err != nil {
		return ""
	}
	_, want, _ := strings.Cut(step, "] ")
	want = words(want)
	found, start, instruction := 0, 0, ""
	for i, line := range strings.Split(string(text), "\n") {
		if instruction == "" {
			start = i + 1
		}
		line = strings.TrimSpace(line)
		joined, continues := strings.CutSuffix(line, "\\")
		instruction += joined + " "
		if continues {
			continue
		}
		if want != "" && words(instruction) == want {
			if found != 0 {
				return ""
			}
			found = start
		}
		instruction = ""
	}
	if found == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", from.file, found)
}

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// reason keeps the part of BuildKit's message that says why: each layer that an
// error passes wraps it once more.
func reason(message string) string {
	for _, wrapping := range []string{
		"failed to solve: ",
		"rpc error: code = Unknown desc = ",
		"failed to solve with frontend dockerfile.v0: ",
		"failed to create LLB definition: ",
	} {
		message = strings.TrimPrefix(message, wrapping)
	}
	if i := strings.LastIndex(message, "exit code: "); i >= 0 {
		message = message[i:]
	}
	line, _, _ := strings.Cut(message, "\n")
	return line
}
