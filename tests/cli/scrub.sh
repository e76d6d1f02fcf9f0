#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# scrub.sh - every flipped bit of a replica is found, and named by image and offset
. "$(dirname "$0")/common.bash"

requires_strace
requires qemu-img
echo "seed $SEED"

# sizes that are no multiples of a block, of one that is all hole, and of one byte
mkdir s
random_file s/raw 3000001
truncate -s 5242879 s/holes
printf x | dd of=s/holes bs=1 seek=2000000 conv=notrunc status=none
truncate -s 1000001 s/hole
printf x >s/byte
for format in qcow2 vmdk vdi vpc vhdx; do
	qemu-img convert -f raw -O "$format" s/raw "s/image.$format"
done
must_sync 0 s good

# copy_replica: a fresh one in d
copy_replica() {
	rm -rf d
	cp -a --sparse=always good d
}

# scrub WANTED_CODE: of d, by text and by JSON, which have to agree
scrub() {
	code=0
	"$MIRRORCTL" scrub --json d >scrub.json 2>err || code=$?
	assert_eq "$code" "$1" "scrub: exit code ($(cat err scrub.json))"
	code=0
	"$MIRRORCTL" scrub d >scrub.out 2>err || code=$?
	assert_eq "$code" "$1" "scrub, as text: exit code ($(cat err))"
	code=0
	"$MIRRORCTL" scrub --quiet d >out 2>&1 || code=$?
	assert_eq "$code" "$1" "scrub --quiet: exit code"
	[ ! -s out ] || fail "quiet says: $(cat out)"
	diff <(jq -r '.found[] | "\(.path): offset \(.offset), \(.bytes) bytes"' scrub.json) \
		<(sed -n 's/\(.* bytes\): .*/\1/p' scrub.out) >&2 || fail "text and JSON differ"
}

# found: what was found, a line for each range
found() {
	jq -r '.found[] | "\(.path) \(.what) \(.offset) \(.bytes)"' scrub.json
}

copy_replica
scrub 0
assert_eq "$(found)" "" "found in a good replica"
assert_eq "$(json '[.proved, .bytes_proved == .bytes_total] | all' scrub.json)" true proved

# 1,000 bits, and the first and the last byte of each; holes become data by that
copy_replica
stat -c '%s %n' d/* | awk -v seed=$((SEED % 1000000007)) '
	function flip(file, at) {
		if (!((file, at) in done)) {
			done[file, at] = 1
			n++
			print file, at, int(rand() * 8)
		}
	}
	BEGIN { srand(seed) }
	{ size[NR] = $1; file[NR] = $2; flip($2, 0); flip($2, $1 - 1) }
	END { while (n < 1000) { f = 1 + int(rand() * NR); flip(file[f], int(rand() * size[f])) } }' >bits
for file in d/*; do
	awk -v file="$file" '$1 == file { print $2 ":" $3 }' bits | xargs "$CLIENTS/flip" "$file"
done
awk '{ print substr($1, 3), int($2 / 65536) }' bits | LC_ALL=C sort -u >flipped
scrub 1
jq -r '.found[] | select(.what == "damaged") | range(.offset; .offset + .bytes; 65536) as $at |
	"\(.path) \($at / 65536)"' scrub.json | LC_ALL=C sort >named
diff flipped named >&2 || fail "flipped (<) and named (>)"

# single bits, each in a fresh block, so that one can't hide behind another
for at in 0 65535 65536 3000000; do
	copy_replica
	client flip d/raw "$at"
	scrub 1
	start=$((at / 65536 * 65536))
	size=$((start + 65536 < 3000001 ? 65536 : 3000001 - start))
	assert_eq "$(found)" "raw damaged $start $size" "bit at $at"
done

# the end of a file; a hole that is missing too
copy_replica
truncate -s +1 d/byte
truncate -s 1000000 d/hole
scrub 1
assert_eq "$(found)" "byte longer 1 1
hole shorter 1000000 1" "ends"
copy_replica
truncate -s 2900000 d/raw
scrub 1
assert_eq "$(found)" "raw damaged 2883584 116417
raw shorter 2900000 100001" "cut off"
copy_replica
rm d/raw d/hole
ln -s byte d/hole
scrub 1
assert_eq "$(found)" "hole missing 0 1000001
raw missing 0 3000001" missing

# digests that are damaged make blocks unknown, not damaged: a page, the header, all of it
digests=d/.mirrorfs/digests/$(getfattr --only-values -n user.mirrorfs.id s/raw)
copy_replica
printf xx | dd of="$digests" bs=1 seek=5000 conv=notrunc status=none
scrub 1
assert_eq "$(found)" "raw unknown 0 3000001" "damaged page"
copy_replica
printf xx | dd of="$digests" bs=1 seek=30 conv=notrunc status=none
scrub 1
assert_eq "$(found)" "raw unknown 0 3000001" "damaged header"
copy_replica
rm "$digests"
scrub 1
assert_eq "$(found)" "raw unknown 0 3000001" "no digests"
assert_eq "$(json '.bytes_damaged' scrub.json)" 0 "bytes damaged"

# what the disk can't read is said of that block alone; the rest is proved
copy_replica
code=0
# a sanitizer of leaks can't work in a process that is traced
strace -qq -o trace -P "$work/d/raw" -e trace=pread64 \
	-e inject=pread64:error=EIO:when=2..3 "$MIRRORCTL" scrub --json --threads 1 d >scrub.json 2>err || code=$?
grep -q INJECTED trace || skip "can't trace"
assert_eq "$code" 1 "unreadable: exit code ($(cat err))"
assert_eq "$(found)" "raw unreadable 262144 65536" unreadable

# killed_sync CONDITION [OPTION...]: syncs to good and kills that at its first flush, the next one
# at its second and so on, until CONDITION holds
killed_sync() {
	local condition=$1 n
	shift
	for n in {1..60}; do
		printf '%s' "$n" | dd of=s/raw bs=1 conv=notrunc status=none
		strace -qq -o trace -e trace=fsync,syncfs \
			-e inject=fsync,syncfs:signal=KILL:when="$n" \
			"$MIRRORCTL" sync --quiet "$@" s good >out 2>&1 || :
		! "$condition" || return 0
	done
	fail "no flush of a sync $* is where it was to be killed"
}

# an update that was committed is finished first
is_committed() {
	[ -e good/.mirrorfs/journal ]
}
killed_sync is_committed
"$MIRRORCTL" scrub good >out || fail "scrub of a replica with a journal: exit code $?: $(cat out)"
[ ! -e good/.mirrorfs/journal ] || fail "scrub has left the journal"
assert_same_file s/raw good/raw

# one in place that was killed is to be made good
is_incomplete() {
	! complete good
}
killed_sync is_incomplete --in-place
assert_fails "$MIRRORCTL" scrub good
assert_eq "$code" 2 "incomplete: exit code"
assert_one_line "$stderr"
assert_contains "$stderr" "sync it first"
must_sync 3 s good # nothing is mounted, so all that changed is changed behind the mount
"$MIRRORCTL" scrub --quiet good

# errors are 2
mkdir plain
for dir in nowhere plain s/raw; do
	assert_fails "$MIRRORCTL" scrub "$dir"
	assert_eq "$code" 2 "scrub $dir: exit code"
	assert_one_line "$stderr"
done
