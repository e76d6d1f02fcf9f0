#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# replica-verb.sh - replicas at checkpoints of their own, listed and forgotten
. "$(dirname "$0")/common.bash"
requires_fuse

replica() {
	"$MIRRORCTL" replica "$@"
}

# refused PART WORD...: exit code 1, one line with PART in it
refused() {
	local part=$1
	shift
	assert_fails replica "$@"
	assert_eq "$code" 1 "replica $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "replica $*"
}

# listed REPLICA FILTER: of what the list says of it
listed() {
	replica list --json "$at" >list.json
	json ".replicas[] | select(.label == \"$(realpath -m "$1")\") | $2" list.json
}

uuid_of() {
	"$MIRRORCTL" status --json "$1" | jq -r .replica.uuid
}

# change BLOCK...: of both images; through a mount, which is there already if $at is its mount point
change() {
	local block
	[ $at = mnt ] || mount_source s mnt
	for block in "$@"; do
		dd if=/dev/urandom of=mnt/a bs=64k count=1 seek="$block" conv=notrunc status=none
		dd if=/dev/urandom of=mnt/b bs=64k count=1 seek="$block" conv=notrunc status=none
	done
	[ $at = mnt ] || unmount mnt
}

# sidecars: how much they take
sidecars() {
	cat s/.mirrorfs/bitmaps/* | wc -c
}

# no usage, no source, nothing made of what isn't one
for words in "list" "forget" "other s" "list s x" "forget s" "forget s x y"; do
	# shellcheck disable=SC2086
	assert_fails replica $words
	assert_eq "$code" 2 "replica $words: exit code"
	assert_one_line "$stderr"
done
mkdir s mnt
refused "it is no source" list s
refused "it is no source" forget s somewhere
refused "'nowhere': no such file" list nowhere
[ ! -e s/.mirrorfs ] || fail "a state directory was made"

truncate -s 64M s/a s/b
at=s # where mirrorctl is to find the source
mount_source s mnt
assert_eq "$(replica list mnt)" "" "a list of none"
unmount mnt

# Three replicas that are synced at different times; one, REPLICA, is forgotten, the others go on by
# bitmap; when it comes back, it is copied in full, for its lineage.
come_and_go() {
	local held before after
	change 1 2
	must_sync 0 $at d1
	# shellcheck disable=SC2046
	change $(shuf -i 10-1000 -n 50) # d1 alone lacks these
	must_sync 0 $at d2
	change 3 4
	must_sync 0 $at d3
	change 5

	for d in d1 d2 d3; do
		assert_eq "$(listed $d .uuid)" "$(uuid_of $d)" "uuid of $d"
		assert_eq "$(listed $d .checkpoint)" \
			"$("$MIRRORCTL" status --json $d | jq .replica.checkpoint.number)" "checkpoint of $d"
		assert_eq "$(listed $d '.last_seen >= .checkpoint_time')" true "when $d was seen"
	done
	assert_eq "$(listed d1 .dirty_bytes)" $((2 * 53 * 65536)) "what d1 lacks"
	assert_eq "$(listed d2 .dirty_bytes)" $((2 * 3 * 65536)) "what d2 lacks"
	assert_eq "$(listed d3 .dirty_bytes)" $((2 * 65536)) "what d3 lacks"
	assert_eq "$(listed d1 '[.holds_oldest, .held_generations] | @text')" "[true,1]" "held by d1"
	assert_eq "$(listed d2 '[.holds_oldest, .held_generations] | @text')" "[false,1]" "held by d2"
	# d3 is at the newest checkpoint, which is kept anyway
	assert_eq "$(listed d3 '.held_generations + .held_bytes')" 0 "held by d3"
	# one after the other: a source that isn't mounted is locked by who looks at it
	replica list $at >list.out
	grep -q "^ *$(listed d1 .checkpoint)  .* $(realpath d1)\$" list.out || fail "$(cat list.out)"

	# what d1 was said to hold is what goes, as soon as the sidecars are written
	held=$(listed d1 .held_bytes)
	replica forget $at "$1"
	before=$(sidecars)
	change 6
	"$MIRRORCTL" status $at >status.out
	after=$(sidecars)
	assert_eq "$((before - after))" "$held" "bytes that went with d1"
	assert_eq "$(listed d1 .uuid)" "" "d1 after it was forgotten"
	refused "the source knows none" forget $at "$1"
	assert_eq "$(listed d2 .holds_oldest)" true "d2 is the next"

	must_sync 0 $at d2
	assert_eq "$(json .bytes_copied)" $((2 * 4 * 65536)) "copied to d2"
	assert_equal_trees $at d2
	must_sync 0 $at d3
	assert_eq "$(json .bytes_copied)" $((2 * 2 * 65536)) "copied to d3"
	assert_equal_trees $at d3

	must_sync 3 $at d1
	assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "a lineage b lineage" \
		"full copies"
	assert_equal_trees $at d1
	change 7
	must_sync 0 $at d1
	assert_eq "$(json .bytes_copied)" $((2 * 65536)) "copied to d1 when it is known again"
	assert_equal_trees $at d1
}

come_and_go d1
at=mnt
mount_source s mnt
come_and_go "$(uuid_of d1 | tr a-f A-F)"

# too short, unknown, and what may be any of two: the one before and after somebody removed it
refused "8 characters" forget mnt "$(uuid_of d1 | cut -c 1-7)"
refused "the source knows none" forget mnt 12345678
refused "the source knows none" forget mnt nowhere
refused "'$(realpath mnt)'" forget s d1
old=$(uuid_of d3)
rm -r d3
must_sync 0 mnt d3
refused "any of 2" forget mnt d3
refused "any of 2" forget mnt "$PWD/./d3/"
replica forget mnt "${old:0:8}"
assert_eq "$(listed d3 .uuid)" "$(uuid_of d3)" "the other d3"
if [ "$(id -u)" = 0 ]; then
	assert_fails as_user "$MIRRORCTL" replica forget "$PWD/mnt" d3
	assert_contains "$stderr" "only the user that runs mirrorfs there, and root, may"
fi
# by where it was
rm -r d3
replica forget mnt "$(realpath -m d3)"
assert_eq "$(listed d3 .uuid)" "" "d3"

# away [LABEL]: the replica that status warns of
away() {
	"$MIRRORCTL" status --json s >status.json
	assert_eq "$(json '[.warnings[] | .label, .reason] | join(" ")' status.json)" \
		"${1:+$(realpath "$1") replica-away}" "warnings"
}

# one that stays away, and what is kept only for it
change 8
must_sync 0 mnt d1
unmount mnt
at=s
client age s 6
away
client age s 1 # and what has passed since
away d2
"$MIRRORCTL" status s >status.out
grep -q "^warning: replica '$(realpath d2)': not seen for 7 days, and $(listed d2 .held_bytes) B of bitmaps are$(
	) kept only for it; if it was given up: mirrorctl replica forget 's' $(uuid_of d2)\$" status.out ||
	fail "status: $(cat status.out)"
must_sync 0 s d2
away d1 # now it is the one that goes back furthest
replica forget s d1
away
