#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-first.sh - a first sync copies data, keeps holes, and says what it did
. "$(dirname "$0")/common.bash"

mkdir -p s/sub/deep
random_file s/plain.raw 3000001
truncate -s 60M s/sparse.raw
random_file chunk 1048576
dd if=chunk of=s/sparse.raw bs=1M seek=40 conv=notrunc status=none
: >s/empty
printf 'x' >s/sub/deep/one-byte
truncate -s 5M s/sub/all-hole
ln s/plain.raw s/sub/hard

must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json .images_total)" 5 images_total
assert_eq "$(json .images_changed)" 5 images_changed
assert_eq "$(json .from_checkpoint)" null from_checkpoint
assert_eq "$(json .checkpoint.number)" 1 checkpoint
assert_eq "$(json '.checkpoint.uuid | length')" 36 "checkpoint uuid"
assert_eq "$(json '[.full_copies[].reason] | unique | join(" ")')" first "reasons"
assert_eq "$(json '[.full_copies[].expected] | all')" true expected
assert_eq "$(json .bytes_zeroed)" 0 bytes_zeroed
assert_eq "$(json .bytes_total)" $((3000001 + 62914560 + 1 + 5242880)) bytes_total
# a filesystem's block may be larger than what was written
[ "$(json .bytes_copied)" -ge $((3000001 + 1048576 + 1)) ] || fail "too little copied"
[ "$(json .bytes_copied)" -le $((3000001 + 1048576 + 1 + 3 * 65536)) ] || fail "too much copied"
[ "$(stat -c %b d/sparse.raw)" -le $((2 * $(stat -c %b s/sparse.raw))) ] || fail "holes were filled"
[ "$(stat -c %b d/sub/all-hole)" -le 16 ] || fail "a hole was filled"

# nothing to do: nothing but the checkpoint moves
before=$(stat -c '%n %i %z' d/plain.raw d/sub d/sub/deep d)
must_sync 0 s d
assert_eq "$(json .images_changed)" 0 images_changed
assert_eq "$(json .bytes_copied)" 0 bytes_copied
assert_eq "$(json .names_changed)" 0 names_changed
assert_eq "$(json .checkpoint.number)" 2 checkpoint
assert_eq "$(json .from_checkpoint.number)" 1 from_checkpoint
assert_eq "$(stat -c '%n %i %z' d/plain.raw d/sub d/sub/deep d)" "$before" "replica"
assert_equal_trees s d

# a second replica begins from nothing
must_sync 0 s e
assert_equal_trees s e
assert_eq "$("$MIRRORCTL" status --json s | jq '.source.replicas | length')" 2 replicas
