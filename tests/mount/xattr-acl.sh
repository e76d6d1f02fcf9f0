#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# xattrs and ACLs pass through the mount
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires setfattr getfattr setfacl getfacl

mkdir source mnt
mount_source source mnt
touch mnt/f
mkdir mnt/d

setfattr -n user.a -v one mnt/f
setfattr -n user.b -v "" mnt/f
setfattr -n user.dir -v two mnt/d
assert_eq "$(getfattr --only-values -n user.a mnt/f)" one
assert_eq "$(getfattr -d -m - mnt/f | grep -c user)" 2
assert_eq "$(getfattr --absolute-names -d source/f | tail -n +2)" "$(getfattr -d mnt/f | tail -n +2)"
setfattr -x user.a mnt/f
assert_fails getfattr -n user.a mnt/f
assert_contains "$stderr" "No such attribute"
assert_fails setfattr -x user.a mnt/f
# a long one, and one that is too long
random_file value 3000
setfattr -n user.long -v "0s$(base64 -w0 value)" mnt/f
getfattr --only-values -n user.long mnt/f >back
assert_same_file value back
assert_fails setfattr -n "user.$(printf '%0255d' 1)" -v x mnt/f

setfacl -m u:65534:rw mnt/f 2>err || skip "no ACLs in $TMPDIR: $(cat err)"
assert_contains "$(getfacl -cn mnt/f)" "user:65534:rw-"
assert_eq "$(getfacl -cn mnt/f)" "$(getfacl -cn source/f)" "ACL beneath"
chmod 600 mnt/f
assert_contains "$(getfacl -cn mnt/f)" "mask::---"
setfacl -b mnt/f
assert_eq "$(stat -c %a mnt/f)" 600

# With a default ACL the umask does not count, without it it does.
setfacl -d -m u:65534:rwx mnt/d
(umask 077 && touch mnt/d/file mnt/plain && mkdir mnt/d/sub)
assert_eq "$(getfacl -cn mnt/d/file)" "$(printf 'user::rw-\nuser:65534:rwx\t#effective:rw-\ngroup::r-x\t#effective:r--\nmask::rw-\nother::r--\n')"
assert_contains "$(getfacl -cn mnt/d/sub)" "default:user:65534:rwx"
assert_eq "$(stat -c %a mnt/plain)" 600
if [ "$(id -u)" = 0 ]; then
	echo secret >mnt/secret
	chmod 600 mnt/secret
	assert_fails as_user cat mnt/secret
	setfacl -m u:65534:r mnt/secret
	assert_eq "$(as_user cat mnt/secret)" secret "access by ACL"
	setfattr -n trusted.t -v x mnt/f
	assert_fails as_user getfattr -n trusted.t mnt/f
fi
unmount mnt
