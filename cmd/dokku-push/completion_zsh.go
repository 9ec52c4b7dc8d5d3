package main

import (
	"fmt"
	"strings"
)

const zshHead = `#compdef dokku-push
# zsh completion for dokku-push, written by: dokku-push completion zsh

_dokku-push() {
	local command=push
	local -a commands
	commands=(
%s	)
	if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
		_describe -t commands command commands
		_files -/
		return
	fi
	if (( CURRENT > 2 && ${commands[(I)${(q)words[2]}:*]} )); then
		command=$words[2]
		shift words
		(( CURRENT-- ))
	fi
	case $command in
`

// zshTail serves both who sources the file and who has it in $fpath.
const zshTail = `	esac
}

if [[ $funcstack[1] == _dokku-push ]]; then
	_dokku-push "$@"
else
	compdef _dokku-push dokku-push
fi
`

// zshCompletion is zsh's.
func zshCompletion(all []completed) string {
	var commands, out strings.Builder
	for _, one := range all {
		fmt.Fprintf(&commands, "\t\t%s\n", quoted(one.name+":"+zshText(one.about)))
	}
	fmt.Fprintf(&out, zshHead, commands.String())
	for _, one := range all {
		fmt.Fprintf(&out, "\t%s)\n\t\t_arguments -s -S :", one.name)
		for _, flag := range one.flags {
			for _, spec := range flag.zsh() {
				fmt.Fprintf(&out, " \\\n\t\t\t%s", quoted(spec))
			}
		}
		for place, operand := range one.operands {
			at := fmt.Sprintf("%d::", place+1)
			if one.rest && place == len(one.operands)-1 {
				at = "*:"
			}
			fmt.Fprintf(&out, " \\\n\t\t\t%s", quoted(at+"argument:"+operand.zsh()))
		}
		out.WriteString("\n\t\t;;\n")
	}
	return out.String() + zshTail
}

// zsh are the words that tell _arguments of a flag: one for each of its names.
func (f completedFlag) zsh() (specs []string) {
	alone := fmt.Sprintf("(--%s)", f.long)
	if f.short != "" {
		alone = fmt.Sprintf("(-%s --%s)", f.short, f.long)
	}
	if f.again {
		alone = "*"
	}
	about := "[" + zshText(f.about) + "]"
	long, short, value := "--"+f.long, "-"+f.short, ""
	switch {
	case f.takes:
		long, short, value = long+"=", short+"+", ":"+f.long+":"+f.value.zsh()
	case f.may:
		long, value = long+"=-", "::"+f.long+":"+f.value.zsh()
	}
	specs = append(specs, alone+long+about+value)
	if f.short != "" {
		specs = append(specs, alone+short+about+value)
	}
	return specs
}

func (o operand) zsh() string {
	switch {
	case len(o.words) > 0:
		return "(" + strings.Join(o.words, " ") + ")"
	case o.files:
		return "_files"
	case o.folders:
		return "_files -/"
	}
	return " "
}

// zshText is a description that _arguments and _describe take for one.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

// quoted is text as one word of a shell of Bourne's kind.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
