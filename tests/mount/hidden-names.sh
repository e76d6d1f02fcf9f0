#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the state directory and the ids of images do not exist for those who use the mount
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires setfattr getfattr

mkdir source mnt
mount_source source mnt
echo data >mnt/image
mkdir mnt/d
client control mnt commit >out
id=$(getfattr --only-values -n user.mirrorfs.id source/image) || fail "commit gave no id"

assert_eq "$(ls -A mnt)" "$(printf 'd\nimage')" "listing"
# what is there instead leads to the snapshots
assert_eq "$(ls -A mnt/.mirrorfs)" snapshot "what is there instead"
assert_eq "$(ls -A mnt/.mirrorfs/snapshot)" "" "snapshots"
for name in state lock bitmaps preserve; do
	assert_fails ls mnt/.mirrorfs/$name
	assert_contains "$stderr" "No such file"
done
assert_fails mkdir mnt/.mirrorfs
assert_fails touch mnt/.mirrorfs
assert_fails mknod mnt/.mirrorfs p
assert_fails ln -s x mnt/.mirrorfs
assert_fails ln mnt/image mnt/.mirrorfs
assert_fails mv -T mnt/image mnt/.mirrorfs
assert_fails mv -T mnt/d mnt/.mirrorfs
assert_fails mv mnt/.mirrorfs mnt/x
assert_fails rmdir mnt/.mirrorfs
assert_fails rm mnt/.mirrorfs
assert_fails rm -rf mnt/.mirrorfs
assert_fails touch mnt/.mirrorfs/x
assert_contains "$stderr" "Read-only"
assert_fails mkdir mnt/.mirrorfs/snapshot/x
assert_fails mv mnt/image mnt/.mirrorfs
assert_fails ln mnt/image mnt/.mirrorfs/snapshot
assert_contains "$stderr" "cross-device"
assert_eq "$(stat -c '%F %a' mnt/.mirrorfs/snapshot)" "directory 555"
assert_eq "$(client xattrs mnt/.mirrorfs)" "" "extended attributes of what is there instead"
[ -f source/.mirrorfs/state ] && [ -d source/.mirrorfs/bitmaps ] || fail "the state directory suffered"
# below the top the name is one like others
mkdir mnt/d/.mirrorfs
touch mnt/d/.mirrorfs/f
rm -r mnt/d/.mirrorfs

assert_fails getfattr -n user.mirrorfs.id mnt/image
assert_contains "$stderr" "No such attribute"
assert_eq "$(client xattrs mnt/image)" "" "list with nothing else in it"
setfattr -n user.mine -v 1 mnt/image
assert_eq "$(client xattrs mnt/image)" user.mine "list"
setfattr -n user.0 -v 1 mnt/image
setfattr -n user.z -v 1 mnt/image
assert_eq "$(client xattrs mnt/image | sort)" "$(printf 'user.0\nuser.mine\nuser.z')" "list of more"
assert_contains "$(client xattrs source/image)" user.mirrorfs.id "list beneath"
assert_fails setfattr -n user.mirrorfs.id -v x mnt/image
assert_contains "$stderr" "not permitted"
assert_fails setfattr -n user.mirrorfs.other -v x mnt/d
assert_fails setfattr -x user.mirrorfs.id mnt/image
assert_eq "$(getfattr --only-values -n user.mirrorfs.id source/image)" "$id" "id"

# a copy through the mount is another image
cp -a mnt/image mnt/copy
assert_fails getfattr -n user.mirrorfs.id source/copy
mv mnt/image mnt/d/moved
assert_eq "$(getfattr --only-values -n user.mirrorfs.id source/d/moved)" "$id" "id after rename"
unmount mnt
