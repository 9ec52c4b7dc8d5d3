package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// GitHub is the issuer of GitHub's CI, which counts where no other is set.
const GitHub = "https://token.actions.githubusercontent.com"

// MostLifetime is how long a certificate lives at most, and does where nothing is set.
const MostLifetime = 15 * time.Minute

// Policy is whom the host believes, and what those may deploy.
type Policy struct {
	Issuer   string `json:"issuer,omitempty"`   // empty: GitHub
	Audience string `json:"audience,omitempty"` // that tokens must be for; empty: no token is taken
	Keys     string `json:"keys,omitempty"`     // a JWKS file of the issuer's keys; empty: they are fetched
	Minutes  int    `json:"minutes,omitempty"`  // that a certificate lives; 0: MostLifetime
	Rules    []Rule `json:"rules,omitempty"`
}

// Rule lets the jobs of one repository deploy one app, or its review apps. Each field that is not empty must be
// what the token says.
type Rule struct {
	App          string `json:"app"` // a name, or the beginning of names and *
	Repository   string `json:"repository"`
	RepositoryID string `json:"repository_id"` // stays with the repository when its name goes to another
	Environment  string `json:"environment,omitempty"`
	Ref          string `json:"ref,omitempty"`
	Subject      string `json:"subject,omitempty"`
	Workflow     string `json:"workflow,omitempty"` // job_workflow_ref
	Review       bool   `json:"review,omitempty"`   // it is about the app's review apps, and not about the app
}

// String is the rule as `oidc:add` takes it.
func (r Rule) String() string {
	text := r.App + " --repository " + r.Repository + " --repository-id " + r.RepositoryID
	for _, one := range []struct{ flag, value string }{{"environment", r.Environment}, {"ref", r.Ref}, {"subject", r.Subject}, {"workflow", r.Workflow}} {
		if one.value != "" {
			text += " --" + one.flag + " " + one.value
		}
	}
	if r.Review {
		text += " --review"
	}
	return text
}

var (
	appName      = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)
	appPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}\*?$`)
	repository   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)
	repositoryID = regexp.MustCompile(`^[0-9]{1,20}$`)
)

// Valid refuses a rule that is wider than it looks: the repository is named by its id too,
// and something says which of its jobs are meant.
func (r Rule) Valid() error {
	switch {
	case !appPattern.MatchString(r.App):
		return api.Errorf(api.Usage, "", "%q is no app name, nor the beginning of one and *", r.App)
	case !repository.MatchString(r.Repository):
		return api.Errorf(api.Usage, "", "--repository is OWNER/NAME, not %q", r.Repository)
	case !repositoryID.MatchString(r.RepositoryID):
		return api.Errorf(api.Usage, "", "--repository-id is a number, not %q", r.RepositoryID).
			WithHint("gh api repos/%s --jq .id prints it: a name may be given to another repository, the id never is", r.Repository)
	case r.Environment == "" && r.Ref == "" && r.Subject == "":
		return api.Errorf(api.Usage, "", "which jobs of the repository are meant: --environment, --ref or --subject").
			WithHint("without one of them every branch and pull request of %s could deploy %s", r.Repository, r.App)
	}
	if strings.ContainsFunc(r.String(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return api.Errorf(api.Usage, "", "a rule is one line of text")
	}
	return nil
}

// covers tells whether the rule is about an app, or about the review apps of one.
func (r Rule) covers(app string) bool {
	app, reviews := strings.CutPrefix(app, api.ReviewGrant)
	if reviews != r.Review {
		return false
	}
	if start, all := strings.CutSuffix(r.App, "*"); all {
		return strings.HasPrefix(app, start)
	}
	return r.App == app
}

// allows asks the rules about one app. Of several that refuse, the one speaks that came
// closest. It does not say what it wants: whoever asks may be anybody.
func (p Policy) allows(app string, claims *claims) error {
	name, reviews := strings.CutPrefix(app, api.ReviewGrant)
	furthest, reason := -1, refuse("no policy lets a CI job deploy %s", app).WithHint("on the host: dokku oidc:add %s --repository OWNER/NAME --repository-id ID --environment NAME", app)
	if reviews {
		reason = refuse("no policy lets a CI job make review apps of %s", name).WithHint("on the host: dokku oidc:add %s --repository OWNER/NAME --repository-id ID --subject repo:OWNER/NAME:pull_request --review", name)
	}
	for _, rule := range p.Rules {
		if !rule.covers(app) {
			continue
		}
		step, err := rule.judge(name, claims)
		if err == nil {
			return nil
		}
		if step > furthest {
			furthest, reason = step, err
		}
	}
	return reason
}

// judge compares a token with the rule and returns how far it got.
func (r Rule) judge(app string, claims *claims) (step int, refused *api.Error) {
	for n, one := range []struct{ want, is, what string }{
		{r.RepositoryID, claims.RepositoryID, "repository id"}, {r.Repository, claims.Repository, "repository"}, {r.Subject, claims.Subject, "subject"},
		{r.Environment, claims.Environment, "environment"}, {r.Ref, claims.Ref, "ref"}, {r.Workflow, claims.Workflow, "workflow"},
	} {
		if one.want == "" || one.want == one.is || one.what == "repository" && strings.EqualFold(one.want, one.is) {
			continue
		}
		if r.Review {
			return n, refuse("the %s %q may not make review apps of %s", one.what, one.is, app).WithHint("on the host, dokku oidc:list %s shows what may", app)
		}
		return n, refuse("the %s %q may not deploy %s", one.what, one.is, app).WithHint("on the host, dokku oidc:list %s shows what may", app)
	}
	return 0, nil
}

func (p Policy) issuer() string {
	if p.Issuer == "" {
		return GitHub
	}
	return p.Issuer
}

func (p Policy) lifetime() time.Duration {
	if life := time.Duration(p.Minutes) * time.Minute; life > 0 && life < MostLifetime {
		return life
	}
	return MostLifetime
}

// Issuer refuses what is no issuer: its keys are fetched from there.
func Issuer(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" || strings.HasSuffix(text, "/") {
		return api.Errorf(api.Usage, "", "an issuer is an https URL without a last slash, not %q", text)
	}
	return nil
}

func (d *Desk) policyFile() string { return filepath.Join(d.Dir, "policy.json") }

// Policy reads the policy; there is an empty one where none was made.
func (d *Desk) Policy() (Policy, error) {
	var policy Policy
	text, err := os.ReadFile(d.policyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return policy, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &policy)
	}
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy for CI jobs: %w", err) // nobody is let in by an error
	}
	return policy, nil
}

// Change changes the policy, while nobody else does.
func (d *Desk) Change(ctx context.Context, to func(now *Policy) error) error {
	release, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	policy, err := d.Policy()
	if err == nil {
		err = to(&policy)
	}
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(policy, "", "  ")
	if err != nil {
		return fmt.Errorf("write the policy for CI jobs: %w", err)
	}
	return atomicfile.WriteFile(d.policyFile(), append(text, '\n'), 0o600)
}
