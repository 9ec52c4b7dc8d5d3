package agent

import (
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// AppsVariable is how the forced command of a certificate says which apps it is for.
const AppsVariable = "DOKKU_PUSH_APPS"

// bounded refuses what a certificate for some apps is not for. Of Dokku's commands it may
// call those that look at an app it names or run something in it; that app Visible judges.
// A caller with a key of its own is not bounded.
func (c Caller) bounded(app, command string) error {
	if c.Apps == "" {
		return nil
	}
	if app != "" {
		if slices.Contains(strings.Fields(c.Apps), app) {
			return nil
		}
		return api.Errorf(api.Refused, command, "Access denied to the app %s: the certificate of %s is for %s", app, c.Name, c.Apps).
			WithHint("dokku-push auth github names the apps that it is for; the host's policy must allow each")
	}
	switch command {
	case "version", "help", "logs", "run", "apps:exists", "apps:list", "apps:report", "ps:report", "urls":
		return nil
	}
	return api.Errorf(api.Refused, command, "Access denied: the certificate of %s may deploy %s and nothing else", c.Name, c.Apps).
		WithHint("use a key of its own for other commands: dokku ssh-keys:add, on the host")
}

// among are those of the apps that a certificate is for.
func (c Caller) among(apps []string) []string {
	if c.Apps == "" {
		return apps
	}
	mine := strings.Fields(c.Apps)
	return slices.DeleteFunc(slices.Clone(apps), func(app string) bool { return !slices.Contains(mine, app) })
}

// JobPrefix begins the name of a CI job that came with a certificate; behind it are the
// repository and the run. No key in authorized_keys can have such a name.
const JobPrefix = "github:"

// sameKey tells whether two names stand for one key. The runs of a repository's CI count as
// one, though each has a certificate of its own.
func sameKey(a, b string) bool {
	repository := func(name string) string {
		if end := strings.LastIndex(name, "/"); strings.HasPrefix(name, JobPrefix) && end > 0 {
			return name[:end]
		}
		return name
	}
	return repository(a) == repository(b)
}
