package pack

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	cnb "github.com/buildpacks/pack/pkg/client"

	"github.com/dokku-push/dokku-push/api"
)

var statusForm = regexp.MustCompile(`failed with status code: ([0-9]+)`)

// failure says in a person's words what went wrong. What buildpacks printed was shown
// already.
func failure(ctx context.Context, err error, settings cnb.BuildOptions) error {
	if ctx.Err() != nil {
		return api.Errorf(api.Cancelled, "build", "%w", ctx.Err())
	}
	e := &api.Error{Code: api.BuildFailed, Op: "build", Message: plain(err.Error()), Cause: err}
	if status := statusForm.FindStringSubmatch(e.Message); status != nil {
		code, _ := strconv.Atoi(status[1]) // three digits at most
		e.Message, e.Hint = ended(code, settings)
		return e
	}
	switch {
	case strings.Contains(e.Message, "failed to fetch builder image"):
		e.Hint = "the builder image is " + settings.Builder + ": is the name right (build { pack { builder = \"...\" } }), can its registry be reached, does it need docker login?"
	case strings.Contains(e.Message, "invalid run-image"):
		e.Hint = "the run image is the builder's, or build { pack { run_image = \"...\" } }: is the name right, can its registry be reached?"
		if settings.Publish {
			e.Hint += " With a registry it must be in one too"
		}
	case strings.Contains(e.Message, "buildpack"):
		e.Hint = "write the id of a buildpack in the builder " + settings.Builder + ", an image (docker://registry/name) or a folder of the project (./buildpack)"
	}
	return e
}

// ended says what an exit code of the lifecycle means: the tens are its phase.
func ended(code int, settings cnb.BuildOptions) (message, hint string) {
	const above = "what it printed stands above"
	storing := above
	if settings.Publish {
		storing += "; it speaks to the registry from a container of the builder image, with that image's certificates"
	}
	switch {
	case code == 20:
		return "no buildpack of " + settings.Builder + " wants this app",
			"the lines above say what each looked for; name buildpacks in dokku.hcl, write a Dockerfile, or choose another builder image"
	case code/10 == 2:
		return "a buildpack failed while it looked whether it wants this app", above
	case code/10 == 3 || code/10 == 4:
		return "the lifecycle could not read the former image or the cache", storing
	case code/10 == 5:
		return "a buildpack failed", above
	case code/10 == 6:
		return "the lifecycle could not export the image", storing
	case code == 137:
		return "the build was killed (137)", "was there enough memory?"
	}
	return "the lifecycle ended with code " + strconv.Itoa(code), above
}

// plain is pack's message in one line, without colours.
func plain(message string) string {
	line, _, _ := strings.Cut(escapes.ReplaceAllString(message, ""), "\n")
	return line
}
