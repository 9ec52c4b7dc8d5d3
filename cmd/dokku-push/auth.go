package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/ci"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

func authFlags(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.reviews, "review", false, "a certificate that makes, deploys and removes review apps of APP, and does nothing to APP itself")
	flags.StringVar(&c.audience, "audience", os.Getenv("DOKKU_OIDC_AUDIENCE"), "what the token is to be for (else dokku-push:HOST), as the host has it: dokku oidc:set audience")
}

// auth trades the job's token for a certificate, and leaves that with its key in a folder
// that the job's next commands read.
func (c *client) auth(ctx context.Context) error {
	if len(c.args) == 0 || c.args[0] != "github" {
		return api.Errorf(api.Usage, "", "auth takes the word github, not %q", c.args).WithHint("dokku-push auth github [APP ...]")
	}
	target, apps, err := c.authFor(c.args[1:])
	if err != nil {
		return err
	}
	answer, err := c.trade(ctx, target, apps)
	if err != nil {
		return err
	}
	file, err := c.keep(answer)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, file)
	return err
}

// trade gets the certificate, and says what for.
func (c *client) trade(ctx context.Context, target remote.Options, apps []string) (remote.Certified, error) {
	audience := c.audience
	if audience == "" {
		host, err := remote.ParseTarget(target.Target)
		if err != nil {
			return remote.Certified{}, err
		}
		audience = "dokku-push:" + host.Host
	}
	token, err := c.jobToken(ctx, audience)
	if err != nil {
		return remote.Certified{}, err
	}
	asked := slices.Clone(apps)
	if c.reviews {
		for i := range asked {
			asked[i] = api.ReviewGrant + asked[i]
		}
	}
	answer, err := remote.Exchange(ctx, target, token, asked)
	if err != nil {
		return answer, err
	}
	what := map[bool]string{false: "deploy", true: "make review apps of"}[c.reviews]
	fmt.Fprintf(c.err, "=====> %s may %s %s until %s\n", answer.Name, what, strings.Join(apps, ", "), answer.Expires.Format(time.RFC3339))
	return answer, nil
}

// certified gives a CI job that has no key one for its own time, where it asks for that.
func (c *client) certified(ctx context.Context, job ci.Job) error {
	if !job.OIDC {
		return nil
	}
	c.reviews = job.Command == ci.ReviewCreate || job.Command == ci.ReviewDestroy
	var apps []string
	if c.several() {
		members, err := push.Members(ctx, quiet(c.options), c.since)
		if err != nil {
			return err
		}
		for _, member := range members {
			apps = append(apps, member.Name)
		}
		if len(apps) == 0 {
			return nil // nothing has changed
		}
	}
	target, apps, err := c.authFor(apps)
	if err != nil {
		return err
	}
	answer, err := c.trade(ctx, target, apps)
	if err != nil {
		return err
	}
	if c.options.Remote.KeyFile, err = put(c.room, answer); err != nil {
		return err
	}
	c.options.Remote.Key = ""
	return os.Unsetenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN") // who builds needs no other
}

// authFor finds out which apps are meant, and their host. Apps and a host that are named
// need no manifest.
func (c *client) authFor(apps []string) (remote.Options, []string, error) {
	o := quiet(c.options)
	if len(apps) == 0 && o.App != "" {
		apps = []string{o.App}
	}
	if o.App == "" && len(apps) > 0 {
		o.App = apps[0]
	}
	var app *manifest.App
	project, err := push.Load(o)
	if err != nil && (len(apps) == 0 || o.Host == "") {
		return remote.Options{}, nil, err
	}
	if project != nil {
		app = project.App
		if len(apps) == 0 {
			apps = []string{project.Name}
		}
	}
	target, err := push.Target(o, app)
	return target, apps, err
}

// mostToken bounds what the CI system answers, in bytes.
const mostToken = 64 << 10

// jobToken asks GitHub for a token that says which job this is, for nobody but the audience.
func (c *client) jobToken(ctx context.Context, audience string) (redact.Secret, error) {
	const op = "ask for the job's token"
	from, _ := c.options.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL")
	bearer, _ := c.options.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if from == "" || bearer == "" {
		return "", api.Errorf(api.Configuration, op, "ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN are not set").
			WithHint("give the job `permissions: {id-token: write, contents: read}`; pull requests of forks never have it")
	}
	address, err := url.Parse(from)
	if err != nil || address.Scheme != "https" {
		return "", api.Errorf(api.Configuration, op, "ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")
	}
	query := address.Query()
	query.Set("audience", audience)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	web := http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := web.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err // without the address
		}
		return "", api.Errorf(api.Unreachable, op, "%w", err).WithHint("try again")
	}
	defer answer.Body.Close()
	var body struct {
		Value redact.Secret `json:"value"`
	}
	if answer.StatusCode != http.StatusOK {
		return "", api.Errorf(api.Refused, op, "GitHub answers %s", answer.Status).WithHint("try again; has the job `permissions: id-token: write`?")
	}
	if json.NewDecoder(io.LimitReader(answer.Body, mostToken)).Decode(&body) != nil || body.Value == "" {
		return "", api.Errorf(api.Refused, op, "GitHub's answer holds no token")
	}
	return body.Value, nil
}

const opKeep = "keep the certificate"

// put writes the key and its certificate into a folder, as OpenSSH names them.
func put(dir string, certified remote.Certified) (string, error) {
	file := filepath.Join(dir, "key")
	if err := errors.Join(os.WriteFile(file, []byte(certified.Key.Reveal()), 0o600), os.WriteFile(file+"-cert.pub", []byte(certified.Certificate+"\n"), 0o600)); err != nil {
		return "", api.Errorf(api.Configuration, opKeep, "%w", err)
	}
	return file, nil
}

// keep writes the key and its certificate into a folder of their own, and tells the job's next steps where.
func (c *client) keep(certified remote.Certified) (string, error) {
	room, _ := c.options.Getenv("RUNNER_TEMP")
	dir, err := os.MkdirTemp(room, "dokku-push-auth-") // mode 0700
	if err != nil {
		return "", api.Errorf(api.Configuration, opKeep, "%w", err)
	}
	file, err := put(dir, certified)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	for variable, name := range map[string]string{"GITHUB_OUTPUT": "ssh_key_file", "GITHUB_ENV": "DOKKU_SSH_KEY_FILE"} {
		if path, _ := c.options.Getenv(variable); path != "" {
			if err := report.AppendGitHubOutputs(path, []report.Value{{Name: name, Text: file}}); err != nil {
				return "", err
			}
		}
	}
	return file, nil
}
