#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# images of every format that qemu-img can make: created, filled, changed, checked and
# compared through the mount
#
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires qemu-img qemu-io getfattr getfacl

formats=()
for format in raw qcow2 qcow qed vmdk vdi vhdx vpc parallels; do
	qemu-img create -q -f $format "$work/try" 16M >/dev/null 2>&1 && formats+=("$format")
	rm -f "$work/try"
done
[ ${#formats[@]} -ge 4 ] || fail "qemu-img can make only: ${formats[*]}"
echo "formats: ${formats[*]}"

mkdir images
mount_source images

# io FORMAT COMMAND...
io() {
	local format=$1 args=() command
	shift
	for command; do
		args+=(-c "$command")
	done
	qemu-io -t none -f "$format" "${args[@]}" "images/$format.img" >"$work/io.out" ||
		fail "qemu-io $format $*: $(cat "$work/io.out")"
	! grep -i 'verification failed\|error' "$work/io.out" || fail "qemu-io $format $*"
}

for format in "${formats[@]}"; do
	qemu-img create -q -f "$format" "images/$format.img" 128M
	io "$format" 'write -P 0x11 0 4M' 'write -P 0x22 64M 2M' flush
done
sync_first images replica

for format in "${formats[@]}"; do
	io "$format" 'write -P 0x33 1M 256k' 'write -P 0x44 100M 64k' flush
done
# 320 KiB each, 64 KiB of rounding at the ends of both, and no more for their tables
sync_delta images replica $((${#formats[@]} * 1152 * 1024))

unmount images
for format in "${formats[@]}"; do
	io "$format" 'read -P 0x33 1M 256k' 'read -P 0x11 1280k 256k' 'read -P 0x44 100M 64k' \
		'read -P 0 80M 64k'
	case $format in
	qcow2 | qed | vdi | vhdx | parallels) qemu-img check -q -f "$format" "replica/$format.img" ;;
	esac
	qemu-img compare -q -f "$format" -F "$format" "images/$format.img" "replica/$format.img"
done
