#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# what programs rely on in files holds through the mount as on the disk below
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir plain source mnt
mount_source source mnt
for check in unlinked-open renamed-over-open append truncating-open mmap direct dsync fallocate \
	fallocate-moving holes copy-file-range times tmpfile; do
	client posix_files plain "$check" || fail "$check: fails without mirrorfs too"
	client posix_files mnt "$check" || fail "$check"
	assert_eq "$(ls -A mnt)" "" "left behind by $check"
done
unmount mnt
assert_eq "$(ls -A source)" .mirrorfs "left in the source"
