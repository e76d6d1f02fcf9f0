#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# read only: nothing changes, and a source that is read-only can be mounted too
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt
echo data >source/file
mount_source source mnt ro
assert_eq "$(cat mnt/file)" data
for command in "touch mnt/new" "sh -c 'echo x >mnt/file'" "rm -f mnt/file" "mkdir mnt/d" \
	"chmod 600 mnt/file" "mv mnt/file mnt/x" "truncate -s 0 mnt/file" \
	"setfattr -n user.x -v y mnt/file"; do
	assert_fails eval "$command"
	assert_contains "$stderr" "Read-only"
done
unmount mnt

[ "$(id -u)" = 0 ] || exit 0
mkdir disk
mount -t tmpfs none disk
cleanup_fn umount "$work/disk"
mkdir disk/source
echo data >disk/source/file
mount -o remount,ro disk
assert_fails "$MIRRORFS" disk/source mnt
assert_one_line "$stderr"
mount_source disk/source mnt ro
assert_eq "$(cat mnt/file)" data
assert_fails client control mnt commit
assert_contains "$stderr" "Read-only"
unmount mnt
