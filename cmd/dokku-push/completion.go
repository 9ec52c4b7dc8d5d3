package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/push/report"
)

// logFormats are what --log-format takes.
func logFormats() []string { return []string{"auto", "plain", "github", "json"} }

// shells are those that completions are written for.
func shells() []string { return []string{"bash", "zsh", "fish"} }

// completion writes what makes a shell complete this program's words: made of the table
// of commands alone, so that completing asks no host and starts no program.
func (c *client) completion() error {
	if len(c.args) != 1 {
		return api.Errorf(api.Usage, "", "completion takes the name of a shell, not %q", c.args).WithHint("source <(dokku-push completion bash)")
	}
	write := map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.args[0]]
	if write == nil {
		return api.Errorf(api.Usage, "", "there are no completions for %q", c.args[0]).WithHint("%s are known", strings.Join(shells(), ", "))
	}
	_, err := io.WriteString(c.out, write(completions()))
	return err
}

// operand is what may stand in one place: one of words, a file, a folder, or something
// that only the one who types knows.
type operand struct {
	words          []string
	files, folders bool
}

// completed is a command as shells hear of it.
type completed struct {
	name, about string
	flags       []completedFlag
	operands    []operand
	rest        bool // the last operand may stand there again
}

// completedFlag is a flag of a command.
type completedFlag struct {
	long, short, about string
	takes              bool // a value, after a space or =
	may                bool // take a value, after = alone
	again              bool // it may be repeated
	value              operand
}

// completions are all commands.
func completions() (all []completed) {
	for _, row := range table() {
		one := completed{name: row.name, about: brief(row.about), operands: operands(row), rest: row.most == anyNumber}
		flags := row.set(&client{})
		helpFlag(flags)
		flags.VisitAll(func(flag *pflag.Flag) {
			if flag.Hidden {
				return
			}
			kind := flag.Value.Type()
			one.flags = append(one.flags, completedFlag{
				long: flag.Name, short: flag.Shorthand, about: brief(flag.Usage), value: valueOf(row.name, flag),
				takes: kind != "bool" && flag.NoOptDefVal == "", may: kind != "bool" && flag.NoOptDefVal != "", again: kind == "stringArray" || kind == "stringSlice",
			})
		})
		all = append(all, one)
	}
	return all
}

// brief is the first clause of a sentence: shells show it in one line.
func brief(about string) string {
	for _, end := range []string{";", " (", ": "} {
		about, _, _ = strings.Cut(about, end)
	}
	return about
}

// valueOf is what a flag's value may be.
func valueOf(command string, flag *pflag.Flag) operand {
	switch flag.Name {
	case "log-format":
		return operand{words: logFormats()}
	case "format":
		words := []string{"text", "json"}
		switch command {
		case "check":
			words = append(words, "github")
		case "plan":
			words = append(words, "markdown")
		}
		return operand{words: words}
	case "ci":
		return operand{words: []string{"github", "gitlab", "none"}}
	case "plugin-path", "sbom", "oci":
		return operand{folders: true}
	case "manifest", "key", "sign", "plan", "output", "result", "outputs", "event-log", "image":
		return operand{files: true}
	}
	return operand{}
}

// operands are what may follow a command, made of what help shows of it: words in small
// letters are meant as they stand.
func operands(row command) (all []operand) {
	for _, shown := range strings.Fields(row.args) {
		one := operand{}
		switch name := strings.Trim(shown, "[]"); {
		case name == "--":
			continue
		case name == "DIR":
			one.folders = true
		case name == "FILE", row.name == "run":
			one.files = true
		case name == "COMMAND":
			for _, other := range table() {
				one.words = append(one.words, other.name)
			}
		case row.name == "schema":
			one.words = append([]string{"manifest"}, report.Schemas()...)
		case strings.ToLower(name) == name:
			one.words = strings.Split(name, "|")
		}
		all = append(all, one)
	}
	return all
}

// named are the flags that take values of one kind, as they are typed.
func named(flags []completedFlag, chosen func(completedFlag) bool) (names []string) {
	for _, flag := range flags {
		if !chosen(flag) {
			continue
		}
		names = append(names, "--"+flag.long)
		if flag.short != "" {
			names = append(names, "-"+flag.short)
		}
	}
	return names
}

// commandNames are the words that may stand first.
func commandNames(all []completed) (names []string) {
	for _, one := range all {
		names = append(names, one.name)
	}
	return slices.Clip(names)
}
