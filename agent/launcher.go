package agent

import (
	"encoding/json"
	"slices"

	"github.com/dokku-push/dokku-push/manifest"
)

// What an image made by Cloud Native Buildpacks has, by their platform specification: a
// label that lists its process types, a program for each of them, and the launcher,
// which runs any command in the environment that the buildpacks have prepared. Dokku
// starts such images in the same way: its builder-pack names the process type as the
// entrypoint.
const (
	labelBuildpacks = "io.buildpacks.build.metadata"
	launcher        = "/cnb/lifecycle/launcher"
	processPath     = "/cnb/process/"
)

// start is what a container runs: its entrypoint and its command. The zero value is what
// the image says itself.
type start struct{ entrypoint, command []string }

// startOf is how a process type of an image runs. Of an image of buildpacks its own process
// of that name is taken, whatever the Procfile's line says: the buildpacks have read
// the Procfile.
func startOf(image Image, process, line string) start {
	if image.has(process) {
		return start{entrypoint: []string{processPath + process}}
	}
	return commandIn(image, containerCommand(line))
}

// commandIn is how a command runs in a container of an image.
func commandIn(image Image, command []string) start {
	if len(command) == 0 || !image.launches() {
		return start{command: command}
	}
	return start{entrypoint: []string{launcher}, command: append([]string{"--"}, command...)}
}

// scriptIn is how a script runs in a container of an image, whatever its entrypoint.
func scriptIn(image Image, script string) start {
	command := scriptCommand(script)
	if !image.launches() {
		return start{entrypoint: command[:1], command: command[1:]}
	}
	return commandIn(image, command)
}

// releaseIn is how the release task runs: the image's own, where it has one.
func releaseIn(image Image, task string) start {
	if image.has(manifest.Release) {
		return startOf(image, manifest.Release, task)
	}
	return scriptIn(image, task)
}

// launches says whether the image has a launcher.
func (i Image) launches() bool { return i.Labels[labelBuildpacks] != "" }

// has says whether buildpacks made a process of that type.
func (i Image) has(process string) bool {
	type named struct {
		Type string `json:"type"`
	}
	var label struct {
		Processes []named `json:"processes"`
	}
	return json.Unmarshal([]byte(i.Labels[labelBuildpacks]), &label) == nil && slices.Contains(label.Processes, named{process})
}
