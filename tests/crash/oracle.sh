#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random changes through the mount by several processes, in rounds; after each a sync,
# and the replica is what the source is, in bytes and metadata.  And it took a sync
# no more than it had to:
#
#	copied <= changed + 2 * ranges * block
#
# as a range of changed bytes reaches into no more than two blocks that it does not
# fill; what makes a whole image count as changed breaks that.  No image may have been
# copied in full that a bitmap should have covered (exit code 3).
#
# ROUNDS and OPERATIONS (of each of 3 processes in each round) make it longer.
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires getfattr getfacl diff fallocate

rounds=${ROUNDS:-4}
operations=${OPERATIONS:-120}
processes=3

# change_tree DIR SEED: leaves its account in $bytes and $ranges
change_tree() {
	local line word
	line=$(client oracle "$1" "$2" $processes "$operations") || fail "client: exit code $?: $line"
	echo "$line"
	bytes='' ranges=''
	for word in $line; do
		case $word in
		bytes=*) bytes=${word#*=} ;;
		ranges=*) ranges=${word#*=} ;;
		esac
	done
}

assert_copied_at_most() { # BLOCK
	local limit=$((bytes + 2 * ranges * $1))
	echo "  copied $(synced bytes_copied) of $(synced bytes_total) bytes, limit $limit," \
		"zeroed $(synced bytes_zeroed)"
	[ "$(synced bytes_copied)" -le $limit ] || {
		cat "$work/sync.json" >&2
		fail "copied more than $limit bytes"
	}
}

# With holes to fill and to keep, and data at their ends, to cut off.
make_images() { # DIR
	local i
	mkdir "$1"
	for i in 0 1 2 3; do
		random_file "$1/image$i" $((24 << 20))
		fallocate -p -o $((8 << 20)) -l $((4 << 20)) "$1/image$i"
	done
}

run_with_block() { # NAME BLOCK
	local dir=$work/images.$1 replica=$work/replica.$1 round seed
	make_images "$dir"
	mount_source "$dir" "$dir" "block_size=$2,save_interval=1"
	sync_trees "$dir" "$replica"
	assert_same_trees "$dir" "$replica"

	for ((round = 1; round <= rounds; round++)); do
		seed=$((SEED * 1000 + round))
		echo "block $1, round $round:"
		change_tree "$dir" $seed
		sync_trees "$dir" "$replica"
		assert_same_trees "$dir" "$replica"
		assert_verified "$dir" "$replica"
		assert_copied_at_most "$2"
		# In the last but one, with all that is in memory only saved and read again.
		if [ $round = $((rounds - 1)) ]; then
			unmount "$dir"
			mount_source "$dir" "$dir" "save_interval=1"
		fi
	done

	sync_trees "$dir" "$replica"
	assert_eq "$(synced bytes_copied)" 0 "copied, though nothing was changed"
	change_tree "$dir" $((SEED * 1000))
	unmount "$dir"
	sync_trees "$dir" "$replica" # not mounted now
	assert_same_trees "$dir" "$replica"
	assert_copied_at_most "$2"
}

echo "seed $SEED"
run_with_block 4K 4096
run_with_block 64K 65536
