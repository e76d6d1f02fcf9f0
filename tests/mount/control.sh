#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the control interface: who may, what it answers, what it refuses
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt
mount_source source mnt
client control mnt info >out
assert_contains "$(cat out)" "version 4 pid ${daemon_of[$work/mnt]} "
assert_contains "$(cat out)" " flags 0"
mkdir mnt/dir
touch mnt/image
assert_fails client control mnt/dir info
assert_contains "$stderr" "Inappropriate ioctl"
assert_fails client control mnt/image info
assert_contains "$stderr" "Inappropriate ioctl"
client control mnt hostile

assert_contains "$(client control mnt commit)" "checkpoint 1 images 1 untrackable 0"
# With writers at work, from all sides.
for i in 1 2 3 4; do
	dd if=/dev/zero of="mnt/w$i" bs=4096 count=20000 status=none &
	writers[i]=$!
done
for i in 1 2 3 4 5; do
	assert_contains "$(client control mnt commit)" "checkpoint $((i + 1)) "
	client control mnt flush
done
for i in 1 2 3 4; do
	wait "${writers[i]}" || fail "writer $i"
done
if [ "$(id -u)" = 0 ]; then
	cp "$CLIENTS/control" control
	assert_fails as_user ./control mnt info
	assert_contains "$stderr" "not permitted"
	assert_fails as_user ./control mnt commit
	assert_contains "$stderr" "not permitted"
fi
unmount mnt
