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
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
	"github.com/dokku-push/dokku-push/manifest"
	"github.com/dokku-push/dokku-push/push"
	"github.com/dokku-push/dokku-push/push/report"
	"github.com/dokku-push/dokku-push/remote"
)

func authFlags(c *client, flags *pflag.FlagSet) {
	flags.StringVar(&c.audience, "audience", os.Getenv("DOKKU_OIDC_AUDIENCE"), "what the token is to be for (else dokku-push:HOST), as the host's `dokku oidc:set audience` has it")
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
	audience := c.audience
	if audience == "" {
		host, err := remote.ParseTarget(target.Target)
		if err != nil {
			return err
		}
		audience = "dokku-push:" + host.Host
	}
	token, err := c.jobToken(ctx, audience)
	if err != nil {
		return err
	}
	answer, err := remote.Exchange(ctx, target, token, apps)
	if err != nil {
		return err
	}
	file, err := c.keep(answer)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "=====> %s may deploy %s until %s\n", answer.Name, strings.Join(answer.Apps, ", "), answer.Expires.Format(time.RFC3339))
	_, err = fmt.Fprintln(c.out, file)
	return err
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

// keep writes the key and its certificate into a folder of their own, as OpenSSH names
// them, and tells the job's next steps where.
func (c *client) keep(certified remote.Certified) (string, error) {
	const op = "keep the certificate"
	room, _ := c.options.Getenv("RUNNER_TEMP")
	dir, err := os.MkdirTemp(room, "dokku-push-auth-") // mode 0700
	if err != nil {
		return "", api.Errorf(api.Configuration, op, "%w", err)
	}
	file := filepath.Join(dir, "key")
	if err := errors.Join(os.WriteFile(file, []byte(certified.Key.Reveal()), 0o600), os.WriteFile(file+"-cert.pub", []byte(certified.Certificate+"\n"), 0o600)); err != nil {
		return "", errors.Join(api.Errorf(api.Configuration, op, "%w", err), os.RemoveAll(dir))
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
