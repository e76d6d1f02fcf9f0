#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# who may do what: the kernel decides, new files are their maker's, writes take set-user-ID away
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires_root
requires setpriv

chmod 755 .
mkdir source mnt
chmod 1777 source
mount_source source mnt suid

as_user touch mnt/file
as_user mkdir mnt/dir
as_user ln -s x mnt/link
as_user mkfifo mnt/fifo
for name in file dir link fifo; do
	assert_eq "$(stat -c %u:%g "source/$name")" 65534:65534 "owner of $name"
done
echo x >mnt/mine
assert_fails as_user sh -c 'echo y >mnt/mine'
assert_contains "$stderr" "Permission denied"
assert_fails as_user rm -f mnt/mine
assert_fails as_user chmod 777 mnt/mine
assert_fails as_user chown 65534 mnt/mine
chmod 600 mnt/mine
assert_fails as_user cat mnt/mine
assert_fails as_user truncate -s 0 mnt/mine

# a directory that hands its group down
mkdir mnt/shared
chown 0:1234 mnt/shared
chmod 2777 mnt/shared
as_user touch mnt/shared/f
as_user mkdir mnt/shared/d
assert_eq "$(stat -c %u:%g mnt/shared/f)" 65534:1234 "in a set-group-ID directory"
assert_eq "$(stat -c %u:%g:%a mnt/shared/d)" 65534:1234:2755 "directory in a set-group-ID directory"

mkdir mnt/roots
chmod 2777 mnt/roots
as_user touch mnt/roots/f
assert_eq "$(stat -c %u:%g mnt/roots/f)" 65534:0 "in a set-group-ID directory of root's"

# what a write, buffered or direct, or a truncate by another user takes away
privileged() {
	cp /bin/true mnt/prog
	chmod "$1" mnt/prog
}
privileged 6777
as_user dd if=/dev/zero of=mnt/prog bs=4096 count=1 conv=notrunc status=none
assert_eq "$(stat -c %a source/prog)" 777 "after a write"
privileged 6777
as_user dd if=/dev/zero of=mnt/prog bs=4096 count=1 conv=notrunc oflag=direct status=none
assert_eq "$(stat -c %a source/prog)" 777 "after a direct write"
assert_eq "$(stat -c %a mnt/prog)" 777 "as the kernel has it"
chmod 6777 mnt/prog
as_user dd if=/dev/zero of=mnt/prog bs=4096 count=1 conv=notrunc oflag=direct status=none
assert_eq "$(stat -c %a source/prog)" 777 "after another direct write"
privileged 6777
as_user truncate -s 100 mnt/prog
assert_eq "$(stat -c %a source/prog)" 777 "after a truncate"
privileged 6777
as_user sh -c ': >mnt/prog'
assert_eq "$(stat -c %a source/prog)" 777 "after O_TRUNC"
privileged 6777
as_user fallocate -p -o 0 -l 4096 mnt/prog
assert_eq "$(stat -c %a source/prog)" 777 "after a punch"
privileged 4755
dd if=/dev/zero of=mnt/prog bs=4096 count=1 conv=notrunc oflag=direct status=none
assert_eq "$(stat -c %a source/prog)" 4755 "after a write by root"
chown 65534 mnt/prog
assert_eq "$(stat -c %a source/prog)" 755 "after chown"
install -m 4755 -o 65534 /bin/true mnt/installed
assert_eq "$(stat -c %a:%u source/installed)" 4755:65534 "installed"
unmount mnt

# without allow_other nobody else gets in, not even by the mode
mount_source source mnt no_allow_other
assert_fails as_user ls mnt
assert_contains "$stderr" "Permission denied"
unmount mnt
