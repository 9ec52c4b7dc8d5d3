package agent

import (
	"slices"
	"strings"
)

// shellWords are first words that only a shell understands.
var shellWords = []string{"exec", "cd", ".", "source", "export", "set", "unset", "ulimit", "umask", "trap", "eval", ":",
	"if", "for", "while", "until", "case", "{", "!", "[[", "test", "[", "read", "wait", "exit", "return", "shift", "alias", "command", "builtin", "time"}

// containerCommand turns a command line into what the engine is given: its
// words where it has nothing for a shell to do, so that images without a shell
// work and signals reach the program itself; the container's own shell otherwise.
func containerCommand(line string) []string {
	line = strings.TrimSpace(line)
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	if strings.ContainsAny(line, "|&;<>()$`\\\"'*?[]#~!{}\n\t") || strings.Contains(words[0], "=") || slices.Contains(shellWords, words[0]) {
		return []string{"/bin/sh", "-c", line}
	}
	return words
}

// scriptCommand runs a script of app.json or the release task: always by the
// container's shell, ended by the first command that fails.
func scriptCommand(script string) []string {
	return []string{"/bin/sh", "-ec", script}
}
