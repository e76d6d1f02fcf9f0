#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the forms of fstab: mount -t fuse.mirrorfs, and mirrorfs#
# In a mount namespace of its own, where mount.fuse3 finds this mirrorfs and no other.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
own_mounts
requires mount.fuse3

mkdir source mnt "with space" "with,comma"
# mount(8) has a PATH of its own, in which this comes first
mount -t tmpfs none /usr/local/sbin
ln -s "$MIRRORFS" /usr/local/sbin/mirrorfs

unmount_any() {
	local pid
	pid=$(client control "$1" info | sed 's/.*pid \([0-9]*\).*/\1/')
	umount "$1"
	wait_for 10 eval "! kill -0 $pid 2>/dev/null || grep -q ') Z' /proc/$pid/stat" ||
		fail "daemon of $1 stays"
}

cleanup_fn umount -q -l "$work/mnt"
options=rw,defaults,noauto,nofail,_netdev,user,noatime,nosuid,nodev,noexec,x-systemd.automount,save_interval=2
mount -t fuse.mirrorfs "$work/source" "$work/mnt" -o "$options"
is_mounted "$work/mnt" || fail "not mounted"
line=$(grep " $work/mnt " /proc/self/mountinfo)
for option in noexec nosuid nodev noatime; do
	assert_contains "$line" "$option"
done
assert_contains "$line" "fuse.mirrorfs $work/source"
touch mnt/f
unmount_any mnt

mount -t fuse "mirrorfs#$work/source" "$work/mnt" -o relatime,users,dev,suid,exec,auto,block_size=128K
is_mounted "$work/mnt" || fail "not mounted by mirrorfs#"
assert_contains "$(client control mnt info)" "block_shift 17"
unmount_any mnt

mount -t fuse.mirrorfs "$work/with space" "$work/with space"
cleanup_fn umount -q -l "$work/with space"
touch "with space/f"
unmount_any "with space"
mount -t fuse.mirrorfs "$work/with,comma" "$work/with,comma"
cleanup_fn umount -q -l "$work/with,comma"
assert_contains "$(cat /proc/self/mountinfo)" "fuse.mirrorfs $work/with,comma"
unmount_any "with,comma"

mount -t fuse.mirrorfs "$work/source" "$work/mnt" -o ro
assert_fails touch mnt/f
assert_contains "$stderr" "Read-only"
unmount_any mnt
assert_fails mount -t fuse.mirrorfs "$work/source" "$work/mnt" -o nonsense
assert_contains "$stderr" nonsense

# what other tools hand on unfiltered
mount_source source mnt "defaults,rw,auto,noauto,nofail,_netdev,user=me,nouser,users,owner,group,\
relatime,norelatime,strictatime,nodiratime,lazytime,silent,comment=text,x-gvfs-show,X-mount.mkdir"
unmount mnt
