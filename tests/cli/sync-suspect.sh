#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-suspect.sh - an image that couldn't be flushed is in doubt, and is never taken for good
. "$(dirname "$0")/common.bash"
requires_root
requires_fuse
requires_strace
requires losetup mkfs.ext4 filefrag

# fail_flush IMAGE [INJECTION]: a sync of s to d, in which an fdatasync of the image fails.  The
# other is of calls on the file that shows it in a snapshot, whose name has a number.
fail_flush() {
	local i paths=()
	for i in {1..20}; do
		paths+=(-P "$(realpath s)/.mirrorfs/snapshot/.$i/${1#s/}")
	done
	assert_fails strace -f -qq -o trace -P "$(realpath "$1")" "${paths[@]}" \
		-e trace=fdatasync,ioctl -e inject=fdatasync:error=EIO:when=1 \
		${2:+-e inject="$2"} "$MIRRORCTL" sync s d
	grep -q 'fdatasync.*INJECTED' trace || fail "no fdatasync of $1"
	assert_eq "$code" 1 "exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "flush '$1': input/output error"
}

copied_in_full() { # IMAGE
	must_sync 3 s d
	assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "$1 fsync-failed" \
		"full copies"
	assert_equal_trees s d
}

# change IMAGE: such that a bitmap tells of it
change() {
	mount_source s
	head -c 10 /dev/urandom | dd of="$1" bs=1 seek=70000 conv=notrunc status=none
	unmount s
}

mkdir s
random_file s/a 1000000
random_file s/b 1000000
change s/a
must_sync 0 s d

# a source that isn't mounted
change s/a
fail_flush s/a
copied_in_full a
must_sync 0 s d

# one that is: its guests are told too
change s/a
mount_source s
fail_flush s/a
! dd if=/dev/null of=s/a conv=notrunc,fsync status=none 2>/dev/null ||
	fail "an image in doubt can be fsynced"
dd if=/dev/null of=s/b conv=notrunc,fsync status=none
copied_in_full a
unmount s
copied_in_full a # what its guest was told, it may not have believed
must_sync 0 s d

# if it can't be told, that is said; it is asked what it is before, to be read
change s/b
mount_source s
fail_flush s/b ioctl:error=EIO:when=2
assert_contains "$stderr" "couldn't be noted that its content is in doubt (input/output error)"
unmount s
rm -rf s d

# What couldn't be written is clean in the cache, which hasn't got what the disk has: here
# because the disk was changed below the filesystem.
mount_disk s 30M mkfs.ext4 -q -b 4096
random_file s/a 1000000
must_sync 0 s d
change s/a
sync -f s
cat s/a >/dev/null
block=$(filefrag -b4096 -v s/a | sed -n 's/^ *0: *0\.\. *[0-9]*: *\([0-9]*\)\.\..*/\1/p')
printf 'what the disk has' | dd of=s.disk bs=4096 seek="$block" conv=notrunc status=none
head -c 4 s/a | cmp -s - <(head -c 4 d/a) || fail "not in the cache"
fail_flush s/a
copied_in_full a
head -c 17 d/a | cmp -s - <(printf 'what the disk has') || fail "what the cache had was copied"
