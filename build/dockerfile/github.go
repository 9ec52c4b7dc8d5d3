package dockerfile

import (
	"maps"
	"strconv"

	buildkit "github.com/moby/buildkit/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/redact"
)

// github is the cache of GitHub Actions, as a job's environment has it.
type github struct {
	attributes map[string]string // where it is, in BuildKit's words; the token among them
	token      string
}

// readGitHub finds GitHub's cache. A job's own commands see it only when its workflow
// passes the variables on; nil: there is none.
func readGitHub(getenv func(string) (string, bool)) *github {
	token, _ := getenv("ACTIONS_RUNTIME_TOKEN")
	results, _ := getenv("ACTIONS_RESULTS_URL")
	address, _ := getenv("ACTIONS_CACHE_URL")
	if token == "" || results == "" && address == "" {
		return nil
	}
	g := &github{token: token, attributes: map[string]string{"token": token}}
	said, _ := getenv("ACTIONS_CACHE_SERVICE_V2")
	if second, err := strconv.ParseBool(said); err == nil && second && results != "" {
		g.attributes["url_v2"], g.attributes["version"] = results, "2"
	}
	if address == "" {
		address = results
	}
	g.attributes["url"] = address
	return g
}

// addGitHub says where GitHub's cache is to an entry of its type, which asks for it by
// name, and makes its token a secret.
func (j *job) addGitHub(entry buildkit.CacheOptionsEntry) error {
	if entry.Type != "gha" {
		return nil
	}
	if own := entry.Attrs["token"]; own != "" {
		j.hidden = append(j.hidden, redact.Secret(own))
	} else if j.github == nil {
		return api.Errorf(api.Configuration, "read build { cache }", "type=gha needs ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL, which are not set here").
			WithHint("pass them on in the workflow, or say it only in the environment block of your CI")
	}
	if j.github != nil {
		for name, value := range j.github.attributes {
			if entry.Attrs[name] == "" {
				entry.Attrs[name] = value
			}
		}
	}
	if entry.Attrs["scope"] == "" {
		entry.Attrs["scope"] = j.request.Name
	}
	return nil
}

// useGitHub takes GitHub's cache where dokku.hcl names none. Nobody asked for it: it
// cannot fail the build.
func (j *job) useGitHub() {
	said := j.request.App.Build.Cache
	if j.github == nil || len(said.From) > 0 || said.To != "" {
		return
	}
	attributes := maps.Clone(j.github.attributes)
	attributes["scope"] = j.request.Name
	j.imports = []buildkit.CacheOptionsEntry{{Type: "gha", Attrs: maps.Clone(attributes)}}
	attributes["mode"], attributes["ignore-error"] = "max", "true"
	j.exports = []buildkit.CacheOptionsEntry{{Type: "gha", Attrs: attributes}}
	j.unasked = true
}
