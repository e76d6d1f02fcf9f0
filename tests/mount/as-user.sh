#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a user without privileges mounts a directory of his own
# In a mount namespace of its own, where /dev/fuse is anybody's, as it is on most systems.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
own_mounts
requires setpriv
# where he can reach them
cp "$MIRRORFS" mirrorfs
cp "$CLIENTS/control" control
[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not set-user-ID"
as_user test -w /dev/fuse || {
	mknod -m 666 fuse c 10 229
	mount --bind fuse /dev/fuse
}
# fusermount3 reads it for users, and a bare system has none
[ -e /etc/mtab ] || {
	cp -a /etc etc
	ln -sf /proc/self/mounts etc/mtab
	mount --bind etc /etc
}

mkdir source mnt
chown 65534:65534 source mnt
user_mount() {
	HOME=$work as_user "$work/mirrorfs" "$@"
}
cleanup_fn fusermount3 -u -z -q "$work/mnt"

user_mount "$work/source" "$work/mnt" || fail "can't mount as a user"
as_user sh -c 'echo data >mnt/file && mkdir mnt/d && mv mnt/file mnt/d/ && chmod 640 mnt/d/file'
assert_eq "$(stat -c %u:%a source/d/file)" 65534:640
assert_eq "$(as_user cat mnt/d/file)" data
assert_fails cat mnt/d/file # root is another user to FUSE
as_user dd if=/dev/zero of=mnt/direct bs=4096 count=3 oflag=direct status=none
assert_eq "$(stat -c %s source/direct)" 12288
as_user ./control mnt info >info
assert_contains "$(cat info)" "version 4"
pid=$(sed 's/.*pid \([0-9]*\).*/\1/' info)
as_user fusermount3 -u mnt
wait_for 10 eval "! kill -0 $pid 2>/dev/null || grep -q ') Z' /proc/$pid/stat" || fail "daemon stays"

# what he may not do
mkdir foreign
assert_fails user_mount "$work/source" "$work/foreign"
assert_one_line "$stderr"
assert_contains "$stderr" "$work/foreign"
mkdir secret
chmod 700 secret
assert_fails user_mount "$work/secret" "$work/mnt"
assert_contains "$stderr" "open source '$work/secret': permission denied"
assert_fails user_mount "$work/foreign" "$work/mnt"
assert_one_line "$stderr"
if ! grep -qs '^user_allow_other' /etc/fuse.conf; then
	assert_fails user_mount "$work/source" "$work/mnt" -o allow_other
	assert_one_line "$stderr"
	assert_contains "$stderr" user_allow_other
fi
# without the program that mounts for him
mount --bind /dev/null "$(command -v fusermount3)"
assert_fails user_mount "$work/source" "$work/mnt"
assert_one_line "$stderr"
assert_contains "$stderr" fusermount3
umount "$(command -v fusermount3)"
# nothing of these failures is in the way
user_mount "$work/source" "$work/mnt"
as_user fusermount3 -u mnt

# a dead mount is his to unmount
user_mount "$work/source" "$work/mnt"
kill -9 "$(as_user ./control mnt info | sed 's/.*pid \([0-9]*\).*/\1/')"
wait_for 10 eval "! as_user ls mnt >ls.out 2>&1" || fail "it goes on"
assert_fails user_mount "$work/source" "$work/mnt"
assert_one_line "$stderr"
assert_contains "$stderr" "dead mount"
assert_fails as_user "$MIRRORCTL" status mnt
assert_contains "$stderr" "mount it again, after fusermount3 -u -z"
as_user fusermount3 -u mnt
