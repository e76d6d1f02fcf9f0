#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-reasons.sh - full copies that a bitmap should have spared: exit code 3 and the reason
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
for i in a b c; do
	random_file s/$i 500000
done
mount_source s
must_sync 0 s d

# reasons PATH REASON ...: of the full copies
reasons() {
	must_sync 3 s d
	assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "$*" "full copies"
	assert_equal_trees s d
	must_sync 0 s d
	assert_eq "$(json '.full_copies | length')" 0 "full copies of the sync after"
}

# somebody touched the replica
client flip d/a 0
reasons a replica-changed
touch -d '2020-01-01' d/b
reasons b replica-changed
truncate -s 1000 d/a
rm d/c
reasons a replica-changed c replica-missing
cp d/a t && mv t d/a
reasons a replica-changed
# while a sync stages what it will publish: that is not taken for its own
echo more >s/name
printf 'w' >evil
sync_to s d --pre-hook 'dd if=evil of=d/b bs=1 seek=100000 conv=notrunc status=none'
assert_eq "$code" 1 "exit code"
assert_contains "$(cat sync.err)" "'d/b': somebody changes it meanwhile; sync again"
reasons b replica-changed name new
# nor is it by one in place that has only metadata to change
chmod 640 s/b
must_sync 0 s d --in-place \
	--pre-hook 'dd if=evil of=d/b bs=1 seek=200000 conv=notrunc status=none'
reasons b replica-changed
rm s/name
mkdir d/extra && echo 1 >d/extra/file && ln -sf nowhere d/link
must_sync 0 s d
assert_equal_trees s d
mv d/b d/elsewhere
reasons b replica-changed

# somebody keeps the replica's files by hard links: those are not written into
cp -al d kept && rm -rf kept/.mirrorfs
sha256sum kept/* >kept.sums
printf 'y' | dd of=s/a conv=notrunc status=none
printf 'y' | dd of=s/b conv=notrunc status=none
reasons a replica-changed b replica-changed c replica-changed
sha256sum -c --quiet kept.sums || fail "wrote into a hard link outside of the replica"
rm -rf kept

# the replica was restored from a backup: its checkpoint isn't known any more
cp d/.mirrorfs/replica old
for i in 1 2 3; do
	printf '%s' "$i" | dd of=s/a conv=notrunc status=none
	must_sync 0 s d
done
cp old d/.mirrorfs/replica
reasons a lineage b lineage c lineage

# changed behind the mount, a sidecar that is gone, one that is damaged, a copied id
unmount s
printf 'z' | dd of=s/b conv=notrunc status=none
id=$(getfattr --only-values -n user.mirrorfs.id s/c)
rm "s/.mirrorfs/bitmaps/$id"
id=$(getfattr --only-values -n user.mirrorfs.id s/a)
truncate -s 5000 "s/.mirrorfs/bitmaps/$id"
reasons a sidecar-damaged b changed-behind-mount c sidecar-missing
cp -a s/a s/copy
must_sync 0 s d
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "copy new" "full copies"
assert_equal_trees s d

# another file took the name of an image: said, but no bitmap could have spared it
cp s/a t && mv t s/a
echo new >s/new
must_sync 0 s d --dry-run
assert_eq "$(json '[.full_copies[] | .path, .reason, .expected] | join(" ")')" \
	"a replaced true new new true" "full copies of a dry run"
"$MIRRORCTL" sync --dry-run s d >out
grep -qx "1 image would be new to the replica" out || fail "$(cat out)"
"$MIRRORCTL" sync s d >out
grep -qx "compared by digest: 'a': another file took the name of an image; 0 B differed" \
	out || fail "$(cat out)"
grep -qx "1 image was new to the replica" out || fail "$(cat out)"
assert_equal_trees s d

# the same with the image's id: its bitmaps were lost
cp -a s/a t && mv t s/a
must_sync 3 s d --dry-run
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "a copied" "full copies"
reasons a copied

# also by the second of its names
mount_source s
ln s/a s/z
must_sync 0 s d
cp s/b s/A && mv -T s/A s/a && ln s/a s/A
must_sync 0 s d
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "A replaced" "full copies"
assert_equal_trees s d
unmount s
