package agent

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// drift judges what was observed; it looks at nothing else.
func (o observed) drift() []api.DriftFinding {
	current, findings := o.sort()
	if o.work.unfinished != "" {
		findings = append(findings, differs(api.DriftUnfinished, o.work.unfinished, "the request was cut off and waits for recovery", "every request is finished or undone",
			"run `dokku-agent recover %s` on the host; its watch service does so by itself", o.app))
	}
	if o.record == nil {
		return findings
	}
	findings = append(findings, o.formationDrift(current)...)
	for _, label := range slices.Sorted(maps.Keys(current)) {
		c := current[label]
		if c.Image != o.record.Run {
			findings = append(findings, differs(api.DriftImage, label, "it runs the image "+c.Image, fmt.Sprintf("v%d runs %s", o.record.Version, o.record.Run), "dokku ps:rebuild %s", o.app))
		}
		if c.Running {
			findings = append(findings, o.envDrift(label, c)...)
			findings = append(findings, o.networkDrift(label, c)...)
		}
	}
	return slices.Concat(findings, o.imageDrift(), o.nginxDrift(), o.mapDrift(current))
}

// differs makes a finding; the hint is a format.
func differs(code, subject, found, expected, hint string, args ...any) api.DriftFinding {
	return api.DriftFinding{Code: code, Severity: api.SeverityOf(code), Subject: subject, Found: found, Expected: expected, Hint: fmt.Sprintf(hint, args...)}
}

// sort finds the containers of the release, by their labels, and judges all others.
func (o observed) sort() (current map[string]Container, findings []api.DriftFinding) {
	current = map[string]Container{}
	for _, c := range o.containers {
		i, ok := instanceOf(c)
		switch {
		case c.Labels[labelHost] == o.host && c.Labels[labelType] == "phase":
			findings = append(findings, o.stale(c))
		case c.Labels[labelHost] == o.host && c.Labels[labelType] != "deploy":
			// A command that somebody runs just now.
		case c.Labels[labelHost] != o.host || !ok:
			findings = append(findings, o.unowned(c))
		case c.Name == i.finalName(o.app) && o.record != nil && i.Index <= o.record.Formation[i.Process]:
			current[i.label()] = c
		case c.Name == i.finalName(o.app):
			findings = append(findings, differs(api.DriftExtra, c.Name, "it is there, "+c.Status, "the release has no "+i.label(), "docker rm -f %s", c.Name))
		case retiring(o.app, c) && o.work.retiring:
			// It waits for its last connections, and goes by itself.
		case retiring(o.app, c), strings.HasPrefix(c.Name, i.finalName(o.app)+upcoming):
			findings = append(findings, o.stale(c))
		default:
			findings = append(findings, o.unowned(c))
		}
	}
	return current, findings
}

func (o observed) stale(c Container) api.DriftFinding {
	return differs(api.DriftStale, c.Name, "it was left behind, "+c.Status, "it goes with the deploy that made or replaced it",
		"run `dokku-agent recover %s` on the host, or docker rm -f %s", o.app, c.Name)
}

func (o observed) unowned(c Container) api.DriftFinding {
	return differs(api.DriftUnowned, c.Name, "it bears the app's label, "+c.Status, "no release of the app has made it", "see who started it: docker inspect %s", c.Name)
}

// formationDrift compares which containers there are, and how many are asked for.
func (o observed) formationDrift(current map[string]Container) []api.DriftFinding {
	var findings []api.DriftFinding
	stopped := o.settings.Properties["ps/restore"] == "false" // by ps:stop
	start := "dokku ps:restart " + o.app
	for _, process := range slices.Sorted(maps.Keys(o.record.Formation)) {
		for index := range o.record.Formation[process] {
			label := instance{Process: process, Index: index + 1}.label()
			c, there := current[label]
			switch {
			case !there && !stopped:
				findings = append(findings, differs(api.DriftMissing, label, "there is no container", fmt.Sprintf("v%d has one", o.record.Version), "%s", start))
			case there && !c.Running && !stopped:
				found := fmt.Sprintf("%s, exit code %d", c.Status, c.ExitCode)
				if c.OOMKilled {
					found += ", out of memory"
				}
				findings = append(findings, differs(api.DriftStopped, label, found, "running", "see dokku logs %s; then %s", o.app, start))
			case there && c.Running && stopped:
				findings = append(findings, differs(api.DriftRunning, label, "running", "stopped, by ps:stop", "dokku ps:stop %s, or ps:start", o.app))
			}
		}
	}
	both := maps.Clone(o.settings.Scale)
	if both == nil {
		both = map[string]int{}
	}
	maps.Copy(both, o.record.Formation)
	for _, process := range slices.Sorted(maps.Keys(both)) {
		if asked, runs := o.settings.Scale[process], o.record.Formation[process]; asked != runs {
			findings = append(findings, differs(api.DriftScale, process, fmt.Sprintf("v%d runs %d", o.record.Version, runs), fmt.Sprintf("scaled to %d", asked),
				"dokku ps:scale %s %s=%d", o.app, process, asked))
		}
	}
	return findings
}

// envDrift compares a container's variables with the settings. Values are never told.
func (o observed) envDrift(label string, c Container) []api.DriftFinding {
	want, have, image := o.env(), variables(c.Env), variables(o.images[c.Image].Env)
	var missing, changed, extra []string
	for name, value := range want {
		now, ok := have[name]
		switch {
		case ours(name):
		case !ok:
			missing = append(missing, name)
		case now != value:
			changed = append(changed, name)
		}
	}
	for name, value := range have {
		if _, set := want[name]; set || ours(name) || image[name] == value && has(image, name) {
			continue
		}
		if has(o.record.Settings.Env, name) || !o.foreign {
			extra = append(extra, name)
		}
	}
	var findings []api.DriftFinding
	for _, one := range []struct {
		code, found, expected string
		names                 []string
	}{
		{api.DriftEnvMissing, "not in its environment", "set", missing},
		{api.DriftEnvChanged, "another value in its environment", "the value that is set", changed},
		{api.DriftEnvExtra, "in its environment", "not set", extra},
	} {
		if len(one.names) == 0 {
			continue
		}
		slices.Sort(one.names)
		finding := differs(one.code, label, strings.Join(one.names, ", ")+": "+one.found, one.expected, "dokku ps:restart %s", o.app)
		finding.Names = one.names
		findings = append(findings, finding)
	}
	return findings
}

// ours tells the variables that each container is given for itself.
func ours(name string) bool { return name == "DYNO" || name == "PORT" }

func has(m map[string]string, name string) bool {
	_, ok := m[name]
	return ok
}

// variables reads NAME=value pairs.
func variables(pairs []string) map[string]string {
	env := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

var engineID = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// networkDrift compares the networks a container is in with the one it was created in
// and those that network:set names. One that was named by its id cannot be compared.
func (o observed) networkDrift(label string, c Container) []api.DriftFinding {
	created := c.Network
	switch {
	case created == "default":
		created = "bridge"
	case created == "" || strings.HasPrefix(created, "container:") || engineID.MatchString(created):
		return nil
	}
	var findings []api.DriftFinding
	if !slices.Contains(c.Networks, created) {
		finding := differs(api.DriftNetworkMissing, label, "not in the network "+created, "it was created in it", "docker network connect %s %s, or dokku ps:restart %s", created, c.Name, o.app)
		finding.Names = []string{created}
		findings = append(findings, finding)
	}
	extra := slices.DeleteFunc(slices.Clone(c.Networks), func(name string) bool { return name == created || slices.Contains(o.networks, name) })
	if len(extra) > 0 {
		finding := differs(api.DriftNetworkExtra, label, "in the network "+strings.Join(extra, ", "), "in "+strings.Join(append([]string{created}, o.networks...), ", "),
			"declare it (network:set %s attach-post-create NETWORK), or docker network disconnect it", o.app)
		finding.Names = extra
		findings = append(findings, finding)
	}
	return findings
}

// imageDrift compares what the engine has with the release's image.
func (o observed) imageDrift() []api.DriftFinding {
	switch {
	case o.gone:
		return []api.DriftFinding{differs(api.DriftImageGone, o.record.Run, "not in the engine", fmt.Sprintf("v%d runs it", o.record.Version), "push again: dokku-push --app %s", o.app)}
	case o.latest == "":
		return []api.DriftFinding{differs(api.DriftTag, imageName(o.app, tag), "no image", o.record.Run, "docker tag %s %s", o.record.Run, imageName(o.app, tag))}
	case o.latest != o.record.Run:
		return []api.DriftFinding{differs(api.DriftTag, imageName(o.app, tag), o.latest, o.record.Run, "docker tag %s %s", o.record.Run, imageName(o.app, tag))}
	}
	return nil
}

// nginxDrift compares the live nginx file with what the agent has written, and that
// with what the settings give now.
func (o observed) nginxDrift() []api.DriftFinding {
	const name = "nginx.conf"
	if o.settings.Properties["proxy/disabled"] == "true" {
		return nil
	}
	again := "dokku ps:rebuild " + o.app
	switch {
	case o.conf == nil && (o.loaded != nil || o.record.Formation["web"] > 0):
		return []api.DriftFinding{differs(api.DriftNginxMissing, name, "not there", "the app's site", "%s", again)}
	case o.conf == nil:
		return nil
	case o.loaded != nil && !bytes.Equal(o.conf, o.loaded):
		return []api.DriftFinding{differs(api.DriftNginxEdited, name, "edited since nginx was given it", "what the agent wrote",
			"put lasting changes into nginx.conf.sigil or nginx.conf.d; %s makes it anew", again)}
	case len(o.fresh) > 0 && !slices.ContainsFunc(o.fresh, func(fresh []byte) bool { return bytes.Equal(fresh, o.conf) }):
		return []api.DriftFinding{differs(api.DriftNginxEdited, name, "not what the settings give", "what the agent would write now",
			"put lasting changes into nginx.conf.sigil or nginx.conf.d; %s makes it anew", again)}
	}
	return nil
}

// mapDrift compares where the app's addresses lead with where its containers are.
func (o observed) mapDrift(current map[string]Container) []api.DriftFinding {
	if !o.mapped {
		return nil
	}
	leads := map[int]Backend{}
	for _, backend := range o.pointed {
		leads[backend.Index] = backend
	}
	var findings []api.DriftFinding
	for _, label := range slices.Sorted(maps.Keys(current)) {
		c := current[label]
		i, _ := instanceOf(c)
		i.Port = envPort(c.Env)
		for _, want := range backendsOf([]instance{i}) {
			expected := fmt.Sprintf("%s:%d", want.Address, want.Port)
			hint := "dokku-agent's watch service mends it within a minute; `dokku-agent recover %s` does now"
			switch now, ok := leads[want.Index]; {
			case !ok:
				findings = append(findings, differs(api.DriftMapMissing, label, "its address leads nowhere", expected, hint, o.app))
			case now != want:
				findings = append(findings, differs(api.DriftMapOther, label, fmt.Sprintf("its address leads to %s:%d", now.Address, now.Port), expected, hint, o.app))
			}
		}
	}
	return findings
}

// leftoverDrift tells what is left of an app that does not exist.
func leftoverDrift(left []Leftover) []api.DriftFinding {
	findings := []api.DriftFinding{}
	for _, one := range left {
		hint := "look whether anybody needs it, then remove it"
		switch one.Kind {
		case "container":
			hint = "docker rm -f " + one.Name
		case "image":
			hint = "docker rmi " + one.Name
		}
		findings = append(findings, differs(api.DriftLeftover, one.Name, "the "+one.Kind+" is there", "nothing: there is no app "+one.App, "%s", hint))
	}
	return findings
}
