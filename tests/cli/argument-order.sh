#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# argument-order.sh - SOURCE and DEST the wrong way round: what is said leads to no image in use
# being overwritten, and what was a replica is one still
. "$(dirname "$0")/common.bash"

requires_fuse

# refused PART ARGUMENT...: exit code 1, one line that has PART in it, whose first way out is neither
# to unmount a source nor to give up its state, and nothing was made anywhere
refused() {
	local part=$1
	shift
	find . -path ./m -prune -o -path '*/.mirrorfs/*' -printf '%p\n' | sort >made.before
	assert_fails "$MIRRORCTL" "$@"
	assert_eq "$code" 1 "mirrorctl $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "mirrorctl $*"
	case ${stderr%%;*} in
	*unmount* | *"mirrorctl adopt"* | *"remove its"*) fail "mirrorctl $*: leads astray: $stderr" ;;
	esac
	find . -path ./m -prune -o -path '*/.mirrorfs/*' -printf '%p\n' | sort | diff made.before - ||
		fail "mirrorctl $*: left something"
}

# synced SOURCE DEST: by bitmap, or not, as what a sync changes in one that is both source and
# replica is somebody's change to the other
synced() {
	sync_to "$@"
	[ "$code" = 0 ] || [ "$code" = 3 ] || fail "sync $*: exit code $code: $(cat sync.err)"
	assert_equal_trees "$@"
}

mkdir s m other
random_file s/image 300000
random_file other/image 100000
must_sync 0 s rep
must_sync 0 other foreign
list_tree s >source.before
list_tree rep >rep.before

for at in s m; do
	[ $at = s ] || mount_source s m
	wrong="'rep': it is a replica of '$at': are the arguments in the wrong order?"
	for verb in sync "sync --dry-run" "sync --in-place" "sync --since x" "sync --keep 2" switchover; do
		# shellcheck disable=SC2086
		refused "$wrong mirrorctl ${verb%% *} '$at' 'rep'" $verb rep $at
	done
	# another's replica, and a directory that nothing is known of
	mkdir -p plain
	for dir in foreign plain; do
		refused "it is a source itself" sync $dir $at
		refused "it is a source itself" switchover $dir $at
	done
	refused "it is a source itself" adopt $at
	"$MIRRORCTL" status --json rep | jq -e '.source == null and .replica.complete' >/dev/null ||
		fail "the replica isn't what it was"
done
refused "it is a source itself" sync plain m/new
refused "wrong order? mirrorctl sync 's' 'rep'" sync rep s # under the mount
list_tree m | diff source.before - || fail "the source was changed"
must_sync 0 m rep
unmount m

# that a name with a newline is one line still
mv s $'a\nb'
refused "mirrorctl sync 'a\\nb' 'rep'" sync rep $'a\nb'
mv $'a\nb' s

# Of a chain the middle one is both.
must_sync 0 rep third
refused "it is a replica of 'rep': are" sync third rep
refused "it is a source itself, and a replica of another one" sync other rep
synced s rep
synced rep third

# An empty source is one too.
mkdir empty
for way in --dry-run "" --in-place; do
	# shellcheck disable=SC2086
	must_sync 0 empty of-empty $way
	case $way in
	--in-place) assert_eq "$(json '.warnings | length')" 0 "warnings of one that was made before" ;;
	*) assert_contains "$(json '.warnings[]')" "was no source before: is its filesystem mounted?" ;;
	esac
done
refused "it is a source itself" sync s empty

# The way back after a switchover, as mirrorctl-switchover(8) has it: what was the source is a
# replica, and the other way round it is as wrong as ever.
"$MIRRORCTL" switchover --quiet s rep
random_file rep/image 200000
rm -r s/.mirrorfs
"$MIRRORCTL" adopt --quiet s
must_sync 0 rep s
assert_equal_trees rep s
refused "it is a replica of 'rep': are" sync s rep
"$MIRRORCTL" switchover --quiet rep s
# And there again: each is a replica of the other then, and either order may be meant.
"$MIRRORCTL" switchover --undo --quiet rep
"$MIRRORCTL" adopt --quiet rep
synced s rep
synced rep s
synced s rep
