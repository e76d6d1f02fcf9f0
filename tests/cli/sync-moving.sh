#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-moving.sh - images that move from directory to directory while a sync reads them are not lost
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

mkdir -p s/x s/y s/z
for i in 1 2 3 4 5 6 7 8 9; do
	random_file "s/x/i$i" 5000
done
mount_source s
must_sync 0 s d

# each third of them in turn goes on to the next directory
move_all() {
	trap - ERR EXIT
	set +eE
	local i at to n=0
	while [ ! -e enough ]; do
		n=$((n + 1))
		for ((i = 1 + n % 3; i <= 9; i += 3)); do
			for at in x y z; do
				case $at in x) to=y ;; y) to=z ;; z) to=x ;; esac
				if [ -e "s/$at/i$i" ]; then
					mv "s/$at/i$i" "s/$to/i$i"
					break
				fi
			done
		done
	done
}

# slowly OPTION...: a sync that takes its time between one directory and the next, and has done so
# for long when the moves come to an end; its exit code in $code
slowly() {
	local mover pid
	rm -f enough
	move_all &
	mover=$!
	code=0
	strace -f -qq -o /dev/null -e trace=getdents64 -e inject=getdents64:delay_enter=50000 \
		"$MIRRORCTL" sync --json "$@" >sync.json 2>sync.err &
	pid=$!
	sleep 1
	touch enough
	wait $mover || :
	wait $pid || code=$?
}

# A sync reads names of a snapshot, in which nothing moves; a dry run reads those that do,
# until it has read all of them while none did.
for round in 1 2 3; do
	slowly s d
	[ $code = 0 ] || fail "round $round: exit code $code: $(cat sync.err sync.json)"
	assert_eq "$(json '.warnings | length')" 0 "warnings"
	assert_eq "$(find d -name 'i[1-9]' | wc -l)" 9 "images in the replica, round $round"

	slowly s d --dry-run
	[ $code = 0 ] || fail "round $round: exit code $code: $(cat sync.err sync.json)"
	! grep -q 'moved all the time' sync.json || continue
	assert_eq "$(json .images_total)" 9 "images that a dry run sees, round $round"
done
must_sync 0 s d
assert_equal_trees s d
unmount s
