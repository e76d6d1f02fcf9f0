#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# qemu-img bench: many requests in flight, by every kind of AIO
#
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires qemu-img qemu-io getfattr getfacl

mkdir images
mount_source images
random_file images/disk.raw $((64 << 20))
sync_first images replica

pattern=1
for aio in threads native io_uring; do
	truncate -s 1M try
	qemu-img bench -w -c 2 -f raw -t none -i $aio try >/dev/null 2>&1 || {
		echo "not here: aio=$aio"
		continue
	}
	echo "aio=$aio"
	# 1024 of 4 KiB, one each 16 KiB: 16 MiB are concerned
	qemu-img bench -q -w -c 1024 -d 64 -s 4096 -S 16384 -o $((pattern * 16))M \
		--pattern $pattern --flush-interval=64 -f raw -t none -i $aio images/disk.raw
	sync_delta images replica $((17 << 20))
	qemu-img bench -q -c 1024 -d 64 -s 65536 -f raw -t none -i $aio images/disk.raw
	qemu-io -r -f raw -c "read -P $pattern $((pattern * 16))M 4k" \
		-c "read -P $pattern $((pattern * 16384 + 1023 * 16))k 4k" replica/disk.raw \
		>"$work/io.out" || fail "replica: $(cat "$work/io.out")"
	pattern=$((pattern + 1))
done
[ $pattern -gt 1 ] || fail "no kind of AIO works here"
unmount images
