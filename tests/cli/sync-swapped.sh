#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-swapped.sh - what a sync has made is swapped for something else before it is filled
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

# The names are in place, and nothing has been written yet, when .mirrorfs/moving is removed.
is_stopped() {
	pid=$(cut -d ' ' -f 1 trace 2>/dev/null | head -n 1)
	[ -n "$pid" ] && grep -q '^State:.[tT]' "/proc/$pid/status" 2>/dev/null
}

# swapped NAME COMMAND...: a sync of s to d, in the middle of which the command is run
options=()
swapped() {
	local name=$1 tracer code=0
	shift
	rm -f trace
	strace -f -o trace -P .mirrorfs/moving -e trace=unlinkat -e inject=unlinkat:signal=STOP:when=1 \
		"$MIRRORCTL" sync "${options[@]}" s d >out 2>err &
	tracer=$!
	wait_for 30 is_stopped || fail "it doesn't stop: $(cat trace err)"
	"$@"
	kill -CONT "$pid"
	wait "$tracer" || code=$?
	assert_eq "$code" 1 "exit code"
	assert_one_line "$(cat err)"
	assert_contains "$(cat err)" "open 'd/$name': somebody put another file there"
}

link_victim() {
	rm -rf "d/$1"
	ln "$2" "d/$1"
}

# its inode may be the one that has just become free, where files have handles
another_file() {
	[ "$(stat -f -c %T .)" != overlayfs ] || ln "d/$1" "kept.$1"
	rm "d/$1"
	echo mine >"d/$1"
}

another_dir() {
	rmdir "d/$1"
	mkdir keep
	mv keep "d/$1"
}

echo precious >victim
chmod 600 victim
mkfifo -m 600 fifo
stat -c '%a %u %s %Y %h' victim fifo >before

# all_swaps LOST: must_sync's exit code after an image that the sync had made is gone
all_swaps() {
	rm -rf s d kept.*
	mkdir -p s m
	echo old >s/old
	must_sync 0 s d

	echo new >s/new
	chmod 755 s/new
	swapped new link_victim new victim
	must_sync "$1" s d "${options[@]}"
	assert_equal_trees s d

	echo newer >s/newer
	swapped newer another_file newer
	must_sync "$1" s d "${options[@]}"
	assert_equal_trees s d

	# one that was there before, of which a bitmap tells
	mount_source s m
	echo changed >m/old
	unmount m
	echo 1 >s/step
	swapped old another_file old
	must_sync 3 s d "${options[@]}"
	assert_equal_trees s d

	mkfifo -m 666 s/fifo
	swapped fifo link_victim fifo fifo
	must_sync 0 s d "${options[@]}"
	assert_equal_trees s d

	mkdir s/dir
	swapped dir another_dir dir
	must_sync 0 s d "${options[@]}"
	assert_equal_trees s d
}

all_swaps 3
options=(--in-place)
all_swaps 0

assert_eq "$(cat victim)" precious "a file outside of the replica"
stat -c '%a %u %s %Y %h' victim fifo | diff before - >&2 || fail "files outside were changed"
