#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-faults.sh - a system call of a sync fails: that is said in one line, the replica is what it
# was, or recover makes it what it should become, and the next sync makes it good
#
# At some such calls, chosen by SEED; FAULTS=all for each, FAULTS=N for how many in each of four ways.
# timeout: 3600
. "$(dirname "$0")/updates.bash"

: "${FAULTS:=${SANITIZE:+2}}"
: "${FAULTS:=6}"

calls=mkdirat,unlinkat,renameat,renameat2,linkat,symlinkat,mknodat,pwrite64,write,ftruncate
calls+=,fallocate,ioctl,fsync,fdatasync,syncfs,fchmod,fchmodat,fchownat,setxattr,removexattr
calls+=,utimensat,pread64,getdents64
errors=(ENOSPC EIO EDQUOT)

# fault_at CALL N ERROR
fault_at() {
	local code=0 at="$what: $1 $2 fails with $3"
	list "$d" >old
	change
	list m >new
	strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:error=$3:when=$2" \
		"$MIRRORCTL" sync --threads 1 --quiet "${mode[@]}" m "$d" 2>fault.err || code=$?
	[ "$code" -le 3 ] || grep -q "loading shared libraries" fault.err ||
		fail "$at: exit code $code: $(cat fault.err)"
	if [ "$code" != 0 ] && [ "$code" != 3 ]; then
		failed=$((failed + 1))
		assert_one_line "$(cat fault.err)"
		[ ! -e "$d/.mirrorfs/journal" ] || committed=$((committed + 1))
		[ -n "${mode[*]}" ] || recovered "$at"
	else
		# what could be done without, or was said in a warning
		looks_like new || fail "$at, and the sync succeeded: $(diff new now)"
		passed=$((passed + 1))
	fi
	# what couldn't be read of the source's state, or be told it, may cost more than a bitmap
	sync_to m "$d" "${mode[@]}"
	[ "$code" = 0 ] || [ "$code" = 3 ] || fail "$at: sync: exit code $code: $(cat sync.err)"
	made_good "$at"
}

fail_each() {
	local call n
	failed=0 passed=0 olds=0 news=0 committed=0
	find_places "$calls"
	choose "$FAULTS" >chosen
	while read -r call n <&3; do
		fault_at "$call" "$n" "${errors[RANDOM % 3]}"
	done 3<chosen
	echo "$what: $failed syncs failed, $passed didn't, at $(wc -l <places) places:" \
		"as before $olds, new $news, by recover $committed"
	all_failed=$((all_failed + failed))
}

# an error of flushing an image of the source sticks to it
# shellcheck disable=SC2034
fsync_may_fail=true
all_failed=0
each_way fail_each
[ $all_failed -gt 1 ] || fail "that was no test"
