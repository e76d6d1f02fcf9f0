#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-releases.sh - a sync tells the source, while it goes on, what need not be preserved any more
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

mkdir s
random_file s/a 1000000
truncate -s 300M s/a
mount_source s
must_sync 0 s d

# It is compared by digest, and the same but for one byte: windows of 64 MiB, each of which is let go
# of.  (ioctl 9 of 'm' is MFS_CONTROL_SNAPSHOT_RELEASE.)
client flip d/a 5000
strace -f -qq -o traced -e trace=ioctl "$MIRRORCTL" sync --json s d >sync.json || code=$?
assert_eq "$code" 3 "exit code"
assert_eq "$(json '.full_copies[0].by_digest')" true "compared by digest"
n=$(grep -cE 'ioctl\([0-9]+, _IOC\(_IOC_WRITE, 0x6d, 0x0?9,' traced) || :
[ "$n" -ge 5 ] || fail "released $n times, wanted 5: $(cat traced)"
unmount s
assert_equal_trees s d
