package manifest

import (
	"regexp"
	"slices"
	"strings"
)

// flagOptions are options of docker that take no value.
const flagOptions = `init no-healthcheck read-only publish-all P no-cache pull`

// ContainerOptions judges docker's options for a container or a build, word by word as
// docker reads them: what an app may say of itself. Of one that it may not the option and
// the problem are told; without a problem all are fine.
func ContainerOptions(words []string) (option, problem string) {
	for len(words) > 0 {
		name, value, rest := nextOption(words)
		option, words = words[0], rest
		switch known := strings.Fields(runOptions + " " + buildOptions); {
		case name == "":
			return option, "is no option of docker"
		case slices.Contains(strings.Fields(ownOptions), name):
			return option, "is what the deploy itself decides"
		case slices.Contains(strings.Fields(hostOptions), name):
			return option, "gives the app a part of the host"
		case !slices.Contains(known, name):
			return option, "is not known to docker"
		}
		if problem, _ := optionValue(name, value); problem != "" {
			return option, problem
		}
	}
	return "", ""
}

// MountSources are the folders of the host, and the volumes, that options would mount.
func MountSources(words []string) (sources []string) {
	for len(words) > 0 {
		var name, value string
		name, value, words = nextOption(words)
		switch name {
		case "v", "volume":
			if source, _, named := strings.Cut(value, ":"); named {
				sources = append(sources, source)
			}
		case "mount":
			for field := range strings.SplitSeq(value, ",") {
				if key, source, _ := strings.Cut(field, "="); strings.EqualFold(key, "source") || strings.EqualFold(key, "src") {
					sources = append(sources, source)
				}
			}
		}
	}
	return sources
}

// nextOption takes one option with its value from the front of words. The name is empty
// where docker would see no option: there the name of an image would stand.
func nextOption(words []string) (name, value string, rest []string) {
	word, rest := words[0], words[1:]
	inline := false
	if long, ok := strings.CutPrefix(word, "--"); ok {
		name, value, inline = strings.Cut(long, "=")
	} else if short, ok := strings.CutPrefix(word, "-"); ok && short != "" {
		// Behind a letter stands its value; behind one that takes none, the next letter.
		name, value = short[:1], strings.TrimPrefix(short[1:], "=")
		inline = short[1:] != ""
		if inline && strings.Contains("ditqP", name) {
			return ownFlag, "", rest
		}
	}
	if !inline && !slices.Contains(strings.Fields(flagOptions), name) && len(rest) > 0 && !strings.HasPrefix(rest[0], "--") {
		value, rest = rest[0], rest[1:]
	}
	return name, value, rest
}

// ownFlag is an option of the deploy's own, for letters that stand together.
const ownFlag = "detach"

// mountFields looks at what --mount names, as docker reads it: the case of a key counts
// for nothing, the last of two counts, and quotes would hide a field.
func mountFields(text string) (problem, hint string) {
	const write = "write type=volume,source=NAME,target=/PATH, or -v HOST_PATH:/PATH"
	if strings.ContainsAny(text, `"'`) {
		return "holds quotes", write
	}
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "source", "src":
			if problem, hint = mountSource(strings.TrimSpace(value)); problem != "" {
				return problem, hint
			}
		case "type", "target", "dst", "destination", "readonly", "ro", "consistency", "bind-propagation", "bind-nonrecursive", "bind-recursive",
			"volume-nocopy", "volume-label", "volume-subpath", "tmpfs-size", "tmpfs-mode":
		default: // volume-opt and volume-driver mount what they like
			return "has the field " + show(key), write
		}
	}
	return "", ""
}

// variableOption is an option of docker that carries KEY=VALUE, with its word, however that
// is quoted.
var variableOption = regexp.MustCompile(`(^|\s)(-e[\s=]*|--(?:env|build-arg|log-opt)[\s=]\s*)((?:\\.|"[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"'])+)`)

// HideValues replaces the values of variables in docker's options, as one text, by what hide
// makes of each: they may be secrets. Of log-opt it is those whose name says so.
func HideValues(options string, hide func(key, value string) string) string {
	return variableOption.ReplaceAllStringFunc(options, func(found string) string {
		parts := variableOption.FindStringSubmatch(found)
		key, value, said := strings.Cut(strings.NewReplacer(`"`, "", `'`, "").Replace(parts[3]), "=")
		if !said || strings.Contains(parts[2], "log-opt") && !looksSecret(key, value) {
			return found
		}
		return parts[1] + parts[2] + key + "=" + hide(key, value)
	})
}
