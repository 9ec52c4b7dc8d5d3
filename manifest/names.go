package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxName   = 63         // bytes of an app or a process type: one DNS label
	maxEnvKey = 256        // bytes
	maxValue  = 128 * 1024 // bytes of one environment value: what Linux lets a process be given
)

// reservedApps are names that the host needs itself: the word for all apps, the
// user, and folders beside the apps.
var reservedApps = [...]string{"global", "dokku", "tls"}

// AppName says whether an app of this name may be created: lower-case letters,
// digits, inner hyphens and dots, at most 63 bytes, no word that the host
// reserves. The error's one line says what to write instead.
func AppName(name string) error {
	if err := ExistingAppName(name); err != nil {
		return err
	}
	problem := ""
	switch {
	case strings.HasSuffix(name, "-"), strings.HasSuffix(name, "."):
		problem = "ends with " + name[len(name)-1:]
	case strings.Contains(name, ".."):
		problem = "holds two dots in a row"
	case slices.Contains(reservedApps[:], name):
		return fmt.Errorf("app name %s is reserved; write another one, such as %s-app", name, name)
	default:
		return nil
	}
	return errors.New(suggest("app name "+show(name)+" "+problem, fixName(name, true)))
}

// ExistingAppName says whether Dokku itself could have made an app of this name:
// names that AppName no longer gives to new apps are still good for old ones.
func ExistingAppName(name string) error {
	problem := ""
	switch {
	case name == "":
		return errors.New("the app name is empty; write lower-case letters, digits and hyphens, such as my-app")
	case len(name) > maxName:
		problem = fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.IndexByte("-.", name[0]) >= 0:
		problem = "begins with " + name[:1]
	case strings.ContainsFunc(name, func(r rune) bool { return !isLabelRune(r) && r != '.' }):
		problem = "holds more than lower-case letters, digits, hyphens and dots"
	default:
		return nil
	}
	return errors.New(suggest("app name "+show(name)+" "+problem, fixName(name, true)))
}

// ProcessName says whether a process type may have this name: a DNS label.
func ProcessName(name string) error {
	if problem, hint := processName(name); problem != "" {
		return errors.New(problem + "; " + hint)
	}
	return nil
}

func processName(name string) (problem, hint string) {
	switch {
	case name == "":
		return "the name of the process type is empty", "write one, such as web"
	case len(name) > maxName:
		problem = fmt.Sprintf("is longer than %d bytes", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !isLabelRune(r) }):
		problem = "holds more than lower-case letters, digits and hyphens"
	case strings.HasPrefix(name, "-"), strings.HasSuffix(name, "-"):
		problem = "begins or ends with a hyphen"
	default:
		return "", ""
	}
	problem = "process type " + show(name) + " " + problem
	if fixed := fixName(name, false); fixed != "" {
		return problem, "write " + fixed
	}
	return problem, "write lower-case letters, digits and inner hyphens"
}

// EnvKey says whether an environment variable may have this name. Which of them
// people may set themselves is not asked.
func EnvKey(key string) error {
	if problem, hint := envKey(key); problem != "" {
		return errors.New(problem + "; " + hint)
	}
	return nil
}

func envKey(key string) (problem, hint string) {
	const hold = "a name holds letters, digits and _ and does not begin with a digit"
	switch {
	case key == "":
		return "the name of the variable is empty", hold
	case len(key) > maxEnvKey:
		return fmt.Sprintf("variable %s has a name of more than %d bytes", show(key), maxEnvKey), "write a shorter one"
	case key[0] >= '0' && key[0] <= '9', strings.ContainsFunc(key, func(r rune) bool { return !isWordRune(r) }):
		return "variable " + show(key) + " has a name that no environment carries", hold
	}
	return "", ""
}

// declaredKey is envKey for files: they may not set what the host sets or what
// would change programs of the host. People may, by command.
func declaredKey(key string) (problem, hint string) {
	if problem, hint = envKey(key); problem != "" {
		return problem, hint
	}
	switch {
	case key == "PORT", key == "GIT_REV":
		return key + " is set by the host in every deploy", "take it out"
	case key == "PATH", key == "LD_PRELOAD":
		return key + " decides which programs run", "set it in the image instead"
	case strings.HasPrefix(strings.ToUpper(key), "DOKKU_"):
		return key + " is one of the host's own settings", "set it with the command config:set where it is meant"
	}
	return "", ""
}

// checkValue refuses what no environment can carry.
func checkValue(value string) (problem, hint string) {
	switch {
	case strings.IndexByte(value, 0) >= 0:
		return "the value holds a NUL byte", "take it out: no environment carries one"
	case len(value) > maxValue:
		return fmt.Sprintf("the value is larger than %d KiB", maxValue>>10), "put it into a file of the image"
	}
	return "", ""
}

func isLabelRune(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' }

func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

// fixName makes a good name of one that is not, or "" when nothing of it is left.
func fixName(name string, dots bool) string {
	var fixed strings.Builder
	var last byte = '-' // no separator first, none after another
	for _, r := range strings.ToLower(strings.ToValidUTF8(name, "")) {
		c := byte('-')
		switch {
		case isLabelRune(r):
			c = byte(r)
		case r == '.' && dots:
			c = '.'
		case r > 0x7e:
			continue
		}
		if strings.IndexByte("-.", c) >= 0 && strings.IndexByte("-.", last) >= 0 {
			continue
		}
		fixed.WriteByte(c)
		last = c
	}
	text := fixed.String()
	return strings.Trim(text[:min(len(text), maxName)], "-.")
}

func suggest(problem, fixed string) string {
	if fixed == "" || slices.Contains(reservedApps[:], fixed) {
		return problem + "; write lower-case letters, digits and inner hyphens, such as my-app"
	}
	return problem + "; write " + fixed
}
