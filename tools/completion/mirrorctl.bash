# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of mirrorctl(8) in bash.  Verbs, actions, options and arguments are those that
# `mirrorctl help` and `mirrorctl help VERB` name, so that nothing here has to be kept up to date.
#
# Nothing that is found (a name, a word of the line) is ever expanded or run: it is compared, and quoted.

# _mirrorctl_plain WORD: as the shell takes it, but for what it would have to look up or to run
_mirrorctl_plain() {
	local rest=$1 plain='' quote='' c
	if [[ $rest = \~/* ]]; then
		plain=$HOME rest=${rest:1}
	fi
	while [ -n "$rest" ]; do
		c=${rest:0:1} rest=${rest:1}
		case $quote$c in
		\' | \") quote=$c ;;
		\'\' | \"\") quote= ;;
		\\ | \"\\) plain+=${rest:0:1} rest=${rest:1} ;;
		*) plain+=$c ;;
		esac
	done
	printf '%s\n' "$plain"
}

# _mirrorctl_offer: of the words on standard input, one a line, those that begin as $cur
_mirrorctl_offer() {
	local start word c
	start=$(_mirrorctl_plain "$cur")
	while IFS= read -r word; do
		[[ $word = "$start"* ]] || continue
		printf -v word %q "$word"
		# these would end a word of the command line
		for c in : = @; do word=${word//"$c"/"\\$c"}; done
		COMPREPLY+=("$word")
	done
}

# _mirrorctl_fields FIELD ARGUMENT...: what has that name in the JSON that mirrorctl prints, and isn't null
_mirrorctl_fields() {
	local field=$1 line
	shift
	while IFS= read -r line; do
		[[ $line = *": null"?(,) || ! $line =~ ^\ *\"$field\":\ \"?([^\"]*[^\",])\"?,?$ ]] || printf '%s\n' "${BASH_REMATCH[1]}"
	done < <("$program" "$@" 2>/dev/null)
}

# _mirrorctl_read: the help of $verb as arguments, options with what their values are called, and
# actions with their arguments; fails if there is none
_mirrorctl_read() {
	local line text
	text=$("$program" help "$verb" 2>/dev/null) || return
	while IFS= read -r line; do
		if [[ $line = "usage: "* ]]; then
			line=${line#*" $verb"}
			read -r -a arguments <<<"${line#" [OPTION...]"}"
		elif [[ $line =~ ^\ \ (--[a-z-]+)(\ ([A-Z]+|[^ ]+\|[^ ]*))?(\ |$) ]]; then
			options+=("${BASH_REMATCH[1]}")
			values[${BASH_REMATCH[1]}]=${BASH_REMATCH[3]}
		elif [[ $line =~ ^([a-z][a-z-]*)((\ \[?[A-Z]+(\.\.\.)?\]?)+)(\ \ |$) ]]; then
			actions+=("${BASH_REMATCH[1]}")
			arguments_of[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
		fi
	done <<<"$text"
}

# _mirrorctl_argument: what the next one after those in given is called
_mirrorctl_argument() {
	local -a names=("${arguments[@]}")
	local last name
	if [ "${names[0]-}" = ACTION ] && [ -n "${given[0]-}" ]; then
		read -r -a names <<<"ACTION ${arguments_of[${given[0]}]-}"
	fi
	last=$((${#names[@]} - 1))
	name=${names[${#given[@]}]-}
	[ -n "$name" ] || [[ $last -lt 0 || ${names[last]} != *...* ]] || name=${names[last]}
	name=${name//[\[\]]/}
	printf '%s\n' "${name%...}"
}

# _mirrorctl_complete WHAT: what help calls so; several, with | between them, are each of them, or are those words
_mirrorctl_complete() {
	local directory
	[ "${arguments[0]-}" != ACTION ] || directory=${given[1]-}
	directory=$(_mirrorctl_plain "${directory-${given[0]-}}")
	case $1 in
	[A-Z]*"|"*)
		_mirrorctl_complete "${1%%"|"*}"
		_mirrorctl_complete "${1#*"|"}"
		;;
	ACTION) _mirrorctl_offer < <(printf '%s\n' "${actions[@]}") ;;
	VERB) _mirrorctl_offer < <(_mirrorctl_verbs) ;;
	SOURCE | DEST | OUT | DIRECTORY) compopt -o dirnames ;;
	FILE | IMAGE) compopt -o default ;;
	CMD) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- "$cur") ;;
	CHECKPOINT)
		_mirrorctl_offer < <(
			_mirrorctl_fields name checkpoint list --json -- "$directory"
			_mirrorctl_fields number status --json -- "$directory"
		)
		;;
	REPLICA) _mirrorctl_offer < <(_mirrorctl_fields uuid replica list --json -- "$directory") ;;
	NAME) # a new one is the user's to think of
		[ "${given[0]-}" = create ] ||
			_mirrorctl_offer < <(_mirrorctl_fields name "$verb" list --json -- "$directory")
		;;
	[a-z]*) _mirrorctl_offer <<<"${1//|/$'\n'}" ;;
	esac
}

_mirrorctl_verbs() {
	local line
	while IFS= read -r line; do
		[[ ! $line =~ ^\ \ ([a-z][a-z-]*)\  ]] || printf '%s\n' "${BASH_REMATCH[1]}"
	done < <("$program" help 2>/dev/null)
}

_mirrorctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} IFS=$' \t\n'
	local program what='' ended='' word i
	local -a arguments=() options=() actions=() given=()
	local -A values=() arguments_of=()

	COMPREPLY=()
	program=$(_mirrorctl_plain "$1")
	if ((COMP_CWORD == 1)); then
		_mirrorctl_offer < <(_mirrorctl_verbs; printf '%s\n' --help --version)
		return
	fi
	_mirrorctl_read || return 0
	# "--option=value" is three words
	[ "$cur" != = ] || cur=
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [ -n "$what" ]; then
			[ "$word" = = ] || what=
		elif [ -n "$ended" ] || [[ $word != -?* ]]; then
			given+=("$word")
		elif [ "$word" = -- ]; then
			ended=yes
		else
			what=${values[$word]-}
		fi
	done
	if [ -n "$what" ]; then
		_mirrorctl_complete "$what"
	elif [ -z "$ended" ] && [[ $cur = -* ]]; then
		_mirrorctl_offer < <([ ${#options[@]} = 0 ] || printf '%s\n' "${options[@]}")
	else
		_mirrorctl_complete "$(_mirrorctl_argument)"
	fi
}

complete -F _mirrorctl mirrorctl
