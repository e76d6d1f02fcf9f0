#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# switchover-moved.sh - what somebody does to the replica between a switchover's last sync and the
# seal: then it isn't what the source is, and that isn't sealed before it is again
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

# A switchover stops each time that it opens the source, or is about to take the replica's lock: for each sync,
# and for the seal.  When changes are about to be held, the source's filesystem is written once.
begin() { # [TIMEOUT]
	rm -f trace
	strace -f -o trace -P "$work/mnt" -P lock -e trace=openat,syncfs -e inject=openat:signal=STOP \
		"$MIRRORCTL" switchover --json --timeout "${1-10m}" mnt d >switched.json 2>err &
	tracer=$!
	pid=
	cleanup_fn drop "$tracer"
	stops=1
	wait_for 60 stopped || fail "it doesn't stop: $(cat trace err)"
	pid=$(cut -d ' ' -f 1 trace | head -n 1)
}
stopped() { # it has threads, too
	awk -v stops=$stops '/openat\(/ { n++; stopped = 0 } /stopped by SIGSTOP/ { stopped = 1 }
		END { exit !(n >= stops && stopped) }' trace 2>/dev/null
}
drop() { # TRACER
	kill -KILL ${pid:+"$pid"} "$1" 2>/dev/null
}
go_on() { # to the next one
	stops=$((stops + 1))
	kill -CONT "$pid"
	wait_for 60 stopped || fail "it doesn't stop again: $(cat trace err)"
}
tries() { # at the lock, since changes are held
	sed '1,/syncfs(/d' trace | grep -c '"lock"' || :
}
# Up to its try at the lock for the seal, after the first last sync, or the one of that number.
at_seal() {
	while [ "$(tries)" -lt $((${1-1} * 2)) ]; do
		go_on
	done
}
finish() { # WANTED_CODE
	local code=0
	wait_for 120 ended || fail "it doesn't end: $(cat trace err)"
	wait "$tracer" || code=$?
	assert_eq "$code" "$1" "exit code: $(cat err switched.json)"
}
ended() {
	! kill -CONT "$pid" 2>/dev/null
}

is_sealed() {
	"$MIRRORCTL" status --json mnt | jq -e '.source.sealed != null' >/dev/null
}
assert_switched() {
	is_sealed || fail "not sealed"
	assert_eq "$(jq -c .checkpoint switched.json)" "$("$MIRRORCTL" status --json d | jq -c .replica.checkpoint)" \
		"checkpoint"
	[ ! -e d/.mirrorfs/journal ] || fail "sealed with an update that isn't published"
	complete d || fail "sealed, and the replica is incomplete"
	assert_equal_trees mnt d
	assert_proved d
	"$MIRRORCTL" switchover --undo --quiet mnt
}
assert_goes_on() {
	if is_sealed; then fail "sealed"; fi
	assert_one_line "$(cat err)"
	echo more >>mnt/a.img
}

# killed_at CALL NAME OPTION...: a sync of mnt to d is killed at the first such call that has that argument
killed_at() {
	local code=0
	strace -f -qq -o /dev/null -P "$2" -e trace="$1" -e inject="$1:signal=KILL:when=1" \
		"$MIRRORCTL" sync --quiet mnt d "${@:3}" 2>/dev/null || code=$?
	assert_eq "$code" 137 "exit code of a sync that is killed"
} 2>/dev/null

mkdir s mnt
random_file s/a.img 300000
random_file s/b.img 200000
mount_source s mnt
must_sync 0 mnt d

echo "nobody comes"
begin
at_seal
finish 0
assert_switched

echo "a sync that leaves out an image"
begin
at_seal
must_sync 0 mnt d --exclude b.img
[ ! -e d/b.img ] || fail "it isn't left out"
finish 0
assert_switched

echo "one after the other"
begin
at_seal
must_sync 0 mnt d --exclude b.img
at_seal 2
[ -e d/b.img ] || fail "the last sync was not made again"
must_sync 0 mnt d --exclude b.img
finish 0
assert_switched

echo "one that is killed: an update is committed and not published"
begin
at_seal
killed_at unlinkat b.img --exclude b.img
[ -e d/.mirrorfs/journal ] || fail "not committed"
finish 0
assert_switched

echo "one that is killed in place"
begin
at_seal
killed_at unlinkat b.img --exclude b.img --in-place
if complete d; then fail "complete"; fi
finish 0
assert_switched

echo "the time is over"
begin 3s
at_seal
must_sync 0 mnt d --exclude b.img
touch mnt/a.img # waits until changes are let go
finish 1
assert_goes_on
assert_contains "$(cat err)" "guests go on"
must_sync 0 mnt d

echo "one that was adopted is compared"
begin
at_seal
"$MIRRORCTL" adopt --quiet d
finish 0
assert_switched

echo "it is another replica now"
begin
at_seal
must_sync 0 mnt other
cp other/.mirrorfs/replica d/.mirrorfs/replica
finish 1
assert_goes_on
assert_contains "$(cat err)" "open destination 'd': the replica "
unmount mnt
