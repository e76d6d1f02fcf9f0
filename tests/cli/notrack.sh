#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# notrack.sh - what was changed under -o notrack is found by the next sync, and said
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
for i in written cut punched copied renamed untouched touched; do
	random_file "s/$i" 300000
done
mount_source s
must_sync 0 s d
# While a crash leaves their sidecars in use: the ctime of what is written at once afterwards
# lies in what the session that has ended still vouches for.
for i in written cut; do
	printf 'before' | dd of="s/$i" conv=notrunc status=none
done
kill -9 "${daemon_of[$work/s]}"
wait "${daemon_of[$work/s]}" || true
fusermount3 -u s

mount_source s s notrack
assert_contains "$(cat "${log_of[$work/s]}")" "notrack: no change is recorded"
printf 'after' | dd of=s/written bs=1 seek=200000 conv=notrunc status=none
truncate -s 150000 s/cut
fallocate -p -o 65536 -l 65536 s/punched
dd if=s/written of=s/copied bs=64K count=1 conv=notrunc status=none
mv s/renamed s/name
echo new >s/new
# Bytes that change with all stamps as they were but ctime, which is not to be relied on.
touch -r s/touched stamps
printf 'more' | dd of=s/touched bs=1 seek=100 conv=notrunc status=none
touch -r stamps s/touched
for verb in "sync s d" "status s" "snapshot create s"; do
	# shellcheck disable=SC2086 # words of a command
	assert_fails "$MIRRORCTL" $verb
	assert_one_line "$stderr"
	assert_contains "$stderr" "mounted with -o notrack"
done
sums=$(cd s && sha256sum -- *)
unmount s

mount_source s
must_sync 3 s d
for i in written cut punched copied touched; do
	assert_contains " $(json '[.full_copies[].path] | join(" ")') " " $i " "full copies"
done
! json '.full_copies[].path' | grep -qx untouched || fail "untouched is copied in full"
assert_eq "$(cd d && sha256sum -- *)" "$sums" "the replica"
must_sync 0 s d
printf 'again' | dd of=s/written bs=1 seek=100000 conv=notrunc status=none
must_sync 0 s d
assert_equal_trees s d
unmount s
