#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# replica-read-only.sh - a replica on a disk that is mounted read-only can be restored and proved
. "$(dirname "$0")/common.bash"
own_mounts
requires_root

refused() { # WHAT COMMAND...
	local what=$1
	shift
	assert_fails "$@"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$what"
}

mkdir s disk ro
mount -t tmpfs none disk
cleanup_fn umount "$work/disk"
random_file s/a 3000000
must_sync 0 s disk/d --keep 2
list_tree s >at-1
echo 2 >s/b
must_sync 0 s disk/d --keep 2
mount --bind disk ro
cleanup_fn umount "$work/ro"
mount -o remount,bind,ro ro

# of one mount that is read-only, and of a filesystem that is
for round in bind disk; do
	[ $round = bind ] || mount -o remount,ro disk
	"$MIRRORCTL" scrub ro/d >out 2>&1 || fail "$round: scrub: exit code $?: $(cat out)"
	rm -rf restored
	"$MIRRORCTL" restore ro/d restored >out 2>&1 || fail "$round: restore: exit code $?: $(cat out)"
	list_tree s | diff - <(list_tree restored) || fail "$round: restored"
	rm -rf restored
	"$MIRRORCTL" restore --at 1 ro/d restored >out 2>&1 || fail "$round: restore --at: $(cat out)"
	list_tree restored | diff at-1 - || fail "$round: restored from a delta"
	refused "read-only; mount it writable" "$MIRRORCTL" scrub --repair s ro/d
	refused "read-only; mount it writable" "$MIRRORCTL" recover ro/d
	refused "read-only; mount it writable" "$MIRRORCTL" sync s ro/d
done
mount -o remount,rw disk

# Nobody reads what another changes by the other mount, and the other way round
rm -f held go
"$MIRRORCTL" sync --quiet s disk/d --pre-hook 'touch held; while [ ! -e go ]; do sleep 0.05; done' 2>sync.err &
sync=$!
cleanup_fn stop_process "$sync"
cleanup_fn touch "$work/go"
wait_for 30 test -e held || fail "no hook: $(cat sync.err)"
for command in "scrub ro/d" "restore ro/d never"; do
	# shellcheck disable=SC2086
	refused "in use by mirrorctl (pid $sync)" "$MIRRORCTL" $command
done
[ ! -e never ] || fail "restore has begun"
touch go
wait "$sync" || fail "sync: exit code $?: $(cat sync.err)"
"$MIRRORCTL" restore --quiet --bwlimit 1K ro/d slow 2>err &
restore=$!
cleanup_fn stop_process "$restore"
wait_for 30 test -e slow || fail "restore: $(cat err)"
refused "another" "$MIRRORCTL" sync s disk/d
"$MIRRORCTL" scrub --quiet ro/d || fail "two that read: exit code $?"
kill "$restore"
wait "$restore" || :

# What has to be finished or can't be locked has to be mounted otherwise
touch disk/d/.mirrorfs/journal
for command in "scrub ro/d" "restore ro/d never"; do
	# shellcheck disable=SC2086
	refused "mirrorctl recover, where it is mounted writable" "$MIRRORCTL" $command
done
rm disk/d/.mirrorfs/journal disk/d/.mirrorfs/lock
refused "read-only; mount it writable" "$MIRRORCTL" restore ro/d never
[ ! -e disk/d/.mirrorfs/lock ] || fail "a lock was made"
