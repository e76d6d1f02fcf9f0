#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-incremental.sh - through a mount, a sync copies what changed and little more
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
random_file s/a.raw 50000000
random_file s/b.raw 20000000
mount_source s
must_sync 0 s d
assert_equal_trees s d

# three blocks in one place, a byte in another
random_file piece 196608
dd if=piece of=s/a.raw bs=64k seek=100 conv=notrunc status=none
printf 'y' | dd of=s/a.raw bs=1 seek=45000000 conv=notrunc status=none
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json .images_changed)" 1 images_changed
assert_eq "$(json .bytes_copied)" $((4 * 65536)) bytes_copied
assert_eq "$(json '.full_copies | length')" 0 full_copies

# growing, shrinking, holes
random_file tail 100000
dd if=tail of=s/b.raw oflag=append conv=notrunc status=none
truncate -s 30000000 s/a.raw
fallocate -p -o 1048576 -l 2097152 s/a.raw
must_sync 0 s d
assert_equal_trees s d
[ "$(json .bytes_copied)" -le $((4 * 65536)) ] || fail "copied $(json .bytes_copied)"
assert_eq "$(json .bytes_zeroed)" 2097152 bytes_zeroed
truncate -s 40000000 s/a.raw
truncate -s 1 s/b.raw
truncate -s 70000 s/b.raw
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json '.full_copies | length')" 0 full_copies

# a new image is no reason for the exit code of full copies
random_file s/new.raw 300000
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json '.full_copies[].path')" new.raw path
assert_eq "$(json '.full_copies[].reason')" new reason

# renamed: recognised, and not copied again; the replica's file stays the same one
inode=$(stat -c %i d/a.raw)
mkdir s/dir
mv s/a.raw s/dir/z.raw
ln s/b.raw s/dir/link
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json .bytes_copied)" 0 bytes_copied
assert_eq "$(stat -c %i d/dir/z.raw)" "$inode" inode

# over an unmount, and with the daemon killed, nothing is missed
dd if=piece of=s/dir/z.raw bs=64k seek=7 conv=notrunc status=none
unmount s
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json .bytes_copied)" 196608 bytes_copied
mount_source s
dd if=piece of=s/dir/z.raw bs=64k seek=70 conv=notrunc status=none
kill -9 "${daemon_of[$(realpath s)]}"
wait "${daemon_of[$(realpath s)]}" 2>/dev/null || :
assert_fails "$MIRRORCTL" sync s d
assert_one_line "$stderr"
assert_contains "$stderr" "mount it again: mirrorfs"
wait_for 10 fusermount3 -u s
must_sync 0 s d
assert_equal_trees s d
[ "$(json .bytes_copied)" -ge 196608 ] || fail "missed what was written before the crash"
assert_eq "$(json '.full_copies | length')" 0 "full_copies after a crash"

# two replicas, each with its own position
must_sync 0 s e
mount_source s
dd if=piece of=s/dir/z.raw bs=64k seek=20 conv=notrunc status=none
must_sync 0 s d
dd if=piece of=s/dir/z.raw bs=64k seek=40 conv=notrunc status=none
must_sync 0 s d
assert_eq "$(json .bytes_copied)" 196608 "bytes_copied to d"
must_sync 0 s e
assert_eq "$(json .bytes_copied)" 393216 "bytes_copied to e"
assert_equal_trees s d
assert_equal_trees s e
unmount s
