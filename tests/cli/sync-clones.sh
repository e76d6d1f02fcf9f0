#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-clones.sh - where a file can be cloned, a changed image shares with its old one what didn't change
. "$(dirname "$0")/common.bash"
requires_root
requires_fuse
requires_strace
requires losetup mkfs.btrfs

mkdir s m
mount_disk disk 200M mkfs.btrfs -q
random_file s/a 4000000
random_file s/b 400000
must_sync 0 s disk/d

# changes SIZE: some blocks, a hole, and the size
changes() {
	mount_source s m
	head -c 70000 /dev/urandom | dd of=m/a bs=64k seek=9 conv=notrunc status=none
	fallocate -p -o 1310720 -l 655360 m/a
	truncate -s "$1" m/a
	unmount m
}
used() {
	sync -f disk
	df --output=used -B1 disk | tail -n 1
}
for size in 3900000 4200000; do
	before=$(used)
	changes "$size"
	strace -f -y -qq -o trace -e trace=ioctl "$MIRRORCTL" sync --quiet s disk/d ||
		fail "sync: exit code $?"
	grep -q 'staging/1>.*FICLONE.* = 0$' trace || fail "no clone was made"
	[ $(($(used) - before)) -lt 2000000 ] || fail "the old blocks and the new ones: $before, $(used)"
	assert_equal_trees s disk/d
	assert_proved disk/d
done

# what is copied in full has nothing of the file that it takes the place of
truncate -s 0 s/b && truncate -s 500000 s/b
printf 'data' | dd of=s/b bs=1 seek=200000 conv=notrunc status=none
must_sync 3 s disk/d
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "b changed-behind-mount" "full copies"
assert_equal_trees s disk/d
assert_proved disk/d

# A clone that is turned down halfway is nothing that is taken for one.
changes 4100000
strace -f -y -qq -o trace -e trace=ioctl -e inject=ioctl:error=EOPNOTSUPP \
	"$MIRRORCTL" sync --quiet s disk/d || fail "sync without clones: exit code $?"
grep -q 'staging/1>.*FICLONE.*INJECTED' trace || fail "no clone was tried"
assert_equal_trees s disk/d
assert_proved disk/d
