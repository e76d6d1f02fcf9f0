#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-restored.sh - the source's state is from a backup: numbers come again, nothing is missed
. "$(dirname "$0")/common.bash"
requires_fuse

# change OFFSET: through a mount, so that bitmaps tell of it
change() {
	mount_source s
	printf '%s' "at $1" | dd of=s/a bs=1 seek="$1" conv=notrunc status=none
	unmount s
}

number() { # DEST
	"$MIRRORCTL" status --json "$1" | jq .replica.checkpoint.number
}

mkdir s
random_file s/a 1000000
random_file s/b 1000000
must_sync 0 s d
cp s/.mirrorfs/state yesterday
change 100000
must_sync 0 s d
change 200000
must_sync 0 s d
ahead=$(number d)

# what its sidecars say is from after that, and the checkpoint that d is at is not known
cp yesterday s/.mirrorfs/state
change 300000
must_sync 0 s other
must_sync 0 s other
assert_eq "$(number other)" "$ahead" "checkpoint of another replica"
change 400000

# now it is, by its number: but that is another one
must_sync 3 s d
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "a lineage b lineage" \
	"full copies"
assert_equal_trees s d
change 500000
must_sync 0 s other
assert_equal_trees s other
must_sync 0 s d
assert_equal_trees s d
