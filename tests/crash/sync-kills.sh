#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-kills.sh - a sync is killed at a system call that changes anything: the replica is what it
# was, or recover makes it what it should become, and never anything else
#
# At some such calls, chosen by SEED; KILLS=all for each, KILLS=N for how many in each of four ways.
# timeout: 3600
. "$(dirname "$0")/updates.bash"

: "${KILLS:=${SANITIZE:+2}}"
: "${KILLS:=6}"

calls=mkdirat,unlinkat,renameat,renameat2,linkat,symlinkat,mknodat,pwrite64,write,ftruncate
calls+=,fallocate,ioctl,fsync,fdatasync,syncfs,chmod,fchmod,fchmodat,fchownat,setxattr,removexattr
calls+=,utimensat

# killed_sync CALL N: 1 if it never came that far
killed_sync() {
	local code=0
	strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" \
		"$MIRRORCTL" sync --threads 1 --quiet "${mode[@]}" m "$d" 2>killed.err || code=$?
	[ "$code" = 137 ] && return
	[ "$code" = 0 ] || fail "$what: not killed at $1 $2: $(cat killed.err)"
	return 1
} 2>/dev/null

kill_at() { # CALL N
	list "$d" >old
	change
	list m >new
	if ! killed_sync "$1" "$2"; then
		looks_like new || fail "$what: not what it should be"
		old_number=$("$MIRRORCTL" status --json "$d" | jq .replica.checkpoint.number)
		return
	fi
	kills=$((kills + 1))
	[ ! -e "$d/.mirrorfs/journal" ] || committed=$((committed + 1))
	[ -n "${mode[*]}" ] || recovered "$what: killed at $1 $2"
	made_good "$what: killed at $1 $2"
}

kill_each() {
	local call n
	kills=0 olds=0 news=0 committed=0
	find_places "$calls"
	choose "$KILLS" >chosen
	while read -r call n <&3; do
		kill_at "$call" "$n"
	done 3<chosen
	echo "$what: $kills kills at $(wc -l <places) places: as before $olds, new $news, by recover $committed"
	all_kills=$((all_kills + kills)) all_chosen=$((all_chosen + $(wc -l <chosen)))
}

all_kills=0 all_chosen=0
each_way kill_each
[ $all_kills -gt $((all_chosen / 3)) ] || fail "that was no test"
