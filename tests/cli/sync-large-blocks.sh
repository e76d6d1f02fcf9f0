#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-large-blocks.sh - a replica whose filesystem has larger blocks than the source tracks
#
# What is written past the page cache, and the end of an image, which isn't, share a block there.
. "$(dirname "$0")/common.bash"
requires_root
requires_fuse
requires mkfs.xfs losetup

mkdir s d
truncate -s 400M disk
mkfs.xfs -q -b size=65536 -m reflink=0 disk 2>/dev/null || skip "mkfs.xfs has no such blocks"
mount -o loop disk d 2>/dev/null || skip "the kernel has no such blocks"
cleanup_fn umount "$PWD/d"

random_file s/a $((63 * 4096 + 1000))
mount_source s s block_size=4096
must_sync 0 s d
for round in 1 2 3 4 5 6 7 8; do
	for block in 48 50 52 54 56 58 60 62 63; do
		printf '%s' "$round$RANDOM" |
			dd of=s/a bs=1 seek=$((block * 4096 + 100)) conv=notrunc status=none
	done
	dd of=d/a oflag=nocache conv=notrunc,fdatasync count=0 status=none
	must_sync 0 s d --in-place
	"$MIRRORCTL" scrub --quiet d || fail "round $round: scrub: exit code $?"
done
unmount s
assert_equal_trees s d
