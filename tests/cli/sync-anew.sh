#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-anew.sh - where a file can't be cloned, an image most of which has changed is written anew
. "$(dirname "$0")/common.bash"
requires_root
requires_fuse
requires_strace
requires losetup mkfs.ext4

mkdir s m
mount_disk disk 100M mkfs.ext4 -q -m 0

# write COUNT BLOCK...: so many of 64 KiB of m/a, from each of these on
write() {
	local block n=$1
	shift
	for block; do
		head -c $((n * 65536)) /dev/urandom | dd of=m/a bs=64k seek="$block" conv=notrunc status=none
	done
}

# blocks 0-199 and 300-399, a hole, and a tail that is no block
random_file s/a 13107200
head -c 6553600 /dev/urandom | dd of=s/a bs=64k seek=300 conv=notrunc status=none
head -c 1000 /dev/urandom | dd of=s/a bs=64k seek=420 conv=notrunc status=none
ln s/a s/b
chmod 640 s/a
must_sync 0 s disk/d

# What it opens is in trace.
traced_sync() { # [OPTION...]
	strace -f -qq -o trace -e trace=openat "$MIRRORCTL" sync --json "$@" s disk/d >sync.json ||
		fail "sync: exit code $?"
	assert_equal_trees s disk/d
	assert_proved disk/d
}
is_anew() {
	grep -q '"1", O_RDWR|O_CREAT|O_EXCL' trace && grep -q '"1", O_RDWR|O_NOFOLLOW' trace
}

# shrinks and grows, with holes where data was and data where holes were
for size in 27525000 30000001; do
	for options in "" "--threads 1"; do
		mount_source s m
		write 7 $(seq 0 11 190) $(seq 300 15 390) 250
		fallocate -p -o $((310 * 65536)) -l $((20 * 65536)) m/a
		truncate -s $size m/a
		unmount m
		# shellcheck disable=SC2086
		traced_sync $options
		is_anew || fail "not written anew: $(cat trace)"
		assert_eq "$(json '.full_copies | length')" 0 "full copies"
		[ "$(json .bytes_copied)" -lt 14000000 ] || fail "what hasn't changed counts as copied: $(cat sync.json)"
		[ "$(stat -c %b disk/d/a)" -le $(($(stat -c %b s/a) + 64)) ] || fail "holes are filled"
	done
done

# Holes are no changes that would have to be written: a guest's fstrim, and an image that grows.
cp s/a a.before
mount_source s m
fallocate -p -o $((210 * 65536)) -l $((80 * 65536)) m/a
truncate -s 90000000 m/a
fallocate -p -o 31000000 -l 50000000 m/a
unmount m
traced_sync
! is_anew || fail "written anew for holes"
[ "$(stat -c %b disk/d/a)" -le $(($(stat -c %b s/a) + 64)) ] || fail "holes are filled"
mount_source s m
truncate -s 30000001 m/a
unmount m
traced_sync
! is_anew || fail "written anew to be cut off"

# A block of the rest that the replica's disk doesn't give any more: nothing is changed, and what is
# to be done is said, with the name that the replica has.
mount_source s m
write 200 0
mv m/a m/c
unmount m
list_tree disk/d >tree.before
code=0
strace -f -qq -o trace -P "$work/disk/d/a" -e trace=pread64 -e inject=pread64:error=EIO:when=3+ \
	"$MIRRORCTL" sync --threads 1 s disk/d 2>sync.err || code=$?
assert_eq "$code" 1 "exit code: $(cat sync.err)"
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "read 'disk/d/a': input/output error at offset"
assert_contains "$(cat sync.err)" "sync with --in-place, or mend it with mirrorctl scrub --repair"
complete disk/d || fail "incomplete, though nothing was published"
list_tree disk/d | diff tree.before - >&2 || fail "a sync that failed has changed the replica"
traced_sync
is_anew || fail "not written anew"

# little of it
mount_source s m
mv m/c m/a
write 1 1 2 310
unmount m
traced_sync
! is_anew || fail "written anew for three blocks"

# there is room for what has changed, and for no more
mount_source s m
write 200 0
unmount m
fallocate -l $(($(stat -f -c '%a * %S' disk) - 16000000)) disk/ballast
traced_sync
! is_anew || fail "written anew, on a full disk"

# nor, where old checkpoints are kept, for what leads back
rm disk/ballast
traced_sync --keep 2
mount_source s m
write 200 0
unmount m
fallocate -l $(($(stat -f -c '%a * %S' disk) - 28000000)) disk/ballast
traced_sync --keep 2
! is_anew || fail "written anew, with no room for the way back"
