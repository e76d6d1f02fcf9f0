#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# restore.sh - what a replica was at its last checkpoints can be had again: from trees where files
# can be cloned, elsewhere by deltas that lead back
. "$(dirname "$0")/keep.bash"

# assert_kept DEST NUMBER...: these and no others besides the replica itself, and all come out
assert_kept() {
	local dest=$1 number
	shift
	assert_eq "$(numbers "$dest")" "$*" "kept checkpoints of $dest"
	for number in "$@" "$(at_checkpoint "$dest")"; do
		assert_restores "$dest" "$number"
	done
	no_leftovers "$dest"
}

refused() { # WHAT COMMAND...: without anything being left
	local what=$1
	shift
	assert_fails "$@"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$what"
	[ ! -e out ] || fail "$*: left something"
}

on_disk ext4 d
make_source s
mount_source s
kept=()
for round in 1 2 3 4; do
	must_sync 0 s d --keep 4
	remember s
	assert_kept d "${kept[@]}"
	kept=("$(json .checkpoint.number)" "${kept[@]:0:2}")
	[ $round = 3 ] || change s # once, nothing has changed
done
assert_eq "$("$MIRRORCTL" status --json d | jq -r '[.replica.kept[].kind] | unique[]')" delta "kind"

# a sync without the option goes on with them, and lets go of none; in place it can't
assert_fails "$MIRRORCTL" sync --in-place s d
assert_eq "$code" 2 "exit code of --in-place"
assert_fails "$MIRRORCTL" sync --in-place --keep 3 s d
assert_eq "$code" 2 "exit code of --in-place --keep"
read -ra kept <<<"$(at_checkpoint d) $(numbers d)"
must_sync 0 s d
remember s
assert_kept d "${kept[@]}"

# by UUID; into an empty directory; the replica itself
mkdir out
"$MIRRORCTL" restore --json --at "$("$MIRRORCTL" status --json d | jq -r '.replica.kept[1].uuid')" d out \
	>restore.json
assert_eq "$(jq '[.checkpoint.number, .deltas] | join(" ")' -r restore.json)" "${kept[1]} 2" "restored"
assert_same_trees "of.${kept[1]}" out
rm -r out
"$MIRRORCTL" restore --quiet d out
assert_same_trees s out
assert_fails "$MIRRORCTL" restore d out
assert_contains "$stderr" "restore to 'out': it is not empty"
rm -r out
refused "it is inside a replica" "$MIRRORCTL" restore d d/out
refused "no checkpoint 99 is kept" "$MIRRORCTL" restore --at 99 d out

# a damaged delta is found before anything is made of it
oldest=${kept[-1]}
delta=d/.mirrorfs/checkpoint/$oldest.delta
cp "$delta" delta
client flip "$delta" $(($(stat -c %s delta) / 2))
refused "a kept delta" "$MIRRORCTL" restore --at "$oldest" d out
assert_restores d "${kept[0]}"
cp delta "$delta"
assert_restores d "$oldest"

# a copy of the whole replica is as good: its digests prove it
cp -a d copied
assert_restores copied "$oldest"
assert_restores copied "$(at_checkpoint d)"
client flip copied/same.raw 9
refused "'copied/same.raw': somebody changed" "$MIRRORCTL" restore copied out
rm -rf copied

# What the disk has damaged, with nobody changing the file, is restored as it is, and said.
printf '%9000s' "a line that isn't anywhere else" >s/rotten
must_sync 0 s d --keep 4
remember s
sync -f d
at=$(grep -obUa "a line that isn't anywhere else" d.disk | sed -n '1s/:.*//p')
printf X | dd of=d.disk bs=1 seek="$at" conv=notrunc status=none
dd if=d/rotten iflag=nocache count=0 status=none
code=0
"$MIRRORCTL" restore --json d out >restore.json || code=$?
assert_eq "$code $(jq .images_damaged restore.json)" "3 1" "a restore of what is damaged"
rm -r out
code=0
"$MIRRORCTL" restore d out >restore.out 2>restore.err || code=$?
assert_eq "$code" 3 "the same, in text"
assert_contains "$(cat restore.err)" "'rotten' at offset 0"
assert_fails diff -q s/rotten out/rotten
rm -r out
"$MIRRORCTL" scrub --quiet --repair s d || fail "repair: exit code $?"
assert_restores d "$(at_checkpoint d)"

# killed at any of the calls by which that is done
killed=0
for call in fsync renameat ftruncate write; do
	when=$((1 + RANDOM % 6))
	change s
	if kill_at $call "$when" "$MIRRORCTL" sync --quiet --keep 3 s d; then
		killed=$((killed + 1))
	fi
	if [ -e d/.mirrorfs/journal ]; then
		refused "mirrorctl recover" "$MIRRORCTL" restore d out
		assert_contains "$("$MIRRORCTL" status d)" "mirrorctl recover 'd'"
	fi
	"$MIRRORCTL" recover --quiet d
	at=$(at_checkpoint d)
	[ -e "of.$at" ] || remember s "$at"
	# what was overwritten can still be had
	# shellcheck disable=SC2046
	assert_kept d $(numbers d)
	[ "$(numbers d | wc -w)" -ge 2 ] || fail "killed at $call $when: kept only $(numbers d)"
	must_sync 0 s d --keep 3
	remember s
	[ "$(numbers d | wc -w)" = 2 ] || fail "kept $(numbers d)"
	assert_eq "$(numbers d | cut -d ' ' -f 1)" "$at" "the last one that is kept"
done
[ "$killed" -gt 1 ] || fail "killed only $killed times"

# A restore that is killed leaves a mark.
! kill_at utimensat 3 "$MIRRORCTL" restore d out || [ -f out/.mirrorfs ] || fail "no mark"
rm -rf out

# What somebody has changed is no checkpoint, and says so.
number=$(numbers d | cut -d ' ' -f 1)
client flip d/a.raw 9
refused "'d/a.raw': somebody changed" "$MIRRORCTL" restore --at "$number" d out
refused "'d/a.raw': somebody changed" "$MIRRORCTL" restore d out
must_sync 3 s d --keep 3
assert_contains "$(json '.warnings[]')" "older checkpoints are lost: somebody changed 'a.raw'"
remember s
assert_kept d
number=$(at_checkpoint d)
change s
must_sync 0 s d --keep 3
remember s
assert_kept d "$number"
must_sync 0 s d --keep 0
assert_eq "$(numbers d)" "" "kept checkpoints"

# from a tree, whatever became of the replica
on_disk btrfs e
must_sync 0 s e --keep 2
remember s
at=$(at_checkpoint e)
change s
must_sync 0 s e --keep 2
remember s
client flip e/a.raw 9
assert_restores e "$at"
assert_restores e "$(at_checkpoint e)"
echo "restore: $killed kills"
