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

# --- wherever it is, it leaves nothing behind

# begin_sync PHASE OPTION...: one of s to d, slow enough to be met in that phase; its process id in $pid
begin_sync() {
	local phase=$1
	shift
	rm -f sync.err
	set -m
	"$MIRRORCTL" sync --progress=json "$@" s d >sync.out 2>sync.err &
	pid=$!
	set +m
	wait_for 30 is_in "$phase" || fail "$*: it isn't $phase: $(cat sync.err)"
}
is_in() {
	[ "$(grep '^{' sync.err 2>/dev/null | jq -r 'select(.event == "phase").phase' 2>/dev/null | tail -n 1)" = "$1" ]
}
# end_sync SIGNAL: ends it by that, and it says so
end_sync() {
	kill -"$1" "$pid"
	wait_for 60 ended || fail "SIG$1 isn't heard: $(cat sync.err)"
	code=0
	wait "$pid" || code=$?
	assert_eq "$code" $((128 + $(kill -l "$1"))) "exit code after SIG$1"
	assert_contains "$(cat sync.err)" "stopped by a signal"
}
ended() {
	! kill -0 "$pid" 2>/dev/null
}
# nothing_left: no snapshot, and nothing that waits for a sync
nothing_left() {
	assert_eq "$("$MIRRORCTL" snapshot list --json s | jq '.snapshots | length')" 0 "snapshots"
	[ ! -e d/.mirrorfs/journal ] && [ ! -e d/.mirrorfs/journal.tmp ] || fail "$1: a journal is left"
	assert_eq "$(find d/.mirrorfs/staging d/.mirrorfs/moving -mindepth 1 2>/dev/null || :)" "" "$1: staged files"
	"$MIRRORCTL" recover --quiet d || fail "$1: the replica is locked, or not complete"
}

for signal in INT TERM; do
	list_tree d >before
	random_file s/new 3000000
	for i in 1 2; do
		dd if=/dev/urandom of="s/i$i" bs=64K count=20 seek=5 conv=notrunc status=none
	done

	# in a pre-hook: when that has ended, and the post-hook with it
	# shellcheck disable=SC2016
	begin_sync hook --pre-hook 'while [ ! -e go ]; do sleep 0.05; done' \
		--post-hook 'echo "$MIRRORFS_RESULT" >thawed'
	kill -"$signal" "$pid"
	touch go
	wait_for 60 ended || fail "SIG$signal isn't heard after a hook"
	code=0
	wait "$pid" || code=$?
	assert_eq "$code" $((128 + $(kill -l "$signal"))) "exit code"
	assert_eq "$(cat thawed)" failed "what the post-hook heard"
	nothing_left hook
	rm go thawed

	# while it copies, and waits for its turn: new images, and what goes into a journal
	begin_sync copying --bwlimit 1K
	end_sync "$signal"
	nothing_left copying
	begin_sync copying --bwlimit 1K --exclude new --threads 1
	end_sync "$signal"
	nothing_left "copying by journal"
	list_tree d | diff before - || fail "the replica isn't what it was"
	complete d || fail "the replica isn't complete"

	# in place, what has been written is there, and said
	begin_sync copying --bwlimit 1K --in-place
	end_sync "$signal"
	assert_eq "$("$MIRRORCTL" snapshot list --json s | jq '.snapshots | length')" 0 "snapshots"
	! complete d || fail "a replica that was changed in part is complete"
	must_sync 0 s d

	# what is committed is there to be published, by whoever comes next, and without the source
	dd if=/dev/urandom of=s/i1 bs=64K count=20 seek=5 conv=notrunc status=none
	begin_sync publishing --bwlimit 1200K --exclude i2
	end_sync "$signal"
	assert_eq "$("$MIRRORCTL" snapshot list --json s | jq '.snapshots | length')" 0 "snapshots"
	[ -e d/.mirrorfs/journal ] || fail "no journal"
	"$MIRRORCTL" recover --quiet d
	nothing_left publishing
	"$MIRRORCTL" verify --quiet s d --exclude i2 || fail "it isn't what was committed"
	must_sync 0 s d
	assert_equal_trees s d
	rm s/new
	must_sync 0 s d
done
unmount s
