#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images that are made, moved and removed all the time while syncs run, and images that are
# removed while nothing else happens: no history is lost by that, nothing is said to be
# changed behind the mount, and the bitmaps of what is gone go with the next sync.
#
# SYNCS: how many.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires perl

assert_nothing_behind() {
	! grep 'changed behind' "${log_of[$work/s]}" >&2 || fail "but nobody did"
}

# A new file takes the place of another, again and again.
replace_for_ever() { # NAME
	cd s
	exec perl -e 'while (1) {
		open(F, ">", "$ARGV[0].new") && print(F "x" x 5000) && close(F) or die;
		rename("$ARGV[0].new", $ARGV[0]) or die;
	}' "$1"
}

mkdir s
random_file s/a 300000
random_file s/b 300000
for ((i = 0; i < 300; i++)); do # so that looking at all of them takes a moment
	echo $i >s/small$i
done
mount_source s s save_interval=1
movers=()
for i in 1 2 3; do
	replace_for_ever "m$i" &
	movers+=($!)
	cleanup_fn stop_process $!
done
for ((i = 0; i < ${SYNCS:-8}; i++)); do
	sync_trees s d
done
for pid in "${movers[@]}"; do
	stop_process "$pid" || true
done
assert_nothing_behind

# at rest, and removed
sync_trees s d
unmount s
mount_source s
count=$(find s -type f | wc -l)
rm s/a
assert_nothing_behind
unmount s
assert_eq "$(find s/.mirrorfs/bitmaps -type f | wc -l)" "$count" "bitmaps before the next sync"
mount_source s
sync_trees s d
unmount s
assert_eq "$(find s/.mirrorfs/bitmaps -type f | wc -l)" $((count - 1)) "bitmaps after it"
assert_same_trees s d
