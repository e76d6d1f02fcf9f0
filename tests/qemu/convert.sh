#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# qemu-img convert, snapshot, resize, commit and rebase, all on files in the mount
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

random_file images/base.raw $((24 * mib))
truncate -s 64M images/base.raw
sync_first images replica

echo "convert: to qcow2, compressed, and back"
qemu-img convert -q -t none -T none -W -f raw -O qcow2 images/base.raw images/a.qcow2
qemu-img convert -q -c -f qcow2 -O qcow2 images/a.qcow2 images/compressed.qcow2
qemu-img convert -q -t writethrough -f qcow2 -O raw images/compressed.qcow2 images/b.raw
cmp images/base.raw images/b.raw
sync_delta images replica $((4 * 26 * mib))
qemu-img compare -q -f raw -F qcow2 replica/base.raw replica/compressed.qcow2

echo "convert onto an image that is there"
random_file images/other.raw $((2 * mib))
truncate -s 64M images/other.raw
qemu-img convert -q -n -t none -f raw -O raw images/other.raw images/b.raw
cmp images/other.raw images/b.raw
sync_delta images replica $((27 * mib))
sync_trees images replica
assert_eq "$(synced bytes_copied)" 0 "copied, though nothing was changed"

echo "an internal snapshot, and back to it"
qemu-img snapshot -c before images/a.qcow2
qemu-io -t none -f qcow2 -c 'write -P 0x55 3M 200k' images/a.qcow2 >/dev/null
sync_delta images replica $((2 * mib))
qemu-img snapshot -a before images/a.qcow2
qemu-img compare -q -f raw -F qcow2 images/base.raw images/a.qcow2
sync_delta images replica $((2 * mib))
qemu-img snapshot -d before images/a.qcow2

echo "larger and smaller"
qemu-img resize -q -f raw images/base.raw +40M
qemu-img resize -q -f qcow2 images/a.qcow2 200M
qemu-img resize -q --shrink -f raw images/b.raw 1M
sync_delta images replica $((2 * mib))
assert_eq "$(stat -c %s replica/base.raw) $(stat -c %s replica/b.raw)" \
	"$((104 * mib)) $mib" "sizes"

echo "an overlay, written to, and merged into its base"
qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 images/overlay.qcow2
qemu-io -t none -f qcow2 -c 'write -P 0x66 20M 300k' images/overlay.qcow2 >/dev/null
sync_delta images replica $((2 * mib))
qemu-io -r -f qcow2 -c 'read -P 0x66 20M 300k' replica/overlay.qcow2 >/dev/null
qemu-img commit -q -t none -f qcow2 images/overlay.qcow2
sync_delta images replica $((2 * mib))
qemu-img rebase -q -u -f qcow2 -b '' images/overlay.qcow2
sync_delta images replica $mib

unmount images
qemu-img check -q -f qcow2 replica/a.qcow2
qemu-img compare -q -f qcow2 -F qcow2 images/a.qcow2 replica/a.qcow2
qemu-io -r -f qcow2 -c 'read -P 0x66 20M 300k' replica/a.qcow2 | grep -q '^read 307200'
