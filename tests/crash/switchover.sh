#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# switchover.sh - switchovers that are killed at any moment, while guests write with all their might
#
# Either it is done, and every write that was acknowledged is in the replica; or it isn't, and the guests go on.
# ROUNDS: how many.
#
# timeout: 300
. "$(dirname "$0")/../cli/common.bash"
requires_fuse
own_mounts

: "${ROUNDS:=8}"
RANDOM=$SEED

sealed() {
	"$MIRRORCTL" status --json s | jq -e '.source.sealed != null' >/dev/null
}

goes_on() {
	[ "$("$CLIENTS/instantwriter" stamp log)" -gt $((before + 50)) ]
}

mkdir s
nsealed=0 nwritten=0
mount_source s
must_sync 0 s d
for ((round = 0; round < ROUNDS; round++)); do
	rm -f s/* log writer.out
	"$CLIENTS/instantwriter" make s log
	setsid "$CLIENTS/instantwriter" run s log $((SEED + round)) 4 >writer.out 2>&1 &
	writer=$!
	cleanup_fn stop_process "$writer"
	timeout 60 "$MIRRORCTL" switchover --quiet s d >switch.out 2>&1 &
	switcher=$!
	if [ $((round % 4)) != 3 ]; then
		sleep "0.$((RANDOM % 9))"
		{ pkill -9 -P "$switcher" && wait "$switcher"; } 2>/dev/null || :
	else
		wait "$switcher" || fail "switchover: exit code $?: $(cat switch.out)"
	fi
	if sealed; then
		wait_for 30 grep -q Read-only writer.out || fail "the guest goes on: $(cat writer.out)"
		kill -9 -- "-$writer" 2>/dev/null || :
		wait "$writer" 2>/dev/null || :
		now=$("$CLIENTS/instantwriter" stamp log)
		"$CLIENTS/instantcheck" d log "$now" "$("$CLIENTS/instantwriter" stamp log)" >check.out 2>&1 ||
			fail "what was acknowledged is not in the replica: $(cat check.out)"
		assert_equal_trees s d
		"$MIRRORCTL" switchover --undo --quiet s
		nsealed=$((nsealed + 1))
	else
		before=$("$CLIENTS/instantwriter" stamp log)
		wait_for 60 goes_on || fail "the guest does not go on: $(cat writer.out)"
		"$CLIENTS/instantwriter" stop log
		wait "$writer" || fail "the guest failed: $(cat writer.out)"
		nwritten=$((nwritten + 1))
	fi
	must_sync 0 s d
	assert_equal_trees s d
done
echo "switchover.sh: $ROUNDS rounds, $nsealed switched over, $nwritten not"
[ "$nsealed" -gt 0 ] || fail "not one was done"
unmount s

if command -v fio >/dev/null; then
	echo "asynchronous direct writes, more than the kernel sends at a time"
	mount_source s
	fio --name=guest --directory=s --rw=randwrite --bs=4k --size=16m --numjobs=3 --iodepth=64 \
		--ioengine=libaio --direct=1 --time_based --runtime=60 >fio.out 2>&1 &
	guest=$!
	cleanup_fn stop_process "$guest"
	busy() {
		[ "$(find s -name 'guest*' -size +4M | wc -l)" = 3 ]
	}
	wait_for 60 busy || fail "fio: $(cat fio.out)"
	# of the closing of its descriptor the kernel does not tell while so many wait
	mkfifo orders
	"$CLIENTS/holder" s 120000 <orders >said 2>&1 &
	holder=$!
	exec 7>orders
	wait_for 30 grep -q held said || fail "the holder: $(cat said)"
	sleep 1
	before=$(stat -c %Y s/guest*)
	{ kill -9 "$holder" && wait "$holder"; } 2>/dev/null || :
	exec 7>&-
	moves_on() {
		[ "$(stat -c %Y s/guest*)" != "$before" ]
	}
	wait_for 30 moves_on || fail "the guest waits for one that was killed"
	"$MIRRORCTL" switchover --json s d >switched.json || fail "switchover: exit code $?"
	wait "$guest" || :
	grep -q 'Read-only file system' fio.out || fail "fio was not refused: $(cat fio.out)"
	assert_equal_trees s d
	[ "$(jq '.held_ms < 20000' switched.json)" = true ] || fail "nearly all of the time: $(cat switched.json)"
	unmount s
fi
