package main

import (
	"fmt"
	"strings"
)

const bashTop = `# bash completion for dokku-push, written by: dokku-push completion bash
# shellcheck shell=bash disable=SC2034,SC2207

`

// bashHead finds the command and the place of the word that is completed. It needs no
// package of completions, and no bash newer than 3.2.
const bashHead = `_dokku_push() {
	local commands='%s'
	local command=push first=1 place=0 over='' value='' flags='' valued='' words='' kind='' i
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	if [ "$word" = = ]; then # bash takes --flag=value for three words
		word='' value=1
	elif [ "$before" = = ]; then
		before=${COMP_WORDS[COMP_CWORD-2]} value=1
	fi
	if [ "$COMP_CWORD" -gt 1 ]; then
		case " $commands " in *" ${COMP_WORDS[1]} "*) command=${COMP_WORDS[1]} first=2 ;; esac
	fi
	case $command in
`

const bashTail = `	esac
	for ((i = first; i < COMP_CWORD; i++)); do
		if [ -n "$over" ]; then
			place=$((place + 1))
		elif [ "${COMP_WORDS[i]}" = -- ]; then
			over=1
		elif [ "${COMP_WORDS[i+1]}" = = ]; then
			i=$((i + 2))
		else
			case " $valued " in *" ${COMP_WORDS[i]} "*) i=$((i + 1)) && continue ;; esac
			case ${COMP_WORDS[i]} in -*) ;; *) place=$((place + 1)) ;; esac
		fi
	done
	case " $valued " in *" $before "*) value=1 ;; esac
	[ -z "$over" ] || value=''
	if [ -n "$value" ]; then
		_dokku_push_value "$command" "$before"
	elif [ -z "$over" ] && [ "${word#-}" != "$word" ]; then
		words=$flags
	else
		[ "$COMP_CWORD" -gt 1 ] || words=$commands
		_dokku_push_operand "$command" "$place"
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
	[ -n "$kind" ] || return 0
	local IFS=$'\n'
	compopt -o filenames 2>/dev/null
	case $kind in
	files) COMPREPLY+=($(compgen -f -- "$word")) ;;
	folders) COMPREPLY+=($(compgen -d -- "$word")) ;;
	esac
}

complete -F _dokku_push dokku-push
`

// bashCompletion is bash's.
func bashCompletion(all []completed) string {
	var out, values, places strings.Builder
	fmt.Fprintf(&out, bashHead, strings.Join(commandNames(all), " "))
	for _, one := range all {
		fmt.Fprintf(&out, "\t%s)\n\t\tflags='%s'\n\t\tvalued='%s'\n\t\t;;\n", one.name,
			strings.Join(named(one.flags, func(completedFlag) bool { return true }), " "),
			strings.Join(named(one.flags, func(f completedFlag) bool { return f.takes }), " "))
		for _, flag := range one.flags {
			if sets := flag.value.bash(); sets != "" {
				for _, name := range named([]completedFlag{flag}, func(completedFlag) bool { return true }) {
					fmt.Fprintf(&values, "\t'%s %s') %s ;;\n", one.name, name, sets)
				}
			}
		}
		for place, operand := range one.operands {
			at := fmt.Sprintf("'%s %d'", one.name, place)
			if one.rest && place == len(one.operands)-1 {
				at = fmt.Sprintf("'%s '*", one.name)
			}
			if sets := operand.bash(); sets != "" {
				fmt.Fprintf(&places, "\t%s) %s ;;\n", at, sets)
			}
		}
	}
	out.WriteString(bashTail)
	return bashTop +
		bashCase("_dokku_push_value", "says what the value of a flag may be", values.String()) +
		bashCase("_dokku_push_operand", "says what may stand in a place after a command", places.String()) +
		out.String()
}

// bashCase is a function that looks at its two arguments.
func bashCase(name, about, rows string) string {
	return fmt.Sprintf("# %s %s.\n%s() {\n\tcase \"$1 $2\" in\n%s\tesac\n}\n\n", name, about, name, rows)
}

func (o operand) bash() string {
	switch {
	case len(o.words) > 0:
		return "words='" + strings.Join(o.words, " ") + "'"
	case o.files:
		return "kind=files"
	case o.folders:
		return "kind=folders"
	}
	return ""
}
