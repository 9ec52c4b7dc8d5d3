package manifest

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What the values of dokku.hcl may look like. Whether a host answers or a folder
// exists is asked later, by those who use it.

func checkApp(name string) (problem, hint string) {
	if err := ExistingAppName(name); err != nil {
		problem, hint, _ = strings.Cut(err.Error(), "; ")
		return "names no app: " + problem, hint
	}
	return "", ""
}

// checkLabelOfApp is checkApp for a label, which is shown with its block.
func checkLabelOfApp(name string) (problem, hint string) {
	problem, hint = checkApp(name)
	return strings.TrimPrefix(problem, "names no app: "), hint
}

// addressForm is [user@]host[:port] with an IPv6 address in brackets. A leading
// hyphen would be an option to some program.
var addressForm = regexp.MustCompile(`^([A-Za-z0-9_.][A-Za-z0-9_.+$-]*@)?([A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\])(:[0-9]{1,5})?$`)

func checkAddress(text string) (problem, hint string) {
	const write = "write [user@]host[:port], such as dokku@host.example.com; an IPv6 address stands in brackets"
	found := addressForm.FindStringSubmatch(text)
	if found == nil {
		return "is no host to reach over ssh", write
	}
	if port := strings.TrimPrefix(found[4], ":"); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "has the port " + port, "write a port from 1 to 65535"
		}
	}
	return "", ""
}

var (
	fingerprintForm = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}=?$`)
	publicKeyForm   = regexp.MustCompile(`^([^ ]+ )?[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+={0,2}( .*)?$`)
)

func checkHostKey(text string) (problem, hint string) {
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, unicode.IsControl) || !fingerprintForm.MatchString(text) && !publicKeyForm.MatchString(text) {
		return "is neither a fingerprint nor one public key", "write SHA256:… as ssh-keygen -lf prints it, or one line of ssh-keyscan"
	}
	return "", ""
}

// registryForm is a repository: host, port and path.
var registryForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

func checkRegistry(text string) (problem, hint string) {
	const write = "write host/path, such as registry.example.com/team/app"
	switch {
	case len(text) > 255:
		return "is longer than 255 characters", write
	case registryForm.MatchString(text):
		return "", ""
	case strings.Contains(text, "://"):
		return "is a URL", write
	case strings.Contains(path.Base(text), ":"), strings.Contains(text, "@"):
		return "names a tag or a digest", "leave it out: the release decides that"
	}
	return "is no repository of a registry", write
}

// checkRegistryTag takes a repository with or without a tag.
func checkRegistryTag(text string) (problem, hint string) {
	name := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		name = text[:i]
	}
	if problem, _ = checkRegistry(name); problem != "" {
		return "is no image of a registry", "write host/path:tag, such as registry.example.com/team/app:cache"
	}
	return checkBase(text)
}

var platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`)

func checkPlatform(text string) (problem, hint string) {
	if !platformForm.MatchString(text) {
		return "is no platform", "write os/architecture, such as linux/amd64"
	}
	return "", ""
}

func checkBuildpack(text string) (problem, hint string) {
	if problem, _ = checkBase(text); problem != "" {
		return "is no buildpack", "write an id such as heroku/nodejs, with @version if one is meant, or an image"
	}
	return "", ""
}

func checkImagePath(name string) (problem, hint string) {
	if !path.IsAbs(name) || path.Clean(name) != strings.TrimSuffix(name, "/") && name != "/" || strings.ContainsFunc(name, unicode.IsControl) {
		return "is no absolute path", "write where the files go in the image, such as /app"
	}
	return "", ""
}

// checkBase takes a registry reference or a path: which of the two it is shows
// when it is opened.
func checkBase(base string) (problem, hint string) {
	const write = "write an image such as nginx:alpine, or a folder or archive of the project"
	switch {
	case base == "":
		return "is empty", write
	case len(base) > 512:
		return "is longer than 512 characters", write
	case base[0] == '-', strings.ContainsFunc(base, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }):
		return "is no image", write
	}
	return "", ""
}

func checkCommand(command string) (problem, hint string) {
	switch {
	case strings.TrimSpace(command) == "":
		return "is empty", "write the command of the web process, or leave it out"
	case strings.ContainsFunc(command, unicode.IsControl):
		return "holds a control character or a line break", "write one line, or put it into a script"
	}
	return "", ""
}

func checkMountID(id string) (problem, hint string) {
	if id == "" || strings.ContainsFunc(id, func(c rune) bool { return !isWordRune(c) && c != '-' && c != '.' }) {
		return "is no id of a mount", "write what stands after id= in RUN --mount=type=ssh, or default where it has none"
	}
	return "", ""
}

func checkTarget(target string) (problem, hint string) {
	if target == "" || strings.ContainsFunc(target, func(c rune) bool { return !isWordRune(c) && c != '-' && c != '.' }) {
		return "is no stage of a Dockerfile", "write the name after AS"
	}
	return "", ""
}
