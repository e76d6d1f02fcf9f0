#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# random operations on files, buffered, direct and mapped, against memory
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

echo "SEED=$SEED"
mkdir source mnt
mount_source source mnt save_interval=1
for i in 1 2 3; do
	client fsx "mnt/file$i" "shadow$i" "$((SEED + i))" 700 &
	pids[i]=$!
done
for i in 1 2 3; do
	wait "${pids[i]}" || fail "fsx with seed $((SEED + i))"
	assert_same_file "mnt/file$i" "shadow$i"
done
unmount mnt
for i in 1 2 3; do
	assert_same_file "source/file$i" "shadow$i"
done
