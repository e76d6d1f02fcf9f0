#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# scrub-repair.sh - damage is mended by what the source still has, and by nothing else
. "$(dirname "$0")/common.bash"

requires_strace
requires_root
requires_fuse
own_mounts

# flip FILE OFFSET...: a bit of each, with the file's times put back
flip() {
	touch -r "$1" times
	client flip "$@"
	touch -r times "$1"
}

# resize FILE SIZE: the same of its size
resize() {
	touch -r "$1" times
	truncate -s "$2" "$1"
	touch -r times "$1"
}

# repair WANTED_CODE [SOURCE]
repair() {
	code=0
	"$MIRRORCTL" scrub --json --repair "${2-s}" d >scrub.json 2>err || code=$?
	assert_eq "$code" "$1" "scrub --repair: exit code ($(cat err scrub.json))"
}

# found: what became of each range
found() {
	jq -r '.found[] | "\(.path) \(.what) \(.offset) \(.bytes) \(.left // .repaired)"' scrub.json
}

# write_block FILE OFFSET BYTE
write_block() {
	head -c 65536 /dev/zero | tr '\0' "$3" |
		dd of="$1" bs=65536 seek=$(($2 / 65536)) conv=notrunc status=none
}

mkdir s m
random_file s/raw 3000001
random_file s/other 100000
truncate -s 3M s/holes
mount_source s m
must_sync 0 m d
"$MIRRORCTL" scrub --quiet d

# damage anywhere, of a source that is in use; a hole becomes one again
flip d/raw 0 70000 3000000
flip d/holes 2000000
repair 0 m
assert_eq "$(found)" "holes damaged 1966080 65536 true
raw damaged 0 131072 true
raw damaged 2949120 50881 true" "damage"
assert_eq "$(json .bytes_repaired scrub.json)" 247489 "bytes repaired"
assert_eq "$(stat -c %b d/holes)" 0 "blocks of a hole that is mended"
"$MIRRORCTL" scrub --quiet d || fail "scrub after a repair: exit code $?"
assert_equal_trees s d
# and the next sync finds nothing to do: neither times nor stamps tell of it
must_sync 0 m d
assert_eq "$(json '[.bytes_copied, .bytes_scanned] | add')" 0 "bytes of the sync after a repair"

# ends of a file
resize d/raw 2900000
resize d/other +1
repair 0 m
assert_eq "$(found)" "other longer 100000 1 true
raw damaged 2883584 116417 true
raw shorter 2900000 100001 true" "ends"
assert_equal_trees s d
must_sync 0 m d
assert_eq "$(json .bytes_copied)" 0 "bytes of the sync after a repair of ends"

# what somebody has written isn't damage, though the source still has what was there before
write_block d/raw 65536 g
truncate -s 90000 d/other
cp -a d/raw d/other .
flip d/holes 2000000
repair 1 m
assert_eq "$(found)" "holes damaged 1966080 65536 true
other damaged 65536 34464 written
other shorter 90000 10000 written
raw damaged 65536 65536 written" "written by somebody"
assert_same_file raw d/raw
assert_same_file other d/other
must_sync 3 m d
assert_eq "$(json '[.full_copies[] | .path + " " + .reason] | sort | join(", ")')" \
	"other replica-changed, raw replica-changed" "full copies"
assert_equal_trees s d

# a repair that is asked to stop is gone on with by the next one
flip d/raw 0 70000 200000 3000000
code=0
strace -qq -o trace -P "$work/d/raw" -e trace=pwrite64 -e inject=pwrite64:signal=TERM:when=2 \
	"$MIRRORCTL" scrub --quiet --threads 1 --repair m d 2>err || code=$?
assert_eq "$code" 143 "stopped: exit code ($(cat err))"
repair 0 m
assert_eq "$(found)" "raw damaged 196608 65536 true
raw damaged 2949120 50881 true" "the rest"
"$MIRRORCTL" scrub --quiet d || fail "scrub after both repairs: exit code $?"
must_sync 0 m d
assert_eq "$(json .bytes_copied)" 0 "bytes of the sync after both repairs"

# what the source has changed since stays; the next sync brings it, by bitmap
write_block m/raw 65536 a
flip d/raw 65536 200000
"$MIRRORCTL" scrub --json d >scrub.json || :
cp -a --sparse=always d/raw damaged
repair 1 m
assert_eq "$(found)" "raw damaged 65536 65536 changed
raw damaged 196608 65536 true" "changed since"
cmp -n 65536 -i 65536 damaged d/raw || fail "a block was written that isn't the replica's"
code=0
"$MIRRORCTL" scrub --repair m d >out || code=$?
assert_eq "$code" 1 "as text: exit code"
assert_contains "$(cat out)" "raw: offset 65536, 65536 bytes: damaged: it isn't what was written \
there: left: the source has something else there; sync, then scrub again"
# the file was touched by the damage (its ctime), and is known no longer: all of it is copied
must_sync 3 m d
assert_eq "$(json '.full_copies[] | .path + " " + .reason')" "raw replica-changed" "full copy"
"$MIRRORCTL" scrub --quiet d || fail "scrub after that sync: exit code $?"
assert_equal_trees s d

# the same of damage that the disk did: nothing tells of it but the digest
digests=d/.mirrorfs/digests/$(getfattr --only-values -n user.mirrorfs.id s/raw)
cp "$digests" digests.old
write_block m/raw 131072 b
must_sync 0 m d
cp "$digests" digests.new
cp digests.old "$digests" # a block that isn't what its digest says, in an untouched file
write_block m/raw 131072 c
repair 1 m
assert_eq "$(found)" "raw damaged 131072 65536 changed" "silent damage"
code=0
strace -qq -o trace -P "$work/d/raw" -e trace=pread64 \
	-e inject=pread64:error=EIO:when=1..2 \
	"$MIRRORCTL" scrub --json --threads 1 --repair m d >scrub.json 2>err || code=$?
grep -q INJECTED trace || skip "can't trace"
assert_eq "$code" 1 "unreadable: exit code ($(cat err))"
assert_eq "$(found)" "raw unreadable 0 65536 true
raw damaged 131072 65536 changed" "unreadable and silent damage"
# written to, and yet not touched: what is left has its bit
must_sync 0 m d
assert_eq "$(json .bytes_copied)" 65536 "bytes copied by bitmap"
"$MIRRORCTL" scrub --quiet d || fail "scrub after that sync: exit code $?"

# a digest that is wrong is told as such, and costs the image nothing
cp digests.new "$digests"
repair 1 m
assert_eq "$(found)" "raw damaged 131072 65536 digest" "wrong digest"
assert_same_file s/raw d/raw
# so it is with a page that got lost, which reads as zeros
dd if=/dev/zero of="$digests" bs=4096 seek=1 count=1 conv=notrunc status=none
repair 1 m
assert_eq "$(found)" "raw damaged 0 3000001 digest" "lost page"
assert_same_file s/raw d/raw
rm "$digests"
repair 1 m
assert_eq "$(found)" "raw unknown 0 3000001 unknown" "no digests"

# a file with a name outside of the replica is somebody else's too
flip d/other 5
ln d/other outside
repair 1 m
assert_contains "$(found)" "other damaged 0 65536 linked" linked
rm outside
cp d/other wrong
rm d/other
repair 1 m
assert_contains "$(found)" "other missing 0 100000 gone" gone
cp -p wrong d/other

# killed before the manifest is saved: it looks touched, and is copied in full
flip d/raw 0 # whose digests are gone: a full copy makes them anew
must_sync 3 m d
unmount m
for n in {1..9}; do
	flip d/other 5
	code=0
	strace -qq -o trace -e trace=fsync \
		-e inject=fsync:signal=KILL:when="$n" \
		"$MIRRORCTL" scrub --quiet --repair s d 2>/dev/null || code=$?
	[ "$code" = 137 ] || break
	# at the last one, of the directory, the new manifest is there already
	sync_to s d
	[ "$code" = 0 ] || assert_eq "$code" 3 "sync after a repair killed at flush $n: exit code"
	"$MIRRORCTL" scrub --quiet d || fail "scrub after a killed repair and a sync: exit code $?"
	assert_equal_trees s d
done
assert_eq "$code" 0 "a repair with fewer flushes than $n: exit code"
[ "$n" -gt 4 ] || fail "a repair flushes image, times, manifest and directory, not $((n - 1)) times"

# not mounted; and by name, where there are no ids
flip d/raw 70000
repair 0 s
mkdir plain
cp s/raw s/other plain
flip d/raw 70000
repair 0 plain
must_sync 0 s d
assert_eq "$(json .bytes_copied)" 0 "bytes of the last sync"
flip d/raw 70000
assert_fails "$MIRRORCTL" scrub --repair nowhere d
assert_eq "$code" 2 "no source: exit code"
assert_one_line "$stderr"
