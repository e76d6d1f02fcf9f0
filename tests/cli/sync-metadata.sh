#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-metadata.sh - mode, owner, times, xattrs and ACLs of everything follow
. "$(dirname "$0")/common.bash"
requires_root
requires setcap

mkdir -p s/dir/sub
random_file s/image 100000
echo 2 >s/second
ln -s target s/sym
mkfifo s/fifo
mknod s/null c 1 3
mknod s/loop b 7 99
cp /bin/true s/program
must_sync 0 s d
assert_equal_trees s d

# changed META ...: what was changed is metadata alone, so nothing is copied
changed() {
	"$@"
	if "$MIRRORCTL" verify --quiet s d; then
		fail "verify did not notice: $*"
	fi
	sync_to s d
	case $code in
	0 | 3) ;; # an offline change of metadata moves ctime: "changed behind the mount"
	*) fail "$*: exit code $code: $(cat sync.err)" ;;
	esac
	assert_equal_trees s d
	must_sync 0 s d
	assert_eq "$(json .images_changed)" 0 "$*: the sync after"
}

changed chmod 4751 s/image
changed chmod 1777 s/dir
changed chmod 0 s/fifo
changed chown 12:34 s/image
changed chown 12:34 s/dir/sub
changed chown -h 56:78 s/sym
changed touch -d '1999-12-31 23:59:59.123456789' s/image
changed touch -d '1961-01-02 03:04:05.000000001' s/dir
changed touch -h -d '2030-01-01 00:00:00.5' s/sym
changed setfattr -n user.one -v 1 s/image
changed setfattr -n user.one -v 2 s/image
changed setfattr -n user.big -v "$(printf 'v%.0s' {1..3000})" s/dir
changed setfattr -n trusted.secret -v t s/second
changed setfattr -x user.one s/image
changed setfacl -m u:1234:rw,g:77:x s/image
changed setfacl -m u:1234:rwx -m d:u:1234:r s/dir
changed setfacl -b s/image
changed setfacl -k s/dir
changed setcap cap_net_raw+ep s/program
changed chown 0:1 s/program
changed touch -d '2001-01-01' s

# a directory with a default ACL does not leak it into what is made in it
setfacl -m d:u:4321:rwx s/dir
echo new >s/dir/new
setfacl -b s/dir/new
sync_to s d
assert_equal_trees s d

# ours are not copied
getfattr -d s/image | grep -q user.mirrorfs.id || fail "the source has no id"
! getfattr -d d/image | grep -q user.mirrorfs || fail "an id was copied"
