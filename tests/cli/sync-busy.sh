#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-busy.sh - who has to wait for whom
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace
requires flock

mkdir s mnt
random_file s/a 1000000
must_sync 0 s d

# a second sync into the same replica; the lock is one of an open file, as flock's aren't
mount_source s mnt
mkdir other && echo 1 >other/x
must_sync 0 other e
"$MIRRORFS" -f "$work/e" "$work/e" 2>e.log &
pid=$!
cleanup_fn drop_mount_e
drop_mount_e() {
	fusermount3 -u -z "$work/e" 2>/dev/null || :
	stop_process "$pid"
}
wait_for 20 is_mounted "$work/e"
assert_fails "$MIRRORCTL" sync other e
assert_eq "$code" 1 "exit code"
assert_one_line "$stderr"
assert_contains "$stderr" "mounted"
wait_for 10 fusermount3 -u "$work/e"
wait "$pid"

# a source that is mounted elsewhere names its mount point, without a wait
assert_fails "$MIRRORCTL" sync s d
assert_one_line "$stderr"
assert_contains "$stderr" "'$(realpath mnt)'"
assert_fails "$MIRRORCTL" status s
assert_one_line "$stderr"
must_sync 0 mnt d

# inside of a mount is no source, and no destination
mkdir mnt/sub
assert_fails "$MIRRORCTL" sync mnt/sub f
assert_one_line "$stderr"
assert_contains "$stderr" "'$(realpath mnt)'"
assert_fails "$MIRRORCTL" sync other mnt/sub
assert_one_line "$stderr"
assert_fails "$MIRRORCTL" sync other mnt/new
assert_one_line "$stderr"
[ ! -e mnt/new ] || fail "made a directory in a mount"
assert_fails "$MIRRORCTL" sync mnt s/sub
assert_one_line "$stderr"
assert_contains "$stderr" "inside the source"

# a checkpoint that the daemon gave up, as a write didn't come back; which ioctl asks for one
# is found by trying
for when in 1 2 3 4 5 6 7 8; do
	strace -f -qq -o /dev/null -e trace=ioctl -e inject="ioctl:error=ETIMEDOUT:when=$when" \
		"$MIRRORCTL" sync --quiet mnt d 2>err || :
	! grep -q 'make checkpoint of' err || break
done
assert_one_line "$(cat err)"
assert_contains "$(cat err)" "'mnt': a write has been in flight for too long, so no checkpoint was made: try again when"
must_sync 0 mnt d

# right after an unmount: the daemon may still save, and is waited for
for i in 1 2 3 4 5; do
	random_file mnt/a 1000000
	wait_for 10 fusermount3 -u mnt
	must_sync 0 s d
	wait "${daemon_of[$(realpath mnt)]}"
	assert_equal_trees s d
	mount_source s mnt
done
unmount mnt

# a replica can be a source too
must_sync 0 d g
must_sync 3 s d # its files have got ids
assert_eq "$(json '[.full_copies[].reason] | unique | join(" ")')" replica-changed reasons
must_sync 0 s d
assert_equal_trees s d
sync_to d g
assert_equal_trees d g
"$MIRRORCTL" status --json d >both.json
assert_eq "$(json '.source != null and .replica != null' both.json)" true both
