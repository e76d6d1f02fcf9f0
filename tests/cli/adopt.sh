#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# adopt.sh - a directory becomes the replica of whichever source syncs to it next
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

adopt() { # DEST: its JSON in adopt.json
	"$MIRRORCTL" adopt --json "$1" >adopt.json || fail "adopt $1: exit code $?"
}

uuid() {
	"$MIRRORCTL" status --json "$1" | jq -r .replica.uuid
}

refused() { # DEST TEXT
	assert_fails "$MIRRORCTL" adopt "$1"
	assert_eq "$code" 1 "exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$2"
}

# by_digest REASON WANTED_CODE: a sync to d, which then is what it should be
by_digest() {
	must_sync "$2" s d
	assert_eq "$(json '[.full_copies[] | .reason, .by_digest] | unique | join(" ")')" "true $1" \
		"full copies"
	assert_equal_trees s d
	"$MIRRORCTL" scrub --quiet d || fail "scrub: exit code $?"
	must_sync 0 s d
	assert_eq "$(json .bytes_scanned)" 0 "bytes of the sync after"
}

mkdir -p s/sub
random_file s/a 3000000
random_file s/sub/b 1000000
truncate -s 50M s/holes
random_file s/sub/linked 70000
ln s/sub/linked s/link

# a copy made by hand, with what the source hasn't; nothing but its state changes by adoption
cp -r s d
client flip d/a 100000
mkdir d/extra && echo 1 >d/extra/file && rm d/sub/b && mkdir d/sub/b
assert_fails "$MIRRORCTL" sync s d
assert_contains "$stderr" "mirrorctl adopt"
list_tree d | grep -v '^\. d ' >before
adopt d
list_tree d | grep -v '^\. d ' | diff before - >&2 || fail "adoption changed the tree"
assert_eq "$(json '.images_known, .gave_up_update' adopt.json | xargs)" "0 false" "of the adoption"
"$MIRRORCTL" recover d >out || :
assert_contains "$(cat out)" "it was adopted"
assert_contains "$("$MIRRORCTL" status d)" "of any source"
assert_eq "$("$MIRRORCTL" status --json d | jq .replica.source)" null "source of an adopted replica"
assert_fails "$MIRRORCTL" scrub d
assert_contains "$stderr" "it was adopted, and no sync has compared it yet: sync it first"
must_sync 0 s d --dry-run
assert_eq "$(json '[.full_copies[] | select(.reason == "adopted") | .by_digest] | any')" true \
	"by digest, of a dry run"
assert_eq "$(json .names_removed)" 2 "names that a dry run would remove"
assert_contains "$("$MIRRORCTL" sync --dry-run s d)" "would remove 2 names that the source hasn't"
must_sync 0 s d
assert_eq "$(json '.full_copies[] | select(.path == "a") | .bytes_differing')" 65536 "bytes of a"
assert_equal_trees s d
"$MIRRORCTL" scrub --quiet d || fail "scrub: exit code $?"

# the source loses its state: its replica is another source's now, and says what to do
rm -rf s/.mirrorfs
client flip s/a 200000
assert_fails "$MIRRORCTL" sync s d
assert_contains "$stderr" "mirrorctl adopt"
before=$(uuid d)
adopt d
assert_eq "$(json .images_known adopt.json)" 4 "images that are known"
assert_eq "$(json .replica adopt.json)" "$before" "UUID of the replica"
by_digest adopted 0

# a copy of a replica with its state is one of its own
cp -a d copied
adopt copied
[ "$(json .replica adopt.json)" != "$(uuid d)" ] || fail "two replicas have one UUID"
must_sync 0 s copied
must_sync 0 s d
assert_eq "$("$MIRRORCTL" replica list --json s | jq '.replicas | length')" 2 "replicas"
rm -rf copied

# a manifest that is damaged
printf 'damage' | dd of=d/.mirrorfs/replica bs=1 seek=50 conv=notrunc status=none
assert_fails "$MIRRORCTL" sync s d
assert_contains "$stderr" "mirrorctl adopt"
adopt d
by_digest adopted 0

# pending CALL [PATH]: an update that is killed at its first CALL (of PATH), after its commit
pending() {
	printf '%s' "$RANDOM$SECONDS" | dd of=s/a bs=1 seek=300000 conv=notrunc status=none
	printf '%s' "$RANDOM$SECONDS" | dd of=s/sub/b bs=1 seek=600000 conv=notrunc status=none
	strace -f -o /dev/null ${2:+-P "$PWD/$2"} -e trace="$1" -e inject="$1":signal=KILL:when=1 \
		"$MIRRORCTL" sync --quiet s d 2>/dev/null || :
	[ -e d/.mirrorfs/journal ] || fail "no journal is left"
}

# one that is good is published
pending syncfs
adopt d
assert_eq "$(json .gave_up_update adopt.json)" false "gave up the update"
list_tree s >trees.a
list_tree d | diff trees.a - >&2 || fail "the update was not published"
by_digest adopted 0

# One that is damaged is given up.  What it had changed by then is found, and so is what it hadn't,
# though its digests were there already.
give_up() {
	printf 'damage' | dd of=d/.mirrorfs/journal bs=1 seek=200 conv=notrunc status=none
	assert_fails "$MIRRORCTL" recover d
	assert_one_line "$stderr"
	assert_contains "$stderr" "mirrorctl adopt"
	assert_fails "$MIRRORCTL" sync s d
	assert_contains "$stderr" "mirrorctl adopt"
	"$MIRRORCTL" adopt d >out 2>err
	assert_contains "$(cat err)" "gave up an update"
	[ ! -e d/.mirrorfs/journal ] || fail "the journal is still there"
	by_digest adopted 0
}
pending syncfs
client flip d/a 1000000
give_up
pending fsync d/.mirrorfs/digests
give_up

# what must not be adopted
cp -a s source-with-state
refused source-with-state "remove its .mirrorfs first"
mkdir d/inside
refused d/inside "inside another replica"
rmdir d/inside
refused nowhere "no such file"
refused s/a "not a directory"
mount_source s
refused s "a mirrorfs is mounted there"
unmount s
