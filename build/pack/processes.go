package pack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dokku-push/dokku-push/manifest"
)

// The places and the label of the Cloud Native Buildpacks' platform specification.
const (
	buildLabel  = "io.buildpacks.build.metadata"
	launcher    = "/cnb/lifecycle/launcher"
	processPath = "/cnb/process/"
)

// process is one process type of an image.
type process struct {
	Type    string   `json:"type"`
	Command words    `json:"command"`
	Args    []string `json:"args"`
	Direct  bool     `json:"direct"`
}

// words is a command: a list since platform API 0.10, one string before.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = words{one}
		return nil
	}
	var all []string
	err := json.Unmarshal(text, &all)
	*w = all
	return err
}

// processesOf reads the process types of an image that a lifecycle has made.
func processesOf(config *v1.ConfigFile) ([]process, error) {
	text, ok := config.Config.Labels[buildLabel]
	if !ok {
		return nil, fmt.Errorf("the image has no label %s", buildLabel)
	}
	var label struct {
		Processes []process `json:"processes"`
	}
	if err := json.Unmarshal([]byte(text), &label); err != nil {
		return nil, fmt.Errorf("read the label %s: %w", buildLabel, err)
	}
	return label.Processes, nil
}

// line writes a process as a line of a Procfile has it. A command that only a shell
// can take in words is shown as the script it is.
func (p process) line() string {
	all := slices.Concat(p.Command, p.Args)
	if n := len(all); n >= 3 && strings.HasPrefix(all[n-2], "-") && strings.HasSuffix(all[n-2], "c") && isShell(all[0]) {
		all = all[n-1:]
	}
	text := strings.Join(all, " ")
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return processPath + p.Type
	}
	return text
}

func isShell(program string) bool {
	return slices.Contains([]string{"sh", "bash", "/bin/sh", "/bin/bash"}, program)
}

// compare tells where the Procfile and the image do not say the same. What the image
// has is what runs.
func compare(procfile *manifest.Procfile, image []process) (notes []string) {
	if procfile == nil {
		return nil
	}
	for _, wanted := range procfile.Processes {
		at := slices.IndexFunc(image, func(p process) bool { return p.Type == wanted.Name })
		if at < 0 {
			notes = append(notes, fmt.Sprintf("no buildpack made a process %s of the Procfile: its line runs by the image's launcher (a procfile buildpack in the builder would make it)", wanted.Name))
			continue
		}
		if has := image[at].line(); same(has) != same(wanted.Command) {
			notes = append(notes, fmt.Sprintf("%s is %q in the Procfile and %q in the image: the image's is what runs", wanted.Name, wanted.Command, has))
		}
	}
	for _, p := range image {
		if _, ok := procfile.Command(p.Type); !ok {
			notes = append(notes, fmt.Sprintf("the image has a process %s (%s) that the Procfile does not name: it is not run", p.Type, p.line()))
		}
	}
	return notes
}

func same(command string) string { return strings.Join(strings.Fields(command), " ") }

// procfileOf writes the Procfile of an image whose project has none. Names that a
// Procfile cannot hold are left out and told.
func procfileOf(image []process) (text string, notes []string) {
	for _, p := range image {
		line := p.Type + ": " + p.line() + "\n"
		if _, found := manifest.ParseProcfile("Procfile", []byte(line)); found.Failed() {
			notes = append(notes, fmt.Sprintf("the image's process %q has a name that a process type cannot have: it is not run", p.Type))
			continue
		}
		text += line
	}
	return text, notes
}
