package main

import (
	"fmt"
	"strings"
)

const fishHead = `# fish completion for dokku-push, written by: dokku-push completion fish

function __dokku_push_is -d 'whether the command is this one'
    set -l typed (commandline -opc)
    set -l command push
    if set -q typed[2]; and contains -- $typed[2] %s
        set command $typed[2]
    end
    test $command = $argv[1]
end

function __dokku_push_first -d 'whether no word was typed yet'
    test (count (commandline -opc)) -eq 1
end

complete -c dokku-push -f
`

// fishCompletion is fish's.
func fishCompletion(all []completed) string {
	var out strings.Builder
	fmt.Fprintf(&out, fishHead, strings.Join(commandNames(all), " "))
	for _, one := range all {
		fmt.Fprintf(&out, "complete -c dokku-push -n __dokku_push_first -a %s -d %s\n", one.name, fishText(one.about))
	}
	for _, one := range all {
		is := fmt.Sprintf("complete -c dokku-push -n '__dokku_push_is %s'", one.name)
		for _, operand := range one.operands {
			if what := operand.fish(); what != "" {
				fmt.Fprintf(&out, "%s%s\n", is, what)
			}
		}
		for _, flag := range one.flags {
			fmt.Fprintf(&out, "%s -l %s", is, flag.long)
			if flag.short != "" {
				fmt.Fprintf(&out, " -s %s", flag.short)
			}
			switch {
			case flag.takes && flag.value.files:
				out.WriteString(" -r")
			case flag.takes:
				out.WriteString(" -x") // a value, and no file
			}
			if flag.takes || flag.may {
				out.WriteString(flag.value.fish())
			}
			fmt.Fprintf(&out, " -d %s\n", fishText(flag.about))
		}
	}
	return out.String()
}

func (o operand) fish() string {
	switch {
	case len(o.words) > 0:
		return " -a '" + strings.Join(o.words, " ") + "'"
	case o.files:
		return " -F"
	case o.folders:
		return " -a '(__fish_complete_directories)'"
	}
	return ""
}

// fishText is text as one word of fish.
func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
