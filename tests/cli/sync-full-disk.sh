#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-full-disk.sh - a destination that is full, or read-only
. "$(dirname "$0")/common.bash"
requires_root
requires mkfs.ext4 losetup

mkdir s
random_file s/small 1000000
random_file s/large 60000000
mount_disk mnt 40M mkfs.ext4 -q -m 0

# the top of a fresh filesystem will do as a destination
assert_fails "$MIRRORCTL" sync --in-place s mnt
assert_eq "$code" 1 "exit code"
assert_one_line "$stderr"
assert_contains "$stderr" "large': no space left on device"
! complete mnt || fail "complete, on a full disk"

# with room again, the next sync makes it good
truncate -s 20000000 s/large
must_sync 0 s mnt
assert_equal_trees s mnt

# An update that doesn't fit: that is seen before it begins, or changes nothing.
changed_nothing() {
	assert_one_line "$stderr"
	complete mnt || fail "not complete any more"
	list_tree mnt | diff tree.before - >&2 || fail "a sync that failed has changed the replica"
	[ -z "$(find mnt/.mirrorfs -name 'journal*' -o -name staging)" ] || fail "left: $(find mnt/.mirrorfs)"
}
list_tree mnt >tree.before
random_file s/another 60000000
assert_fails "$MIRRORCTL" sync s mnt
assert_contains "$stderr" ": it takes 57.2 MiB, and "
assert_contains "$stderr" "nothing was changed: make room, or sync with --in-place"
changed_nothing
rm s/another

# how much of an image differs is known when it has been compared
truncate -s 0 s/large && random_file s/large 60000000
assert_fails "$MIRRORCTL" sync s mnt
assert_contains "$stderr" "large': no space left on device at offset"
assert_contains "$stderr" "nothing was changed: make room, or sync with --in-place"
changed_nothing
truncate -s 1000000 s/large
sync_to s mnt --in-place
fallocate -l $(($(stat -f -c '%a * %S' mnt) - 600000)) mnt/lost+found/ballast
list_tree mnt >tree.before
mkdir s/many
for i in $(seq 900); do
	echo "$i" >"s/many/$i"
done
assert_fails "$MIRRORCTL" sync s mnt
assert_contains "$stderr" "no space left on device"
changed_nothing
rm -r mnt/lost+found/ballast s/many

random_file s/large 60000000
assert_fails "$MIRRORCTL" sync --in-place s mnt
assert_one_line "$stderr"
assert_contains "$stderr" "no space left on device"
! complete mnt || fail "complete, on a full disk"
random_file s/large 15000000
sync_to s mnt --in-place
assert_eq "$code" 3 "$(cat sync.err)"
assert_equal_trees s mnt

# What fits does, also where a journal and staged files share the room.
mkdir t
random_file t/a 20000000
mount_disk tight 100M mkfs.ext4 -q -m 0
must_sync 0 t tight
random_file more 10000000
dd if=more of=t/a bs=1M conv=notrunc status=none
mv more t/b
fallocate -l $(($(stat -f -c '%a * %S' tight) - 24000000)) tight/lost+found/ballast
sync_to t tight
assert_eq "$code" 3 "$(cat sync.err)"
rm tight/lost+found/ballast
assert_equal_trees t tight

# read-only
mount -o remount,ro mnt
echo more >>s/small
assert_fails "$MIRRORCTL" sync s mnt
assert_eq "$code" 1 "exit code"
assert_one_line "$stderr"
assert_contains "$stderr" "read-only"
"$MIRRORCTL" status mnt >/dev/null || fail "status of a read-only replica"
assert_fails "$MIRRORCTL" verify --quiet s mnt
assert_eq "$code" 1 "verify's exit code"
mount -o remount,rw mnt
sync_to s mnt
assert_equal_trees s mnt

# another filesystem below the replica is none of ours
mkdir s/below && must_sync 0 s mnt
mount -t tmpfs none mnt/below
assert_fails "$MIRRORCTL" sync s mnt
umount mnt/below
assert_one_line "$stderr"
assert_contains "$stderr" "another filesystem"
must_sync 0 s mnt

# no xattrs at the source: it can't be one
mkdir noxattr
mount -t ramfs none noxattr
cleanup_fn umount -l "$work/noxattr"
echo 1 >noxattr/image
assert_fails "$MIRRORCTL" sync noxattr d
assert_one_line "$stderr"
assert_contains "$stderr" "extended attributes"

# nor at the destination: it can, without them
mkdir ram
mount -t ramfs none ram
cleanup_fn umount -l "$work/ram"
setfattr -n user.left -v out s/small
sync_to s ram/d
assert_eq "$code" 0 "$(cat sync.err)"
assert_contains "$(json '.warnings[]')" small warnings
cmp s/large ram/d/large || fail "content differs"
must_sync 0 s ram/d
assert_eq "$(json .bytes_copied)" 0 "bytes_copied"
