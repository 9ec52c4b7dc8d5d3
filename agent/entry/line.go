package entry

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// line is a command line, taken apart.
type line struct {
	word  string
	args  []string // behind the word, without --app X
	rest  []string // behind the word, as they were given: what plugins see
	app   string   // --app
	quiet bool
	force bool
	flags []string // every --word, for DOKKU_GLOBAL_FLAGS
}

var gitCommand = regexp.MustCompile(`^\S*git[-:]`)

// Words splits SSH_ORIGINAL_COMMAND (PLUGIN-CONTRACT 2.5): git commands at blanks,
// all others with quotes and backslashes honoured. Nothing is ever expanded.
func Words(original string) ([]string, error) {
	if strings.ContainsAny(original, "\x00\n\r") {
		return nil, api.Errorf(api.Usage, "read the command", "it holds a newline or a NUL")
	}
	if gitCommand.MatchString(original) {
		return strings.Fields(original), nil
	}
	words, err := agent.SplitWords(original)
	if err != nil {
		return nil, api.Errorf(api.Usage, "read the command", "%w", err)
	}
	return words, nil
}

// parse finds the flags (PLUGIN-CONTRACT 2.3): --quiet, --trace, --force and --app X
// count anywhere; leading ones are taken off, later ones the command sees too.
func parse(args []string) line {
	var parsed line
	leading := true
	for n := 0; n < len(args); n++ {
		word := args[n]
		isFlag := strings.HasPrefix(word, "--") && word != "--version" && word != "--"
		switch word {
		case "--quiet":
			parsed.quiet = true
		case "--force":
			parsed.force = true
		}
		value := ""
		if word == "--app" && n+1 < len(args) {
			parsed.app, value = args[n+1], "="+args[n+1]
		}
		if isFlag {
			parsed.flags = append(parsed.flags, word+value)
		}
		switch {
		case leading && isFlag:
			if value != "" {
				n++
			}
		case leading:
			parsed.word, parsed.rest, leading = word, slices.Clone(args[n+1:]), false
		default:
			if value != "" { // --app X names the app; our commands take it from there
				n++
				continue
			}
			parsed.args = append(parsed.args, word)
		}
	}
	if parsed.word == "" {
		parsed.word = "help"
	}
	return parsed
}

// Asked is the command that a call asks for, behind its leading flags. original is
// SSH_ORIGINAL_COMMAND; words that cannot be split ask for nothing.
func Asked(args []string, original string) string {
	if original != "" {
		words, err := Words(original)
		if err != nil {
			return ""
		}
		args = words
	}
	return parse(args).word
}

// export puts what the flags mean into the environment, for plugins
// (PLUGIN-CONTRACT 2.2). The outermost call's flags stay.
func (l line) export() {
	set := map[string]string{"DOKKU_COMMAND": l.word}
	for _, flag := range l.flags {
		switch flag {
		case "--quiet":
			set["DOKKU_QUIET_OUTPUT"] = "1"
		case "--trace":
			set["DOKKU_TRACE"] = "1"
		case "--force":
			set["DOKKU_APPS_FORCE_DELETE"] = "1"
		}
	}
	if l.app != "" {
		set["DOKKU_APP_NAME"] = l.app
	}
	if os.Getenv("DOKKU_GLOBAL_FLAGS") == "" && len(l.flags) > 0 {
		set["DOKKU_GLOBAL_FLAGS"] = strings.Join(l.flags, " ")
	}
	for key, value := range set {
		_ = os.Setenv(key, value) // fails only for names that are not valid
	}
}
