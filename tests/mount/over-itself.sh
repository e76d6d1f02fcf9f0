#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# mounted over the source itself: nothing passes it by
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source
echo one >source/image
inode=$(stat -c %i source/image)
mount_source source
assert_eq "$(cat source/image)" one
assert_eq "$(stat -c %i source/image)" "$inode" "inode number"
echo two >source/image
random_file source/new 1000000
cp source/new copy
assert_eq "$(ls -A source/.mirrorfs)" snapshot "what is seen of the state directory"
# a program that is inside before the mount goes on beneath it; one that comes now does not
client control source info >out
fd=$(sed 's/.*source_fd \([0-9]*\).*/\1/' out)
pid=$(sed 's/.*pid \([0-9]*\).*/\1/' out)
assert_eq "$(ls -A "/proc/$pid/fd/$fd/")" "$(printf '.mirrorfs\nimage\nnew')" "beneath"
unmount source
assert_eq "$(cat source/image)" two
assert_same_file source/new copy
[ -f source/.mirrorfs/state ] || fail "no state"
