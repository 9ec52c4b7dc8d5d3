package report

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Deployment is what GitHub takes as a new deployment: POST repos/OWNER/REPO/deployments.
type Deployment struct {
	Ref         string            `json:"ref"`
	Task        string            `json:"task"`
	Environment string            `json:"environment"`
	Description string            `json:"description"`
	Transient   bool              `json:"transient_environment"`
	Production  bool              `json:"production_environment"`
	AutoMerge   bool              `json:"auto_merge"`        // false: what was deployed is what was checked out
	Contexts    []string          `json:"required_contexts"` // none: the job that asks has not ended itself
	Payload     DeploymentPayload `json:"payload"`
}

// DeploymentPayload says what is deployed, for those who read deployments.
type DeploymentPayload struct {
	App     string `json:"app"`
	Version string `json:"version,omitempty"`
	Digest  string `json:"image_digest,omitempty"`
	Request string `json:"request,omitempty"`
}

// DeploymentStatus is what GitHub takes as a deployment's status: POST
// repos/OWNER/REPO/deployments/ID/statuses.
type DeploymentStatus struct {
	State          string `json:"state"` // success, failure, or inactive: it was removed
	Description    string `json:"description"`
	Environment    string `json:"environment"`
	EnvironmentURL string `json:"environment_url,omitempty"`
	LogURL         string `json:"log_url,omitempty"`
	AutoInactive   bool   `json:"auto_inactive"` // former deployments there are no longer
}

// Deployed is what CI knows of a deploy and the host does not.
type Deployed struct {
	Ref         string // the commit, or a branch
	LogURL      string // of the job
	Environment string // the environment block of dokku.hcl; empty: none
	Review      string // name of the review app, where it is one
	Removed     bool   // the review app was removed
	Planned     bool   // nothing was to be deployed: a plan, a fork's pull request
}

// mostDescription is how long GitHub lets a description be, in characters.
const mostDescription = 140

// production is GitHub's own name for where nobody says another.
const production = "production"

// DeploymentValues are the outputs `environment`, `deployment` and `deployment_status`: the
// latter two JSON that GitHub's API takes as it stands. They have no text where nothing was
// deployed or removed, nor for several apps.
func DeploymentValues(accounts []Account, at Deployed) []Value {
	var a Account
	if len(accounts) == 1 {
		a = accounts[0]
	}
	environment := firstText(at.Review, at.Environment, production)
	values := []Value{{"environment", environment}, {"deployment", ""}, {"deployment_status", ""}}
	v := a.Verdict
	status := DeploymentStatus{Environment: environment, LogURL: webURL(at.LogURL)}
	switch {
	case at.Removed && a.problem() == nil && len(accounts) == 1:
		status.State, status.Description = "inactive", shortened(at.Review+" is removed")
		values[2].Text = object(status)
		return values
	case v == nil || at.Planned || at.Removed || at.Ref == "" || a.App == "" || v.OK && v.Release == 0:
		return values
	case v.OK:
		status.State, status.AutoInactive = "success", true
		if len(v.URLs) > 0 {
			status.EnvironmentURL = webURL(v.URLs[0])
		}
	default:
		status.State = "failure"
	}
	status.Description = shortened(described(a))
	deployment := Deployment{Ref: at.Ref, Task: "deploy", Environment: environment, Description: shortened("dokku-push: " + a.App), Transient: at.Review != "",
		Production: environment == production && at.Review == "", Contexts: []string{}, Payload: DeploymentPayload{App: a.App, Digest: firstText(v.Run, v.Built), Request: a.Request}}
	if v.OK {
		deployment.Payload.Version = fmt.Sprintf("v%d", v.Release)
	}
	values[1].Text, values[2].Text = object(deployment), object(status)
	return values
}

// described is what became of an app, in a sentence.
func described(a Account) string {
	v := a.Verdict
	switch {
	case !v.OK && v.Error != nil && a.undone():
		return strings.ReplaceAll(string(v.Error.Code), "_", " ") + ", undone: " + v.Error.Message
	case !v.OK && v.Error != nil:
		return strings.ReplaceAll(string(v.Error.Code), "_", " ") + ": " + v.Error.Message
	case v.Error != nil:
		return fmt.Sprintf("v%d is live, but: %s", v.Release, v.Error.Message)
	case !v.Changed:
		return fmt.Sprintf("v%d runs this already", v.Release)
	}
	return fmt.Sprintf("v%d is live", v.Release)
}

// shortened is one line of text that is no longer than GitHub takes.
func shortened(text string) string {
	characters := []rune(strings.Join(strings.Fields(clean(strings.ReplaceAll(text, "\n", " "))), " "))
	if len(characters) > mostDescription {
		characters = append(characters[:mostDescription-1], '…')
	}
	return string(characters)
}

// webURL is a URL that GitHub links to; empty where it is none.
func webURL(text string) string {
	if strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://") {
		return text
	}
	return ""
}

// object is JSON in one line.
func object(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "" // of plain texts: it never is
	}
	return string(text)
}
