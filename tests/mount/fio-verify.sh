#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# several writers at once, each byte checked by fio afterwards
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires fio

mkdir source mnt
mount_source source mnt save_interval=1
for direct in 0 1; do
	fio --directory="$work/mnt" --name=verify --size=8M --bsrange=4k-128k --rw=randrw \
		--direct="$direct" --ioengine=psync --numjobs=4 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --randseed="$SEED" --output=fio.log || fail "direct=$direct: $(cat fio.log)"
	fio --filename="$work/mnt/one" --name=one --size=16M --bs=4k --rw=randwrite \
		--direct="$direct" --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --randseed="$SEED" --output=fio.log || fail "aio direct=$direct: $(cat fio.log)"
done
unmount mnt
