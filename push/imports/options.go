package imports

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// service is a service of a plugin that the app is linked to.
type service struct{ plugin, name string }

var linkForm = regexp.MustCompile(`^--link[ =]dokku\.([a-z0-9-]+)\.([A-Za-z0-9_.-]+):(\S+)$`)

// phases are those that docker options have.
var phases = []string{"build", "deploy", "run"}

// secretOptions carry values that may be secrets.
var secretOptions = []string{"-e", "--env", "--build-arg", "--log-opt", "--secret"}

// dockerOptions reads docker options, mounts and the links of services among them.
func (l *look) dockerOptions(ctx context.Context) error {
	r, err := l.must(ctx, "docker-options:report", "docker-options", l.app)
	if err != nil {
		return err
	}
	options := map[string][]string{}
	for _, phase := range phases {
		all, ok := splitOptions(r.get(phase))
		if !ok {
			return unknownSecret("docker-options:report "+l.app+" ("+phase+")", 0)
		}
		options[phase] = all
	}
	l.processOptions(r)
	mounts := l.mounts(options)
	rows := []row{}
	for _, phase := range phases {
		var kept []string
		for _, option := range options[phase] {
			if l.keepsOption(phase, option, mounts) {
				kept = append(kept, option)
			}
		}
		if len(kept) > 0 {
			rows = append(rows, row{phase, list(kept)})
		}
	}
	if len(mounts) > 0 {
		l.file.block("storage", []row{{"mounts", list(mounts)}})
	}
	l.file.block("docker_options", rows)
	return nil
}

// processOptions names the process types that have options of their own.
func (l *look) processOptions(r report) {
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		name := strings.TrimPrefix(key, "docker-options-")
		process, phase, ok := strings.Cut(name, ".")
		if ok && slices.Contains(phases, phase) && process != "_default_" && r.values[key] != "" {
			l.stay("docker options of the process type " + process + " alone (" + phase + ")")
		}
	}
}

// mounts are what storage:mount makes: mounts of deploys and of run alike.
func (l *look) mounts(options map[string][]string) (mounts []string) {
	for _, option := range options["deploy"] {
		mount, ok := mountOf(option)
		if !ok || !slices.ContainsFunc(options["run"], func(other string) bool { same, ok := mountOf(other); return ok && same == mount }) {
			continue
		}
		if !slices.Contains(mounts, mount) && l.takes("storage "+mount, "storage {\n  mounts = ["+quote(mount)+"]\n}\n") {
			mounts = append(mounts, mount)
		}
	}
	return mounts
}

func mountOf(option string) (string, bool) {
	for _, flag := range []string{"-v ", "--volume ", "--volume=", "-v="} {
		if mount, ok := strings.CutPrefix(option, flag); ok {
			return strings.Trim(strings.TrimSpace(mount), `"'`), true
		}
	}
	return "", false
}

// keepsOption tells whether an option stands in docker_options.
func (l *look) keepsOption(phase, option string, mounts []string) bool {
	if found := linkForm.FindStringSubmatch(option); found != nil {
		l.link(service{found[1], found[2]}, found[3])
		return false
	}
	mount, isMount := mountOf(option)
	if isMount {
		if slices.Contains(mounts, mount) && phase != "build" || slices.ContainsFunc(l.stays, func(s string) bool { return strings.HasPrefix(s, "storage "+mount+":") }) {
			return false
		}
	}
	flag, value := cutOption(option)
	key, _, _ := strings.Cut(strings.Trim(value, `"'`), "=")
	if slices.Contains(secretOptions, flag) && !slices.Contains(l.options.Plain, key) {
		l.stay("docker option " + flag + " " + comment(key) + "=… (" + phase + "): its value may be a secret")
		return false
	}
	if secretWords.MatchString(value) && !slices.Contains(secretOptions, flag) && !isMount {
		l.stay("docker option " + flag + " … (" + phase + "): its value may be a secret")
		return false
	}
	return l.takes("docker option "+option+" ("+phase+")", "docker_options {\n  "+phase+" = ["+quote(option)+"]\n}\n")
}

// link remembers a service, and the name of its container, which its URLs have.
func (l *look) link(s service, container string) {
	if !slices.Contains(l.services, s) {
		l.services = append(l.services, s)
	}
	for _, name := range []string{container, "dokku-" + s.plugin + "-" + s.name} {
		if name = strings.ReplaceAll(name, "_", "-"); !slices.Contains(l.linked, name) {
			l.linked = append(l.linked, name)
		}
	}
}

// cutOption parts an option from its value.
func cutOption(option string) (flag, value string) {
	if n := strings.IndexAny(option, " ="); n >= 0 {
		return option[:n], strings.TrimSpace(option[n+1:])
	}
	return option, ""
}

// splitOptions parts the options of a phase, which reports write on one line. An option
// begins with a hyphen, and has what follows up to the next.
func splitOptions(text string) (options []string, ok bool) {
	var words []string
	start, quoted := -1, byte(0)
	for n := 0; n < len(text); n++ {
		c := text[n]
		switch {
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted == '"' && c == '\\' || quoted == 0 && c == '\\':
			n++
		case quoted == 0 && (c == '"' || c == '\''):
			quoted = c
		case quoted == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if start >= 0 {
				words, start = append(words, text[start:n]), -1
			}
			continue
		}
		if start < 0 {
			start = min(n, len(text)-1)
			if c == '\\' {
				start = n - 1
			}
		}
	}
	if start >= 0 {
		words = append(words, text[start:])
	}
	for _, word := range words {
		number := len(word) > 1 && word[0] == '-' && word[1] >= '0' && word[1] <= '9'
		switch {
		case word[0] == '-' && !number:
			options = append(options, word)
		case len(options) == 0:
			return nil, false
		default:
			options[len(options)-1] += " " + word
		}
	}
	return options, quoted == 0
}
