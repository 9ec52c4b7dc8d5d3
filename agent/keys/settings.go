package keys

import (
	"os"
	"strings"
)

// settingsFile is where sshcommand looks for its variables.
const settingsFile = "/etc/defaults/sshcommand"

// Settings are sshcommand's variables (PLUGIN-CONTRACT 3.1).
type Settings struct {
	Allowed           string // SSHCOMMAND_ALLOWED_KEYS
	SameName, SameKey bool   // SSHCOMMAND_CHECK_DUPLICATE_NAME and _FINGERPRINT are false
	Lenient           bool   // SSHCOMMAND_IGNORE_LIST_WARNINGS: listing a file that has no key is no error
}

// FromEnvironment reads the settings: those of sshcommand's file win over the environment,
// as there.
func FromEnvironment() Settings {
	text, _ := os.ReadFile(settingsFile) // most hosts have none
	return settings(string(text), os.Getenv)
}

// settings understands assignments and nothing else: the file is not run.
func settings(text string, getenv func(string) string) Settings {
	set := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && strings.HasPrefix(key, "SSHCOMMAND_") {
			set[key] = strings.Trim(value, `"'`)
		}
	}
	value := func(name string) string {
		if value, ok := set["SSHCOMMAND_"+name]; ok {
			return value
		}
		return getenv("SSHCOMMAND_" + name)
	}
	return Settings{Allowed: plainOptions(value("ALLOWED_KEYS")), Lenient: value("IGNORE_LIST_WARNINGS") != "",
		SameName: value("CHECK_DUPLICATE_NAME") == "false", SameKey: value("CHECK_DUPLICATE_FINGERPRINT") == "false"}
}

// plainOptions is a list of options that stays one word of its line, and none that sets
// another command; else nothing, which stands for the defaults.
func plainOptions(options string) string {
	if strings.ContainsFunc(options, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) || strings.Contains(options, "=") {
		return ""
	}
	return strings.Trim(options, ",")
}

// File is the file of the user whose home that is, with these settings.
func (s Settings) File(home string) File {
	f := At(home)
	f.Allowed, f.SameName, f.SameKey = s.Allowed, s.SameName, s.SameKey
	return f
}
