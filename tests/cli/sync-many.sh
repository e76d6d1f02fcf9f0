#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-many.sh - more images than one answer of the daemon tells of, with and without attributes
. "$(dirname "$0")/common.bash"
requires_fuse

images=2300
mkdir -p s/below
seq -f 's/%g' $images | xargs touch
for i in 1 1000 1001 2000 2001 $images; do
	echo "$i" >"s/$i"
done
ln s/1000 s/below/1000
# as assert_equal_trees, which takes its time for each file
assert_alike() {
	local attributes
	diff -r --exclude .mirrorfs s d >&2 || fail "s and d differ"
	for attributes in s d; do
		(cd $attributes && find . -name .mirrorfs -prune -o -printf '%p %m %n %T@\n' | LC_ALL=C sort
			getfattr -d 1 2000 1001 2>/dev/null) >$attributes.attributes
	done
	diff s.attributes d.attributes >&2 || fail "attributes of s and d differ"
	"$MIRRORCTL" verify --deep --quiet s d || fail "verify: exit code $?"
}

mount_source s s
must_sync 0 s d
assert_alike

# found among all of them, whatever changed of which
echo more >>s/1001
echo more >>s/$images
setfattr -n user.left -v 1 s/2000
setfattr -n user.left -v 1 s/1
mv s/2001 s/below/
must_sync 0 s d
assert_eq "$(json .images_changed)" 2 "images whose content changed"
assert_eq "$(json '.full_copies | length')" 0 "full copies"
assert_alike

# attributes that are gone, stay, and come, while no name changes
setfattr -x user.left s/2000
setfattr -n user.left -v 2 s/1
setfattr -n user.left -v 3 s/1001
must_sync 0 s d
assert_eq "$(json .images_changed)" 0 "images whose content changed"
assert_alike
