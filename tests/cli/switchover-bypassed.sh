#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# switchover-bypassed.sh - what a guest writes to the replica stays, whatever becomes of the replica's own state
. "$(dirname "$0")/common.bash"
requires_fuse
own_mounts

tree_of() { # DIR, which may not exist
	[ ! -d "$1" ] || list_tree "$1"
}

# refused TEXT DEST [OPTION...]: so is a sync of the source to it, which leaves it as it is
refused() {
	local text=$1 dest=$2
	shift 2
	tree_of "$dest" >before
	for dry in --dry-run ""; do
		must_sync 1 m "$dest" $dry "$@"
		assert_one_line "$(cat sync.err)"
		assert_contains "$(cat sync.err)" "it was switched over to "
		assert_contains "$(cat sync.err)" "$text"
		assert_contains "$(cat sync.err)" "mirrorctl switchover --undo"
	done
	tree_of "$dest" | diff before - >&2 || fail "$dest was changed"
}

mkdir -p s m disk
random_file s/image 1000000
random_file s/other 200000
mount_source s m
"$MIRRORCTL" checkpoint create --quiet m named
must_sync 0 m disk/d
must_sync 0 m second
must_sync 0 m forgotten
"$MIRRORCTL" replica forget m "$(realpath forgotten)" >/dev/null
"$MIRRORCTL" switchover --quiet m disk/d
dd if=/dev/urandom of=disk/d/image bs=64k count=2 conv=notrunc status=none
refused "to this replica" disk/d
mv disk/d moved
refused "to this replica" moved
mv moved disk/d

echo "adopted, which some damage to its state seems to ask for"
# as it is, it keeps its UUID: one of its images is as it was published
"$MIRRORCTL" adopt --quiet disk/d
refused "to this replica" disk/d
printf damage | dd of=disk/d/.mirrorfs/replica bs=1 seek=50 conv=notrunc status=none
must_sync 1 m disk/d
assert_contains "$(cat sync.err)" "mirrorctl adopt"
"$MIRRORCTL" adopt --quiet disk/d
refused "this was adopted" disk/d
mv disk/d moved
refused "this was adopted" moved
cp -a second adopted
"$MIRRORCTL" adopt --quiet adopted
refused "this was adopted" adopted

echo "a copy of it, in the eyes of who doesn't know better"
rm -r moved/.mirrorfs
refused "the source doesn't know it" moved --since named
[ ! -e moved/.mirrorfs ] || fail "a state was made in what was refused"
mv moved disk/d
"$MIRRORCTL" replica forget m "$work/disk/d" >/dev/null
refused "this is in its place" disk/d --since named

echo "nothing in its place, as its disk isn't mounted"
mv disk/d elsewhere
refused "this is in its place" disk/d
[ ! -e disk/d ] || fail "it was made"
(cd disk && must_sync 1 ../m d/ && grep -q "this is in its place" sync.err) || fail "from there"
[ ! -e disk/d ] || fail "it was made"
mkdir disk/d
refused "this is in its place" disk/d
[ -z "$(ls -A disk/d)" ] || fail "something was made in it"

echo "one that the source was told to forget"
refused "the source doesn't know it" forgotten

echo "to others it is a source like any other"
must_sync 0 m second
assert_equal_trees s second
must_sync 0 m third
must_sync 0 m third
assert_equal_trees s third

echo "and to all of them once that is undone"
rmdir disk/d
mv elsewhere disk/d
"$MIRRORCTL" switchover --undo --quiet m
"$MIRRORCTL" adopt --quiet disk/d
must_sync 0 m disk/d
assert_equal_trees s disk/d
must_sync 3 m forgotten
assert_equal_trees s forgotten
