#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-bad-input.sh - what can't be done is refused: one line, a way out, nothing lost
. "$(dirname "$0")/common.bash"

mkdir s t
random_file s/image 100000
echo other >t/image
must_sync 0 s d

# refused PART SOURCE DEST: exit code 1, one line that has PART in it, and both are as before
refused() {
	local part=$1
	shift
	assert_fails "$MIRRORCTL" sync "$@"
	assert_eq "$code" 1 "sync $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "sync $*"
	assert_fails "$MIRRORCTL" sync --dry-run "$@"
	assert_one_line "$stderr"
}

refused "'nowhere': no such file" nowhere d
refused "not a directory" s/image d
refused "choose another directory" s s
refused "inside the source" s s/new
refused "inside the source" s ./s/../s/new
mkdir s/sub
refused "inside the source" s s/sub
[ ! -e s/new ] || fail "made a directory in the source"
rmdir s/sub
refused "the source is inside" s .
refused "parent directory" s no/such/parent
refused "not a directory" s s/image
mkdir full && echo mine >full/file
refused "not empty and not a replica" s full
assert_eq "$(ls -A full)" file "a refused directory"
refused "replica of another source" t d
refused "replica of another source" t ./d/
[ ! -e t/.mirrorfs ] || fail "a refused sync made a source"
refused "state directory" s/.mirrorfs e
refused "state directory" d/.mirrorfs/bitmaps e
mkdir inner outer && mkdir outer/s
refused "the source is inside" outer/s outer
ln -s s to-s
refused "choose another directory" to-s s
must_sync 0 s d
assert_equal_trees s d

refused "inside another replica" s d/new
mkdir d/there
refused "inside another replica" t d/there
must_sync 0 s d

# What was given as the source is what it was, a replica or just a directory: it becomes a source by a
# sync that isn't refused.
mkdir plain
random_file plain/image 1000
must_sync 0 t foreign
for dir in d plain; do
	for other in s foreign full no/such/parent s/image $dir/inside .; do
		for verb in sync "sync --in-place" "sync --follow" switchover; do
			# shellcheck disable=SC2086
			assert_fails "$MIRRORCTL" $verb $dir $other
			assert_eq "$code" 1 "$verb $dir $other: exit code"
			assert_one_line "$stderr"
			[ ! -e $dir/.mirrorfs/state ] || fail "$verb $dir $other: made a source of it"
		done
	done
	assert_fails "$MIRRORCTL" sync --since x $dir new
	[ ! -e $dir/.mirrorfs/state ] || fail "sync --since: made a source of $dir"
	[ ! -e new ] || fail "sync --since: made its destination"
done
[ ! -e plain/.mirrorfs ] || fail "a refused sync made a state directory"
"$MIRRORCTL" status --json d | jq -e '.source == null and .replica.complete' >/dev/null ||
	fail "the replica isn't what it was"
must_sync 0 s d
assert_equal_trees s d
rm -r plain foreign

# a symlink to the source, and one to the replica, are fine
ln -s d to-d
must_sync 0 to-s to-d

# with a fresh filesystem's directory it still counts as empty
mkdir -p fresh/lost+found
must_sync 0 s fresh
[ -d fresh/lost+found ] || fail "removed lost+found"
"$MIRRORCTL" verify s fresh || fail "verify minds lost+found"

# a replica whose manifest is damaged, cut off, of another kind, from the future
cp d/.mirrorfs/replica good
for damage in 'truncate -s 0' 'truncate -s 30' 'truncate -s 200' 'flip 70' 'flip 9' 'magic'; do
	cp good d/.mirrorfs/replica
	case $damage in
	flip*)
		client flip d/.mirrorfs/replica "${damage#flip }"
		;;
	magic) printf 'MFSSTATE' | dd of=d/.mirrorfs/replica conv=notrunc status=none ;;
	*) $damage d/.mirrorfs/replica ;;
	esac
	list_tree d >before
	refused "'d'" s d
	list_tree d >after
	cmp before after || fail "$damage: the replica was changed"
	assert_fails "$MIRRORCTL" status d
	assert_one_line "$stderr"
done
rm d/.mirrorfs/replica && mkdir d/.mirrorfs/replica
refused "replica" s d
rmdir d/.mirrorfs/replica
refused "not empty and not a replica" s d
cp good d/.mirrorfs/replica
must_sync 0 s d

# a source whose state is damaged begins anew: its replicas are copied in full, and it is said
for damage in 'truncate -s 0' 'truncate -s 100' 'rm'; do
	cp -a s/.mirrorfs/state state.good
	$damage s/.mirrorfs/state
	if [ -e s/.mirrorfs/state ]; then
		assert_fails "$MIRRORCTL" status s
		assert_one_line "$stderr"
	fi
	must_sync 3 s d
	assert_equal_trees s d
	must_sync 0 s d
done

# the command line
for words in "" "frobnicate" "sync" "sync s" "sync s d x" "sync --frobnicate s d" "sync s --in" \
	"status" "status s d" "status --quiet s" "verify s" "verify -x s d" "help nothing" "help a b"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" $words
	assert_eq "$code" 2 "mirrorctl $words: exit code"
	assert_one_line "$stderr"
done
