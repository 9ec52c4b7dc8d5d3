package dockerfile

import (
	"context"
	"strings"

	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// job is one build: what is asked for, and what was found for it on this machine before
// any daemon was spoken to.
type job struct {
	request build.Request
	from    source
	session []session.Attachable // what the daemon may ask for: logins, secrets, the ssh-agent
	hidden  []redact.Secret      // what must not be seen
	hide    *redact.Redactor     // of those
	github  *github              // GitHub's cache; nil: there is none
	imports []buildkit.CacheOptionsEntry
	exports []buildkit.CacheOptionsEntry
	unasked bool // of the caches: nobody named them
}

// prepare refuses what cannot be built, and takes the values of the build's secrets out
// of what the build prints: a step may print what it was trusted with.
func (b Builder) prepare(request build.Request) (*job, error) {
	from, err := locate(request)
	if err != nil {
		return nil, err
	}
	getenv := environment(b.Getenv)
	j := &job{request: request, from: from, session: []session.Attachable{registryLogins()}, github: readGitHub(getenv)}
	if j.github != nil {
		j.hidden = append(j.hidden, redact.Secret(j.github.token))
	}
	if err := j.readSecrets(getenv); err != nil {
		return nil, err
	}
	if err := j.readSSH(getenv); err != nil {
		return nil, err
	}
	if err := j.readCache(); err != nil {
		return nil, err
	}
	j.hide = redact.New(j.hidden...)
	output := request.Output
	j.request.Output = func(line string) { output(j.hide.Text(line)) }
	return j, nil
}

// readSecrets finds the values of the build's secrets, or names those that have none.
func (j *job) readSecrets(getenv func(string) (string, bool)) error {
	var missing []string
	secrets := map[string][]byte{} // by name, which is the id that a Dockerfile mounts
	for _, name := range j.request.App.Build.Secrets {
		value, ok := getenv(name)
		if !ok {
			missing = append(missing, name)
			continue
		}
		secrets[name] = []byte(value)
		j.hidden = append(j.hidden, redact.Secret(value))
	}
	if len(missing) > 0 {
		return api.Errorf(api.Configuration, "read the build's secrets", "dokku.hcl names secrets that are not set here: %s", strings.Join(missing, ", ")).
			WithHint("set them in the environment of dokku-push (in CI: as masked variables); for git push, in the app's config (config:set)")
	}
	j.session = append(j.session, secretsprovider.FromMap(secrets))
	return nil
}

// shown is an error without what must not be seen.
func (j *job) shown(err error) error {
	e := api.AsError(err)
	if e == nil || len(j.hidden) == 0 {
		return err
	}
	hidden := *e
	hidden.Message, hidden.Hint, hidden.Cause = j.hide.Text(e.Message), j.hide.Text(e.Hint), nil
	return &hidden
}

// result is what a daemon says that it has built.
type result struct {
	config   string // digest of the config: the image's id
	manifest string // digest of the manifest
}

// solve runs the build.
func (j *job) solve(ctx context.Context, with *buildkit.Client, options buildkit.SolveOpt) (result, error) {
	statuses := make(chan *buildkit.SolveStatus)
	story := newProgress(j.request.Output)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		for status := range statuses {
			story.show(status)
		}
		story.end()
	}()
	response, err := with.Solve(ctx, nil, options, statuses) // closes statuses
	<-printed
	if err != nil {
		return result{}, j.shown(failure(ctx, err, story, j.request, j.from))
	}
	return result{config: response.ExporterResponse["containerimage.config.digest"], manifest: response.ExporterResponse["containerimage.digest"]}, nil
}
