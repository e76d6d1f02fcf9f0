#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-signal.sh - SIGINT and SIGTERM end a sync soon and in order
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
for i in 1 2 3 4; do
	random_file "s/i$i" 20000000
done
mount_source s
must_sync 0 s d

stopped=0
for round in 1 2 3 4 5 6; do
	for i in 1 2 3 4; do
		random_file "s/i$i" 20000000
		dd if=/dev/urandom of="s/i$i" bs=1M count=14 seek=5 conv=notrunc status=none
	done
	case $((round % 2)) in
	0) signal=TERM wanted=143 ;;
	1) signal=INT wanted=130 ;;
	esac
	# a background job's SIGINT is ignored, unless the shell does job control
	set -m
	kill_sync "$signal" "0.0$((round + 1))" s d
	set +m
	if [ "$code" != 0 ]; then
		assert_eq "$code" "$wanted" "exit code"
		assert_one_line "$(cat sync.err)"
		stopped=$((stopped + 1))
	fi
	must_sync 0 s d
	assert_equal_trees s d
done
[ "$stopped" -gt 0 ] || echo "never in the middle: this machine is too fast"
unmount s
