#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-since-kills.sh - the first sync to a copy is killed at a system call that changes anything:
# the copy is as it was, or a replica on its way, and the next sync makes it good by bitmap
#
# At some such calls, chosen by SEED; KILLS=all for each, KILLS=N for how many in each of four ways.
# timeout: 3600
. "$(dirname "$0")/updates.bash"

: "${KILLS:=${SANITIZE:+2}}"
: "${KILLS:=6}"

calls=mkdirat,unlinkat,renameat,renameat2,linkat,pwrite64,write,ftruncate,fallocate,ioctl,fsync
calls+=,fdatasync,syncfs,fchmod,fchownat,utimensat

# copied: a checkpoint with a name, a copy of it, and what changes after that; the names too
copied() {
	"$MIRRORCTL" checkpoint delete m seed 2>/dev/null || :
	"$MIRRORCTL" snapshot create --checkpoint m seed >path
	change
	rm -rf "$d" && cp -a "$(cat path)" "$d"
	"$MIRRORCTL" snapshot delete m seed
	list m >new
	list "$d" >old
}

# untouched: it looks like what it was, but that .mirrorfs may have been made in it
untouched() {
	list "$d" >now
	diff <(grep -v '^\. d ' old) <(grep -v '^\. d ' now) >differs
}

# first_sync [WORD...]: by strace with these
first_sync() {
	code=0
	strace -f -qq "$@" "$MIRRORCTL" sync --threads 1 --json --since seed "${mode[@]}" m "$d" \
		>sync.json 2>sync.err || code=$?
}

# well: nothing was copied in full but what has no history
well() {
	went_well || fail "$1: exit code $code: $(cat sync.err sync.json)"
	looks_like new || fail "$1: not what it should be: $(diff new now)"
	left_nothing "$1"
}

kill_at() { # CALL N
	copied
	first_sync -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" 2>/dev/null
	if [ "$code" != 137 ]; then
		well "$what: not killed at $1 $2"
		return
	fi
	kills=$((kills + 1))
	if [ ! -e "$d/.mirrorfs/replica" ]; then
		early=$((early + 1))
		untouched || fail "$what: killed at $1 $2: no replica, and not what it was: $(cat differs)"
	elif [ -z "${mode[*]}" ] && [ ! -e "$d/.mirrorfs/journal" ] && ! complete "$d"; then
		untouched || fail "$what: killed at $1 $2: not committed, and not what it was: $(cat differs)"
	fi
	[ -e "$d/.mirrorfs/replica" ] && [ $((RANDOM % 2)) = 0 ] || goes_on=(--since seed)
	sync_to m "$d" "${goes_on[@]}" "${mode[@]}"
	goes_on=()
	well "$what: killed at $1 $2, and the sync after"
	sync_to m "$d" "${mode[@]}"
	assert_eq "$code $(json .bytes_scanned)" "0 0" "$what: killed at $1 $2, and the second sync after"
	"$MIRRORCTL" verify --quiet --deep m "$d" || fail "$what: killed at $1 $2: verify"
}

kill_each() {
	local call n
	kills=0 early=0 goes_on=()
	copied
	first_sync -o trace -e trace="$calls"
	well "$what: not killed"
	sed -n -E 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/p' trace | sort | uniq -c |
		awk '{ for (i = 1; i <= $1; i++) print $2, i }' >places
	choose "$KILLS" >chosen
	while read -r call n <&3; do
		kill_at "$call" "$n"
	done 3<chosen
	echo "$what: $kills kills at $(wc -l <places) places, $early before it was a replica"
	all_kills=$((all_kills + kills)) all_chosen=$((all_chosen + $(wc -l <chosen)))
}

all_kills=0 all_chosen=0
each_way kill_each
[ $all_kills -gt $((all_chosen / 3)) ] || fail "that was no test"
