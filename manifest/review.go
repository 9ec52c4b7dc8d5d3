package manifest

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tailscale/hujson"
)

// This file is how a project reads when a review app is made of it.

// reviewEnvironment is the environment, of dokku.hcl and of app.json, that review apps have.
const reviewEnvironment = "review"

// environment is the environment block that counts, and whether it must be there. That of
// review apps counts for them where there is one.
func (o Options) environment() (name string, must bool) {
	if o.Review && o.Environment == "" {
		return reviewEnvironment, false
	}
	return o.Environment, o.Environment != ""
}

// forReview takes out what belongs to the app itself and is not to be shared with what
// nobody has looked at yet: its domains, its data and its services, unless an environment
// block says them, and its secrets, unless review { inherit } names them.
func (l *loader) forReview() {
	own := func(key string) bool {
		list, ok := l.said.ranked(key)
		is := ok && list[0].rank > byEnvironment && list[0].rank <= byFile
		if is {
			l.app.Withheld = append(l.app.Withheld, key)
		}
		return is
	}
	if own("domains") {
		l.app.Domains = nil
	}
	if own("storage.mounts") {
		l.app.Storage = nil
	}
	if own("docker_options.deploy") {
		l.app.DockerOptions.Deploy = nil
	}
	if own("docker_options.run") {
		l.app.DockerOptions.Run = nil
	}
	l.app.Services = slices.DeleteFunc(l.app.Services, func(s Service) bool { return own("service." + s.Name + ".plugin") })
	l.app.Secrets = slices.DeleteFunc(l.app.Secrets, func(name string) bool {
		withheld := !slices.Contains(l.app.Review.Inherit, name)
		if withheld {
			l.app.Withheld = append(l.app.Withheld, "secrets."+name)
		}
		return withheld
	})
}

// reviewAppJSON is app.json as a review app has it: what its environments.review says
// instead of what stands at the top. Of env, scripts and healthchecks, and of what a process
// type's formation says, each entry counts by itself; cron counts as a whole. It is plain
// JSON, without comments. text has been read without a mistake.
func reviewAppJSON(text string) (string, error) {
	plain, err := hujson.Standardize([]byte(text))
	if err != nil {
		return "", err
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(plain, &top); err != nil {
		return "", err
	}
	var environments map[string]map[string]json.RawMessage
	if raw, ok := top["environments"]; ok {
		if err := json.Unmarshal(raw, &environments); err != nil {
			return "", err
		}
		delete(top, "environments")
	}
	review, ok := environments[reviewEnvironment]
	if !ok {
		return text, nil
	}
	for key, value := range review {
		depth := map[string]int{"env": 1, "healthchecks": 1, "scripts": 2, "formation": 2}[key]
		if top[key], err = over(top[key], value, depth); err != nil {
			return "", err
		}
	}
	merged, err := json.MarshalIndent(top, "", "  ")
	return string(merged) + "\n", err
}

// over puts the entries of an object over another's, as deep as it says. What is no object
// on one of the sides counts as a whole.
func over(below, above json.RawMessage, depth int) (json.RawMessage, error) {
	var a, b map[string]json.RawMessage
	if depth == 0 || json.Unmarshal(below, &b) != nil || json.Unmarshal(above, &a) != nil || a == nil || b == nil {
		return above, nil
	}
	merged := maps.Clone(b)
	for key, value := range a {
		one, err := over(b[key], value, depth-1)
		if err != nil {
			return nil, err
		}
		merged[key] = one
	}
	return json.Marshal(merged)
}
