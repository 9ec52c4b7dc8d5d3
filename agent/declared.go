package agent

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// declared is a release document's part of an app's settings, in the settings' own
// words. What a process type or a phase has is a property of its own, as in Dokku.
type declared struct {
	env        map[string]string
	scale      map[string]int
	domains    *[]string
	ports      *[]string
	properties map[string]string
	options    map[string][]string // by property: the lines of docker-options
}

// The properties of docker options, one for each phase (PLUGIN-CONTRACT 5.8).
const (
	optionsBuild  = "docker-options/_default_.build"
	optionsDeploy = "docker-options/_default_.deploy"
	optionsRun    = "docker-options/_default_.run"
)

// mostContainers is the largest scale of a process type.
const mostContainers = 1000

// processProperty is a property of one process type.
func processProperty(plugin, process, key string) string { return plugin + "/" + process + "." + key }

// declaredIn reads what a document declares.
func declaredIn(document api.ReleaseDocument) declared {
	d := declared{env: document.Config, scale: map[string]int{}, properties: map[string]string{}, options: map[string][]string{}}
	said := document.Declared
	if said == nil {
		return d
	}
	d.domains, d.ports = said.Domains, said.Ports
	for name, process := range said.Formation {
		d.process(name, process)
	}
	for key, value := range said.Checks {
		d.properties["checks/"+key] = value
	}
	for key, value := range said.Nginx {
		d.properties["nginx/"+key] = value
	}
	for phase, options := range said.DockerOptions {
		d.options["docker-options/_default_."+phase] = slices.Clone(options)
	}
	for _, mount := range said.Storage { // as storage:mount does
		d.options[optionsDeploy] = append(d.options[optionsDeploy], "-v "+mount)
		d.options[optionsRun] = append(d.options[optionsRun], "-v "+mount)
	}
	return d
}

func (d declared) process(name string, process api.Process) {
	if process.Quantity != nil {
		d.scale[name] = *process.Quantity
	}
	if process.Memory > 0 {
		d.properties[processProperty("resource", name, "limit.memory")] = strconv.FormatInt(process.Memory, 10)
	}
	if process.CPU != "" {
		d.properties[processProperty("resource", name, "limit.cpu")] = process.CPU
	}
	if process.StopTimeout > 0 {
		d.properties[processProperty("ps", name, "stop-timeout-seconds")] = strconv.Itoa(process.StopTimeout)
	}
	if process.MaxParallel != 0 {
		d.properties[processProperty("ps", name, "max-parallel")] = strconv.Itoa(process.MaxParallel)
	}
}

// removeFrom takes out of the settings what was declared once and is no longer.
// usual are the domains that an app has of itself.
func (d declared) removeFrom(s *Settings, now declared, usual []string) {
	for key := range d.env {
		if _, still := now.env[key]; !still {
			delete(s.Env, key)
		}
	}
	for process := range d.scale {
		if _, still := now.scale[process]; !still {
			delete(s.Scale, process)
		}
	}
	for property := range d.properties {
		if _, still := now.properties[property]; !still {
			delete(s.Properties, property)
		}
	}
	for property, options := range d.options {
		removeLines(s.Properties, property, options)
	}
	if d.domains != nil && now.domains == nil {
		s.Domains = slices.Clone(usual)
	}
	if d.ports != nil && now.ports == nil {
		s.Ports = nil
	}
}

// putInto writes what is declared into the settings.
func (d declared) putInto(s *Settings) {
	maps.Copy(s.Env, d.env)
	maps.Copy(s.Scale, d.scale)
	for property, value := range d.properties {
		if !sameMemory(property, s.Properties[property], value) {
			s.Properties[property] = value
		}
	}
	for property, options := range d.options {
		addLines(s.Properties, property, options)
	}
	if d.domains != nil {
		s.Domains = slices.Clone(*d.domains)
	}
	if d.ports != nil {
		s.Ports = slices.Clone(*d.ports)
	}
}

// sameMemory tells that a limit is what it was, in other words: resource:limit keeps it as
// it was written, dokku.hcl's is bytes.
func sameMemory(property, before, after string) bool {
	if !strings.HasSuffix(property, ".limit.memory") || before == "" {
		return false
	}
	was, err := ParseMemory(before)
	if err != nil {
		return false
	}
	is, err := ParseMemory(after)
	return err == nil && is == was
}

// isList tells a property that holds a value a line, which are changed one by one.
func isList(property string) bool { return strings.HasPrefix(property, "docker-options/") }

// linesOf are the values of a list property.
func linesOf(value string) []string {
	var values []string
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	return values
}

func addLines(properties map[string]string, property string, more []string) {
	values := linesOf(properties[property])
	for _, line := range more {
		if !slices.Contains(values, line) {
			values = append(values, line)
		}
	}
	setLines(properties, property, values)
}

func removeLines(properties map[string]string, property string, less []string) {
	setLines(properties, property, slices.DeleteFunc(linesOf(properties[property]), func(line string) bool { return slices.Contains(less, line) }))
}

func setLines(properties map[string]string, property string, values []string) {
	if len(values) == 0 {
		delete(properties, property)
		return
	}
	properties[property] = strings.Join(values, "\n")
}

// applyLines changes a list as it changed between two others: what a command added
// meanwhile stays.
func applyLines(now map[string]string, property, from, to string) {
	if now[property] == from { // nobody changed it meanwhile: it becomes the other, order and all
		delete(now, property)
		if to != "" {
			now[property] = to
		}
		return
	}
	was, is := linesOf(from), linesOf(to)
	removeLines(now, property, slices.DeleteFunc(slices.Clone(was), func(line string) bool { return slices.Contains(is, line) }))
	addLines(now, property, slices.DeleteFunc(is, func(line string) bool { return slices.Contains(was, line) }))
}

// checkDeclared refuses what no client of ours would send.
func checkDeclared(document api.ReleaseDocument) error {
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.InvalidManifest, "read the release document", format, args...)
	}
	d := declaredIn(document)
	for key := range document.Config {
		if err := manifest.EnvKey(key); err != nil {
			return refuse("config: %w", err)
		}
	}
	for process, n := range d.scale {
		if n < 0 || n > mostContainers || manifest.ProcessName(process) != nil {
			return refuse("formation: %s=%d", process, n)
		}
	}
	for property, value := range d.properties {
		if !KnownProperty(property) || strings.ContainsAny(value, "\r\n\x00") {
			return refuse("%q is no property of an app, or its value has more than one line", property)
		}
	}
	for property, options := range d.options {
		for _, option := range options {
			words, err := SplitWords(option)
			if err != nil || strings.ContainsAny(option, "\r\n\x00") || !KnownProperty(property) {
				return refuse("%s: %q is no docker option", property, option)
			}
			if what, problem := manifest.ContainerOptions(words); problem != "" {
				return refuse("%s: %s %s", property, what, problem)
			}
		}
	}
	if d.ports != nil {
		for _, port := range *d.ports {
			if _, err := ParsePortMap(port); err != nil {
				return refuse("ports: %w", err)
			}
		}
	}
	return nil
}
