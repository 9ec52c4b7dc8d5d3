package agent

import (
	"errors"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// SplitWords splits text at blanks; single and double quotes and backslashes
// keep blanks inside a word. Nothing else has a meaning: no variable, no command,
// no pattern is ever expanded.
func SplitWords(text string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  rune
		escape bool
	)
	for _, c := range text {
		switch {
		case escape:
			word.WriteRune(c)
			escape = false
		case c == '\\' && quote != '\'':
			escape, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if inWord {
				words, inWord = append(words, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 || escape {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// declaredArgs are the docker options that an app's settings say for a phase.
func declaredArgs(settings Settings, property string) ([]string, error) {
	var args []string
	for _, line := range linesOf(settings.Properties[property]) {
		words, err := SplitWords(line)
		if err != nil {
			return nil, api.Errorf(api.Precondition, "read the docker options", "%w: %s", err, line).WithHint("docker-options:remove it")
		}
		args = append(args, words...)
	}
	return args, nil
}
