#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# recover.sh - mirrorctl recover finishes a committed update, and nothing else
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

# killed_at CALL NAME: a sync of s to d is killed at the first such call that has that argument
killed_at() {
	local code=0
	strace -f -qq -o /dev/null -P "$2" -e trace="$1" -e inject="$1:signal=KILL:when=1" \
		"$MIRRORCTL" sync --quiet s d 2>/dev/null || code=$?
	assert_eq "$code" 137 "exit code of a sync that is killed"
} 2>/dev/null
before_commit() { killed_at renameat journal.tmp; }
before_names() { killed_at mkdirat .mirrorfs/moving; }
before_end() { killed_at unlinkat journal; }

recover_killed_at_its_end() {
	local code=0
	strace -qq -o /dev/null -e trace=syncfs -e inject=syncfs:signal=KILL:when=1 \
		"$MIRRORCTL" recover d 2>/dev/null || code=$?
	assert_eq "$code" 137 "exit code of a recover that is killed"
} 2>/dev/null

# recovers WANTED_CODE RECOVERED
recovers() {
	local code=0
	"$MIRRORCTL" recover --json d >recover.json 2>recover.err || code=$?
	[ "$code" = "$1" ] || fail "recover: exit code $code: $(cat recover.err recover.json)"
	assert_eq "$(json .recovered recover.json)" "$2" recovered
	left=$(find d/.mirrorfs -mindepth 1 -maxdepth 1 -printf '%f\n' | LC_ALL=C sort | tr '\n' ' ')
	assert_eq "$left" "bitmaps digests lock replica " "what is in .mirrorfs"
}

checkpoint() {
	"$MIRRORCTL" status --json d | jq -c .replica.checkpoint
}

n=0
# content, by bitmap, with another size; names; a new image
change() {
	n=$((n + 1))
	mount_source s m
	head -c 100000 /dev/urandom | dd of=m/image bs=64k seek=1 conv=notrunc status=none
	truncate -s $((700000 - n % 2 * 100000)) m/image
	mv m/a m/t && mv m/b m/a && mv m/t m/b
	echo "$n" >"m/new$n"
	rm -f "m/new$((n - 1))"
	unmount m
}

mkdir s m
random_file s/image 700000
random_file s/untouched 300000
echo a >s/a && echo b >s/b
must_sync 0 s d
assert_proved d
old=$(checkpoint)

# Not committed: it is what it was, and so are its digests.
change
list_tree d >tree
before_commit
[ ! -e d/.mirrorfs/journal ] || fail "committed"
assert_eq "$(checkpoint)" "$old" checkpoint
list_tree d | diff tree - >&2 || fail "changed, and not committed"
recovers 0 false
list_tree d | diff tree - >&2 || fail "changed by recover, without a journal"
assert_proved d
# nor is what was staged in the way of the next one
before_commit
must_sync 0 s d
assert_equal_trees s d
assert_proved d

# Committed: it becomes what was meant, without the source.
change
list_tree d >tree
before_names
[ -e d/.mirrorfs/journal ] || fail "not committed"
list_tree d | diff tree - >&2 || fail "changed before its time"
# until then no guest writes what would be overwritten
mkdir mnt
for mnt in d mnt; do
	assert_fails "$MIRRORFS" "$work/d" "$work/$mnt"
	assert_one_line "$stderr"
	assert_contains "$stderr" "first run mirrorctl recover '$work/d'"
done
cp -a d e
mount_source e mnt ro
assert_same_file d/image mnt/image
unmount mnt
cp -a d/.mirrorfs/journal d/.mirrorfs/staging .
mv s away
recovers 0 true
mv away s
assert_equal_trees s d
assert_proved d
recovers 0 false

# Published: only the journal is left to be removed.
change
before_end
[ -e d/.mirrorfs/journal ] || fail "no journal"
new=$(checkpoint)
recovers 0 true
assert_eq "$(checkpoint)" "$new" checkpoint
assert_equal_trees s d
assert_proved d
must_sync 0 s d

# A journal that begins elsewhere changes nothing.
list_tree d >tree
cp -a journal staging d/.mirrorfs/
assert_fails "$MIRRORCTL" recover d
assert_one_line "$stderr"
assert_contains "$stderr" "its journal begins at another checkpoint than the replica is at"
assert_fails "$MIRRORCTL" sync s d
assert_contains "$stderr" "its journal begins at another checkpoint than the replica is at"
[ -e d/.mirrorfs/journal ] || fail "a journal that was refused is gone"
list_tree d | diff tree - >&2 || fail "changed by a journal that was refused"
! complete d || fail "complete, with a journal that was refused"
rm -r d/.mirrorfs/journal d/.mirrorfs/staging
assert_proved d

# What somebody has removed is not made up: that is said, and the next sync copies it.
change
before_names
rm d/image
recovers 1 true
assert_contains "$(cat recover.err)" "removed from the replica meanwhile: 1 file(s), such as 'image'"
! complete d || fail "complete, without an image"
must_sync 3 s d
assert_equal_trees s d
assert_proved d

# What somebody changes before it is published, where the update has nothing to write, isn't
# taken for its own: not even by a second one that finds the first one's traces.
change
before_names
printf 'w' | dd of=d/untouched bs=1 seek=100000 conv=notrunc status=none
recover_killed_at_its_end
recovers 0 true
must_sync 3 s d
assert_eq "$(json '[.full_copies[] | .path, .reason, .bytes_differing] | join(" ")')" \
	"untouched replica-changed 65536" "full copies"
assert_equal_trees s d
assert_proved d
