#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# read only: nothing changes, and a source that is read-only can be mounted too
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt
echo data >source/file
mount_source source mnt ro
assert_eq "$(cat mnt/file)" data
for command in "touch mnt/new" "sh -c 'echo x >mnt/file'" "rm -f mnt/file" "mkdir mnt/d" \
	"chmod 600 mnt/file" "mv mnt/file mnt/x" "truncate -s 0 mnt/file" \
	"setfattr -n user.x -v y mnt/file"; do
	assert_fails eval "$command"
	assert_contains "$stderr" "Read-only"
done
unmount mnt

[ "$(id -u)" = 0 ] || exit 0
mkdir disk
mount -t tmpfs none disk
cleanup_fn umount "$work/disk"
mkdir disk/source
echo data >disk/source/file
mount -o remount,ro disk
assert_fails "$MIRRORFS" disk/source mnt
assert_one_line "$stderr"
assert_contains "$stderr" "read-only file system; with -o ro it can be mounted"
mount_source disk/source mnt ro
assert_eq "$(cat mnt/file)" data
# who runs there is answered, though nothing is tracked; the rest is refused
client control mnt info >out
assert_contains "$(cat out)" "version 4 pid ${daemon_of[$work/mnt]} "
assert_contains "$(cat out)" " block_shift 0 generation 0 flags 1"
for command in commit flush; do
	assert_fails client control mnt "$command"
	assert_contains "$stderr" "Read-only"
done
assert_fails "$MIRRORCTL" sync mnt replica
assert_one_line "$stderr"
assert_contains "$stderr" "'mnt': its filesystem is read-only, so it can't have checkpoints"
"$MIRRORCTL" verify --quiet mnt disk/source || fail "verify of a read-only mount"
assert_eq "$("$MIRRORCTL" status mnt)" \
	"'mnt' is mounted from a read-only filesystem that has no state of a source: nothing is tracked" status
unmount mnt

# one that has been synced before can be looked at, mounted or not
mount -o remount,rw disk
"$MIRRORCTL" sync --quiet disk/source replica
mount -o remount,ro disk
for place in disk/source mnt; do
	[ $place = disk/source ] || mount_source disk/source mnt ro
	"$MIRRORCTL" status $place >out || fail "status of $place"
	assert_contains "$(cat out)" "generation 1"
	[ $place = disk/source ] || assert_contains "$(cat out)" "mounted read-only (pid ${daemon_of[$work/mnt]})"
done
unmount mnt
