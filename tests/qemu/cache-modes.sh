#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# qemu-io with every cache mode and every kind of AIO that it has; each write is tracked,
# and no more than that
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
random_file images/disk.raw $((32 << 20))
sync_first images replica

# works CACHE AIO: can this QEMU and this system do that at all, without mirrorfs?
works() {
	truncate -s 64K "$work/try"
	qemu-io -t "$1" -i "$2" -f raw -c 'write 0 64k' "$work/try" >/dev/null 2>&1
}

ran=0
for cache in none directsync writethrough writeback unsafe; do
	for aio in threads native io_uring; do
		works $cache $aio || {
			echo "not here: cache=$cache aio=$aio"
			continue
		}
		ran=$((ran + 1))
		echo "cache=$cache aio=$aio"
		at=$((ran * 1536))k
		# in turn, at once, not aligned, a vector; read back by the same way
		qemu-io -t $cache -i $aio -f raw \
			-c "write -P $ran $at 128k" \
			-c "aio_write -P $((ran + 100)) $((ran * 1536 + 256))k 64k" \
			-c "aio_write -P $((ran + 101)) $((ran * 1536 + 320))k 64k" \
			-c "aio_write -P $((ran + 102)) $((ran * 1536 + 384))k 4k" \
			-c aio_flush \
			-c "write -P $((ran + 103)) $((ran * 1536 * 1024 + 530000)) 777" \
			-c "writev -P $((ran + 104)) $((ran * 1536 + 600))k 4k 8k 16k" \
			-c flush \
			-c "read -P $ran $at 128k" \
			-c "read -P $((ran + 101)) $((ran * 1536 + 320))k 64k" \
			images/disk.raw >"$work/io.out" 2>&1 || fail "qemu-io: $(cat "$work/io.out")"
		! grep -i 'failed\|error' "$work/io.out" || fail "qemu-io"
		# 289 KiB in 6 places
		sync_delta images replica $(((289 + 6 * 128) * 1024))
		qemu-io -r -f raw -c "read -P $ran $at 128k" \
			-c "read -P $((ran + 100)) $((ran * 1536 + 256))k 64k" \
			-c "read -P $((ran + 103)) $((ran * 1536 * 1024 + 530000)) 777" \
			-c "read -P $((ran + 104)) $((ran * 1536 + 600))k 28k" \
			replica/disk.raw >"$work/io.out" || fail "replica: $(cat "$work/io.out")"
		! grep -i 'failed' "$work/io.out" || fail "replica: wrong content"
	done
done
[ $ran -ge 5 ] || fail "only $ran kinds of access work here"
unmount images
