package manifest

import (
	"regexp"
	"strings"
)

// What labels and other names of dokku.hcl may look like.

var (
	namePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	authorizedForm = regexp.MustCompile(`^(ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9]+|sk-[a-z0-9@.-]+) AAAA[A-Za-z0-9+/]+={0,2}( .*)?$`)
)

// checkLabel takes names that people give: of environments, services, servers.
func checkLabel(name string) (problem, hint string) {
	if len(name) > maxName || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") ||
		strings.ContainsFunc(name, func(c rune) bool { return !isWordRune(c) && c != '-' && c != '.' }) {
		return "has the name " + show(name), "write letters, digits and hyphens, such as production"
	}
	return "", ""
}

func checkHostName(name string) (problem, hint string) {
	if problem, hint = checkLabel(name); problem != "" {
		return "the host's name is " + show(name), hint
	}
	return "", ""
}

func checkPlugin(name string) (problem, hint string) {
	if name == "" || name[0] == '-' || len(name) > maxName || strings.ContainsFunc(name, func(c rune) bool { return !isLabelRune(c) }) {
		return "is " + show(name), "write the plugin's name on the host, such as postgres"
	}
	return "", ""
}

// checkScaled takes process types that run all the time.
func checkScaled(name string) (problem, hint string) {
	if name == Release {
		return "release runs once in each deploy and is never scaled", "take the block out"
	}
	return processName(name)
}

// checkProcessOrAll takes a process type or Dokku's word for all of them.
func checkProcessOrAll(name string) (problem, hint string) {
	if name == "_all_" {
		return "", ""
	}
	return processName(name)
}
