#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-gone.sh - the replica's filesystem goes away while a sync waits for its turn, or before it begins
# anew: nothing is made in the bare directory that is left
. "$(dirname "$0")/common.bash"
requires_fuse
own_mounts
requires losetup mkfs.ext4

mkdir s mnt
random_file s/a 8000000
random_file piece 1000000
mount_source s mnt
mount_disk disk 64M mkfs.ext4 -q -m 0
loop=$(findmnt -n -o SOURCE disk)
must_sync 0 mnt disk

# A hook waits until the file "go" is there.
hook='touch held; while [ ! -e go ]; do sleep 0.05; done'
hold() { # [SOURCE DEST]: its process in $holder
	rm -f held go
	"$MIRRORCTL" sync --quiet "${1-mnt}" "${2-disk}" --pre-hook "$hook" 2>holder.err &
	holder=$!
	cleanup_fn stop_process "$holder"
	wait_for 30 test -e held || fail "no hook: $(cat holder.err)"
}
let_go() {
	touch go
	wait "$holder" || fail "exit code $?: $(cat holder.err)"
}
waiter() { # ARGUMENT...: begins it, and returns when it waits; $waiter
	rm -f waiter.err
	"$MIRRORCTL" "$@" >waiter.out 2>waiter.err &
	waiter=$!
	cleanup_fn stop_process "$waiter"
}
waits() {
	grep -qs '"phase":"waiting"' waiter.err
}
refused() { # DIR TEXT
	local code=0
	wait "$waiter" || code=$?
	assert_eq "$code" 1 "exit code: $(cat waiter.err)"
	assert_contains "$(cat waiter.err)" "$2"
	assert_eq "$(ls -A "$1")" "" "what is in the bare directory"
}
echo "one that waits"
hold
waiter sync --lock-timeout 600 --progress=json mnt disk
wait_for 30 waits || fail "doesn't wait: $(cat waiter.err)"
umount -l disk
let_go
refused disk "open destination 'disk': the replica "
assert_contains "$(cat waiter.err)" "is not there; is its filesystem mounted?"

echo "another filesystem in its place"
mount "$loop" disk
hold
waiter sync --lock-timeout 600 --progress=json mnt disk
wait_for 30 waits || fail "doesn't wait: $(cat waiter.err)"
umount -l disk
mount -t tmpfs none disk
let_go
refused disk "is not there; is its filesystem mounted?"
umount disk

echo "one that isn't a replica yet, but somebody has its lock"
mkdir new
mount -t tmpfs none new
mkdir -m 700 new/.mirrorfs
: >new/.mirrorfs/lock
coproc LOCKER { client locker ofd new/.mirrorfs/lock hold; }
read -r -u "${LOCKER[0]}" _
waiter sync --lock-timeout 600 --progress=json mnt new
wait_for 30 waits || fail "doesn't wait: $(cat waiter.err)"
umount -l new
stop_process "$LOCKER_PID"
refused new "the replica that was busy is not there; is its filesystem mounted?"

echo "one that waits for its source's lock, and has opened nothing of the replica"
mkdir plain small
echo content >plain/file
mount -t tmpfs none small
must_sync 0 plain small
must_sync 0 plain large
hold plain large
waiter sync --lock-timeout 600 --progress=json plain small
wait_for 30 waits || fail "doesn't wait: $(cat waiter.err)"
umount small
let_go
refused small "is not there; is its filesystem mounted?"

echo "the one that is waited for is the one that is synced"
mount "$loop" disk
hold
waiter sync --lock-timeout 600 --progress=json mnt disk
wait_for 30 waits || fail "doesn't wait: $(cat waiter.err)"
let_go
wait "$waiter" || fail "exit code $?: $(cat waiter.err)"
assert_equal_trees mnt disk

echo "a switchover that waits, before its first sync"
hold
if command -v strace >/dev/null; then
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
	strace -f -qq -o trace -P "$work/disk/.mirrorfs/lock" -e trace=fcntl \
		"$MIRRORCTL" switchover mnt disk >waiter.out 2>waiter.err &
	waiter=$!
	wait_for 30 grep -qs EAGAIN trace || fail "it isn't busy: $(cat trace waiter.err)"
	umount -l disk
	let_go
	refused disk "open destination 'disk'"
	mount "$loop" disk
else
	let_go
fi

echo "one that begins anew, as the source has let go of what it needs"
must_sync 0 mnt disk
dd if=piece of=mnt/a bs=1M conv=notrunc status=none
rm -f held go
waiter sync mnt disk --post-hook "$hook"
wait_for 30 test -e held || fail "no hook: $(cat waiter.err)"
commits() {
	grep -qsx commit "/proc/$waiter"/task/*/comm
}
wait_for 30 eval '! commits' || fail "the commit doesn't end"
dd if=piece of=mnt/a bs=64k seek=90 count=1 conv=notrunc status=none
find s/.mirrorfs/bitmaps -type f -delete
umount -l disk
touch go
refused disk "is not there; is its filesystem mounted?"
mount "$loop" disk
"$MIRRORCTL" sync --quiet mnt disk || [ $? = 3 ] || fail "sync: exit code $?"
assert_equal_trees mnt disk

unmount mnt
