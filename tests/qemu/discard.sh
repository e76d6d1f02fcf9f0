#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# discard: what a guest gives back is given back by the replica, too, and costs no copy
#
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires qemu-img qemu-io getfattr getfacl

mib=$((1 << 20))
mkdir images
mount_source images

# blocks FILE: what it takes on disk, in KiB
blocks() {
	echo $(($(stat -c %b "$1") * $(stat -c %B "$1") / 1024))
}

for format in raw qcow2; do
	qemu-img create -q -f $format images/disk.$format 256M
	qemu-io -t none -f $format -c 'write -P 0x11 0 32M' images/disk.$format >/dev/null
done
sync_first images replica

for format in raw qcow2; do
	before=$(blocks replica/disk.$format)
	qemu-io -t none -d unmap -f $format -c 'discard 4M 16M' -c 'discard 25M 1M' -c flush \
		images/disk.$format >/dev/null
	sync_delta images replica $mib
	after=$(blocks replica/disk.$format)
	echo "$format: the replica took $before KiB, and takes $after"
	[ $((before - after)) -ge $((16 * 1024)) ] || fail "$format: the replica did not shrink"
	[ "$(synced bytes_zeroed)" -ge $((16 * mib)) ] || fail "$format: no hole was punched"
done

echo "zeros that take no space"
before=$(blocks replica/disk.raw)
qemu-io -t none -d unmap -f raw -c 'write -z -u 22M 2M' images/disk.raw >/dev/null
sync_delta images replica 0
[ "$(blocks replica/disk.raw)" -le $((before - 2048)) ] || fail "the replica did not shrink"

echo "zeros that keep it"
qemu-io -t none -f raw -c 'write -z 28M 1M' images/disk.raw >/dev/null
sync_delta images replica $mib

unmount images
qemu-io -r -f raw -c 'read -P 0x11 0 4M' -c 'read -P 0 4M 16M' -c 'read -P 0x11 20M 2M' \
	-c 'read -P 0 22M 2M' -c 'read -P 0 28M 1M' replica/disk.raw >"$work/io.out"
! grep -i failed "$work/io.out" || fail "replica: wrong content"
qemu-img check -q -f qcow2 replica/disk.qcow2
