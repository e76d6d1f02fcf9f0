# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of mirrorfs(8) in bash: options, and those of -o, are those that `mirrorfs --help` names.

# _mirrorfs_options PROGRAM: each option, and "-o" with each of its words
_mirrorfs_options() {
	local line
	while IFS= read -r line; do
		[[ $line =~ ^\ \ (-[a-zA-Z])(, (--[a-z-]+))?(\ ([a-z_]+=?)[^ ]*)?\ \  ]]
		if [ -n "${BASH_REMATCH[5]-}" ]; then
			printf '%s\n' "${BASH_REMATCH[1]} ${BASH_REMATCH[5]}"
		elif [ -n "${BASH_REMATCH[1]-}" ]; then
			printf '%s\n' "${BASH_REMATCH[1]}" ${BASH_REMATCH[3]:+"${BASH_REMATCH[3]}"}
		fi
	done < <("$1" --help 2>/dev/null)
}

_mirrorfs() {
	local cur=${COMP_WORDS[COMP_CWORD]} before=$((COMP_CWORD - 1)) start='' kind='' option
	local -a all=()
	local IFS=$' \t\n'

	COMPREPLY=()
	[ "$cur" != = ] || return 0
	mapfile -t all < <(_mirrorfs_options "${1/#\~\//$HOME/}")
	# "-o name=value,name=value" is six words
	while ((before > 1)) && [ "${COMP_WORDS[before]}" = = ]; do before=$((before - 2)); done
	if [ "${COMP_WORDS[before]}" = -o ]; then
		kind="-o "
		# the value of one
		[[ $cur = *,* || ${COMP_WORDS[COMP_CWORD - 1]} != = ]] || return 0
		[[ $cur != *,* ]] || start=${cur%,*},
	elif [[ $cur != -* ]]; then
		compopt -o dirnames
		return
	fi
	for option in "${all[@]}"; do
		[[ $option = "$kind"* ]] || continue
		option=$start${option#"$kind"}
		[ -n "$kind" ] || option=${option%% *}
		[[ $option != "$cur"* || " ${COMPREPLY[*]-} " = *" $option "* ]] || COMPREPLY+=("$option")
	done
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -F _mirrorfs mirrorfs
