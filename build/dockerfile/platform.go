package dockerfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	buildkit "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/dokku-push/dokku-push/api"
)

// checkPlatform refuses, before anything is built, an image that the host could not run
// and a step whose programs the builder cannot run. Of a Dockerfile that does not parse,
// and of a platform in a variable of its own, BuildKit tells in its own time.
func (j *job) checkPlatform(ctx context.Context, with *buildkit.Client) error {
	stages := j.stages()
	if len(stages) == 0 {
		return nil
	}
	p := platforms{want: j.request.OS + "/" + j.request.Arch, stages: stages, file: j.from.file}
	if workers, err := with.ListWorkers(ctx); err == nil { // one that does not tell is not asked again
		for _, worker := range workers {
			for _, platform := range worker.Platforms {
				p.runs = append(p.runs, platform.OS+"/"+platform.Architecture)
			}
		}
	}
	return p.check(j.request.App.Build.Dockerfile.Target)
}

func (j *job) stages() []instructions.Stage {
	file, err := os.Open(filepath.Join(j.from.folder, j.from.file))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // it was only read
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil
	}
	return stages
}

// platforms looks at the stages of a Dockerfile.
type platforms struct {
	want   string   // what the host runs: "linux/amd64"
	runs   []string // what the builder runs, its own platform first; empty: nobody knows
	stages []instructions.Stage
	file   string
}

// stage finds a stage by its name or number; of those before a stage, so that none is its
// own ancestor.
func (p platforms) stage(name string, before int) (int, bool) {
	for n := before - 1; n >= 0; n-- {
		if strings.EqualFold(p.stages[n].Name, name) {
			return n, true
		}
	}
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && n < before
}

// of is the platform that a stage has; empty where a variable says it.
func (p platforms) of(n int) string {
	stage := p.stages[n]
	said := strings.NewReplacer("${", "$", "}", "").Replace(strings.ToLower(stage.Platform))
	if parent, ok := p.stage(stage.BaseName, n); ok && said == "" {
		return p.of(parent)
	}
	switch {
	case said == "", said == "$targetplatform":
		return p.want
	case said == "$buildplatform" && len(p.runs) > 0:
		return p.runs[0]
	case strings.Contains(said, "$"):
		return ""
	}
	words := strings.Split(said, "/")
	if len(words) == 1 { // "amd64" and "linux" leave out the other half
		if words[0] == "linux" || words[0] == "windows" {
			return ""
		}
		words = []string{"linux", words[0]}
	}
	arch, ok := map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}[words[1]]
	if !ok {
		arch = words[1]
	}
	return words[0] + "/" + arch
}

func (p platforms) check(target string) error {
	last := len(p.stages) - 1
	if target != "" {
		n, ok := p.stage(target, len(p.stages))
		if !ok {
			return nil // BuildKit names those that there are
		}
		last = n
	}
	if platform := p.of(last); platform != "" && platform != p.want {
		return api.Errorf(api.BuildFailed, "choose the platform", "%s builds for %s, the host runs %s", p.place(p.stages[last].Location), platform, p.want).
			WithHint("leave --platform out of the last FROM: the host's own is built")
	}
	if len(p.runs) == 0 {
		return nil
	}
	return p.checkRuns(last, map[int]bool{})
}

// checkRuns refuses a RUN whose programs the builder cannot run, in a stage or in one that
// it is made of.
func (p platforms) checkRuns(n int, seen map[int]bool) error {
	if seen[n] {
		return nil
	}
	seen[n] = true
	platform := p.of(n)
	for _, command := range p.stages[n].Commands {
		switch command := command.(type) {
		case *instructions.RunCommand:
			if platform != "" && !slices.Contains(p.runs, platform) {
				_, arch, _ := strings.Cut(platform, "/")
				return api.Errorf(api.BuildFailed, "choose the platform", "%s runs a program of %s, and this builder runs %s", p.place(command.Location()), platform, strings.Join(p.kinds(), ", ")).
					WithHint("build on a machine with %s, set BUILDKIT_HOST to one, compile in a stage FROM --platform=$BUILDPLATFORM, or install an emulator (docker run --privileged --rm tonistiigi/binfmt --install %s)", platform, arch)
			}
		case *instructions.CopyCommand:
			if from, ok := p.stage(command.From, n); ok {
				if err := p.checkRuns(from, seen); err != nil {
					return err
				}
			}
		}
	}
	if parent, ok := p.stage(p.stages[n].BaseName, n); ok {
		return p.checkRuns(parent, seen)
	}
	return nil
}

// kinds is what the builder runs, each once.
func (p platforms) kinds() []string {
	var kinds []string
	for _, kind := range p.runs {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func (p platforms) place(ranges []parser.Range) string {
	if len(ranges) == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, ranges[0].Start.Line)
}
