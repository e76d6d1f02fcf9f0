#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-unlinked.sh - what is removed or replaced right after the instant is synced by its bits
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

mkdir s
for name in removed replaced stays; do
	random_file s/$name 4000000
done
mount_source s
must_sync 0 s d
daemon=${daemon_of[$work/s]}
for name in removed replaced; do
	dd if=/dev/urandom of=s/$name bs=64k seek=7 count=2 conv=notrunc status=none
done
cp s/removed s/replaced .

# The instant is over, and the guests go on, long before all of the checkpoint is durable.
slow_fsyncs "$daemon" 500000
must_sync 0 s d --post-hook 'rm s/removed; mv s/stays s/replaced'
stop_process "$tracer"
grep -q fsync trace || fail "nothing was slow: $(cat trace)"

assert_eq "$(json '.full_copies | length')" 0 "full copies"
[ "$(json .bytes_copied)" -le 400000 ] || fail "copied: $(json .bytes_copied)"
assert_same_file removed d/removed
assert_same_file replaced d/replaced
must_sync 0 s d
assert_equal_trees s d
unmount s
