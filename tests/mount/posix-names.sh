#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# what programs rely on in directories holds through the mount as on the disk below
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir plain source mnt
mount_source source mnt
for check in rename rename-directories links special-files long-names types removed-directory \
	modes; do
	client posix_names plain "$check" || fail "$check: fails without mirrorfs too"
	client posix_names mnt "$check" || fail "$check"
	assert_eq "$(ls -A mnt)" "" "left behind by $check"
done

# Made beneath the mount.  The daemon needs a descriptor for each file that the kernel knows.
limit=$(ulimit -Hn)
if [ "$limit" = unlimited ] || [ "$limit" -gt 12000 ]; then
	mkdir source/big
	(cd source/big && seq -f name-%.0f 0 9999 | xargs touch)
	client posix_names mnt big-directory
else
	echo "left out: a directory of 10000 files, as ulimit -n is $limit"
fi
unmount mnt
assert_eq "$(ls -A source)" .mirrorfs "left in the source"
