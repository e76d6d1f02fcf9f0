#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-live.sh - the source changes while it is synced: nothing breaks, nothing is missed
. "$(dirname "$0")/common.bash"
requires_fuse

echo "SEED=$SEED"
mkdir s
for i in 1 2 3; do
	random_file "s/i$i" 20000000
done
mount_source s
must_sync 0 s d

# a guest that writes, and somebody who renames, makes and removes files
busy() {
	trap - ERR EXIT
	set +eE
	RANDOM=$SEED
	while [ ! -e enough ]; do
		dd if=/dev/urandom of="s/i$((1 + RANDOM % 3))" bs=64k count=5 \
			seek=$((RANDOM % 300)) conv=notrunc
		n=$((RANDOM % 5))
		case $((RANDOM % 5)) in
		0) mv -T "s/f$n" "s/f$((RANDOM % 5))" ;;
		1) mkdir "s/dir$n" ;;
		2) echo "$RANDOM" >"s/dir$n/f" ;;
		3) rm -rf "s/dir$n" "s/f$n" ;;
		4) head -c 100000 /dev/urandom >"s/f$n" ;;
		esac
	done 2>/dev/null
}
busy &
pid=$!
cleanup_fn stop_process "$pid"
for round in 1 2 3 4 5 6 7 8 9 10; do
	sync_to s d
	[ "$code" = 0 ] || fail "round $round: exit code $code: $(cat sync.err sync.json)"
	json '.full_copies[].path' | grep '^i' && fail "round $round: an image was copied in full"
done
# not killed: what it runs at that moment would go on alone
touch enough
wait "$pid" || :
must_sync 0 s d
assert_equal_trees s d
unmount s
