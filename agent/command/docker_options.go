package command

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/manifest"
)

// dockerOptionsCommands are the rows of this noun.
func dockerOptionsCommands() []Command {
	return []Command{
		{"docker-options:add", "[--process PROC] <app> <phase(s)> OPTION", "Add a docker option to an app for a phase", dockerOptionsAdd},
		{"docker-options:clear", "[--process PROC] <app> [<phase(s)> ...]", "Clear the docker options of an app, for all phases or some", dockerOptionsClear},
		{"docker-options:remove", "[--process PROC] <app> <phase(s)> OPTION", "Remove a docker option of an app for a phase", dockerOptionsRemove},
		{"docker-options:report", "[<app>] [<flag>]", "Display a docker options report for one or more apps", dockerOptionsReport},
	}
}

// phased reads the app, the process types and the phases of a docker-options command.
func (c *Call) phased(ctx context.Context, needed bool) (app string, properties []string, err error) {
	processes, err := c.options("--process")
	if err != nil {
		return "", nil, err
	}
	if app, err = c.app(ctx); err != nil {
		return "", nil, err
	}
	phases := agent.Phases()
	if len(c.Args) > 0 {
		phases = strings.Split(c.Args[0], ",")
		c.Args = c.Args[1:]
	} else if needed {
		return "", nil, api.Errorf(api.Usage, "", "Please specify a phase: %s", strings.Join(phases, ", "))
	}
	if len(processes) == 0 {
		processes = []string{anyProcess}
	}
	for _, phase := range phases {
		if !slices.Contains(agent.Phases(), phase) {
			return "", nil, api.Errorf(api.Usage, "", "Phase(s) must be one of [%s]: %s", strings.Join(agent.Phases(), " "), phase)
		}
		for _, process := range processes {
			if process != anyProcess && (manifest.ProcessName(process) != nil || phase == "build") {
				return "", nil, api.Errorf(api.Usage, "", "%s has no %s options of its own", process, phase)
			}
			properties = append(properties, "docker-options/"+process+"."+phase)
		}
	}
	return app, properties, nil
}

// anyProcess is in the place of a process type in the properties that are for all.
const anyProcess = "_default_"

// oneOption is the option as it is kept, on one line: as it was quoted, or its words.
func (c *Call) oneOption() (string, error) {
	option := strings.TrimSpace(strings.Join(c.Args, " "))
	if len(c.Args) > 1 {
		words := make([]string, len(c.Args))
		for n, word := range c.Args {
			if words[n] = word; word == "" || strings.ContainsAny(word, " \t'\"\\") {
				words[n] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
			}
		}
		option = strings.Join(words, " ")
	}
	if option == "" {
		return "", api.Errorf(api.Usage, "", "Please specify docker options to add or remove")
	}
	return option, nil
}

func dockerOptionsAdd(ctx context.Context, call *Call) error {
	app, properties, err := call.phased(ctx, true)
	if err != nil {
		return err
	}
	option, err := call.oneOption()
	if err == nil {
		err = call.allowedOption(app, option)
	}
	if err != nil {
		return err
	}
	return call.change(app, func(now *agent.Settings) error {
		for _, property := range properties {
			if lines := linesOf(now.Properties[property]); !slices.Contains(lines, option) {
				putLines(now.Properties, property, append(lines, option))
			}
		}
		return nil
	})
}

func dockerOptionsRemove(ctx context.Context, call *Call) error {
	app, properties, err := call.phased(ctx, true)
	if err != nil {
		return err
	}
	option, err := call.oneOption()
	if err != nil {
		return err
	}
	return call.change(app, func(now *agent.Settings) error {
		for _, property := range properties {
			lines := linesOf(now.Properties[property])
			putLines(now.Properties, property, slices.DeleteFunc(lines, func(line string) bool { return line == option }))
		}
		return nil
	})
}

func dockerOptionsClear(ctx context.Context, call *Call) error {
	app, properties, err := call.phased(ctx, false)
	if err == nil {
		err = call.noMore()
	}
	if err != nil {
		return err
	}
	err = call.change(app, func(now *agent.Settings) error {
		for _, property := range properties {
			delete(now.Properties, property)
		}
		return nil
	})
	if err == nil {
		call.say("Clearing docker-options for %s", app)
	}
	return err
}

func dockerOptionsReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "docker options", func(_ string, settings agent.Settings) ([]reportLine, error) {
		var rows []reportLine
		for _, phase := range agent.Phases() {
			rows = append(rows, reportLine{"Docker options " + phase, strings.Join(linesOf(settings.Properties["docker-options/"+anyProcess+"."+phase]), " ")})
		}
		return append(rows, processLines(settings, "docker-options", "Docker options")...), nil
	})
}

// linesOf are the values of a list property, putLines writes them.
func linesOf(value string) []string {
	return slices.DeleteFunc(strings.Split(value, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
}

func putLines(properties map[string]string, property string, lines []string) {
	delete(properties, property)
	if len(lines) > 0 {
		properties[property] = strings.Join(lines, "\n")
	}
}

// ours are the options that the deploy itself decides, with the command that says it.
var ours = map[string]string{
	"--name": "", "--restart": "ps:set APP restart-policy", "--network": "network:set APP initial-network", "--net": "network:set APP initial-network",
	"--cidfile": "", "--rm": "", "-d": "", "--detach": "", "-t": "", "--tty": "", "-i": "", "--interactive": "", "-a": "", "--attach": "", "--sig-proxy": "",
}

// hostOptions give a container a part of the host (ALSO-REFUSE 47). Over ssh they are
// refused: who has a deploy key may deploy and does not own the host.
var hostOptions = []string{"--privileged", "--cap-add", "--device", "--device-cgroup-rule", "--userns", "--cgroup-parent", "--cgroupns", "--runtime",
	"--volumes-from", "--env-file", "--label-file", "--oom-kill-disable", "--volume-driver"}

// allowedOption refuses what is no option of docker's, what the deploy itself decides, and
// from afar what would hand the host to the app.
func (c *Call) allowedOption(app, option string) error {
	refuse := func(format string, args ...any) *api.Error { return api.Errorf(api.Refused, "", format, args...) }
	if strings.Contains(option, "$(") || strings.Contains(option, "`") || strings.ContainsFunc(option, unicode.IsControl) {
		return refuse("a docker option holds no $( ), backtick or line break: no shell reads it")
	}
	words, err := agent.SplitWords(option)
	if err != nil {
		return api.Errorf(api.Usage, "", "%w: %s", err, option)
	}
	if !strings.HasPrefix(words[0], "-") {
		return api.Errorf(api.Usage, "", "%q is no docker option", option)
	}
	for n, word := range words {
		name, value, inline := strings.Cut(word, "=")
		if !inline && n+1 < len(words) {
			value = words[n+1]
		}
		if command, own := ours[name]; own {
			problem := refuse("%s is what the deploy itself decides", name)
			if command != "" {
				problem = problem.WithHint("use %s", command)
			}
			return problem
		}
		if problem := optionValue(name, value); problem != "" {
			return refuse("%s %s", name, problem)
		}
		if source := mountedBy(name, value); strings.Contains(source, "/") || strings.HasPrefix(source, ".") || strings.HasPrefix(source, "~") {
			if err := c.mountSource(app, source); err != nil {
				return err
			}
		}
		if c.afar() && (slices.Contains(hostOptions, name) || sharesHost(name, value)) {
			return refuse("%s gives the app a part of the host", name).WithHint("its owner can say so there: dokku docker-options:add")
		}
	}
	if !c.afar() {
		return nil
	}
	if what, problem := manifest.ContainerOptions(words); problem != "" { // in every way to write it
		return refuse("%s %s", what, problem).WithHint("the host's owner can say so there: dokku docker-options:add")
	}
	return nil
}

// mountedBy is the host's path or the volume that an option mounts.
func mountedBy(name, value string) string {
	switch {
	case name == "-v" || name == "--volume":
	case strings.HasPrefix(name, "-v"): // -v/path:/path
		value = strings.TrimPrefix(name, "-v")
	case name == "--mount":
		for field := range strings.SplitSeq(value, ",") {
			if key, source, _ := strings.Cut(field, "="); key == "source" || key == "src" {
				return source
			}
		}
		return ""
	default:
		return ""
	}
	source, _, _ := strings.Cut(value, ":")
	return source
}

// afar tells a call over ssh from one on the host.
func (c *Call) afar() bool { return c.By.Fingerprint != "" }

func sharesHost(name, value string) bool {
	switch name {
	case "--pid", "--ipc", "--uts":
		return value == "host" || strings.HasPrefix(value, "container:")
	case "--security-opt":
		return strings.Contains(value, "unconfined") || strings.Contains(value, "disable")
	}
	return false
}

func optionValue(name, value string) (problem string) {
	if name == "--label" || name == "-l" {
		if value == "dokku" || strings.HasPrefix(value, "dokku=") || strings.HasPrefix(value, "com.dokku.") || strings.HasPrefix(value, "com.dokku-push.") {
			return "sets a label of Dokku's own"
		}
	}
	return ""
}
