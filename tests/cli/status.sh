#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status.sh - shows sources and replicas, and changes nothing
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
random_file s/a 10000000
random_file s/b 70000
"$MIRRORCTL" status s >out
assert_contains "$(cat out)" "neither a source nor a replica"
"$MIRRORCTL" status --json s | jq -e '.source == null and .replica == null' >/dev/null
[ ! -e s/.mirrorfs ] || fail "status made a state directory"

must_sync 0 s d
must_sync 0 s e
"$MIRRORCTL" status --json s >status.json
assert_eq "$(json .source.mounted status.json)" false mounted
assert_eq "$(json .source.block_size status.json)" 65536 block_size
assert_eq "$(json '[.source.images[] | .path, .size] | join(" ")' status.json)" "a 10000000 b 70000"
assert_eq "$(json '[.source.replicas[].dirty_bytes] | join(" ")' status.json)" "0 0" dirty
assert_eq "$(json '[.source.replicas[].label] | sort | join(" ")' status.json)" \
	"$(realpath d) $(realpath e)" labels
assert_eq "$(json '.source.checkpoints[-1].number' status.json)" 2 checkpoint
"$MIRRORCTL" status s >out
assert_contains "$(cat out)" "$(realpath e)"

mount_source s
dd if=/dev/zero of=s/a bs=64k count=2 seek=10 conv=notrunc status=none
printf 'x' | dd of=s/b bs=1 seek=69999 conv=notrunc status=none
must_sync 0 s e
dd if=/dev/zero of=s/a bs=64k count=1 seek=30 conv=notrunc status=none
"$MIRRORCTL" status --json s >status.json
assert_eq "$(json .source.mounted status.json)" true mounted
assert_eq "$(json .source.pid status.json)" "${daemon_of[$(realpath s)]}" pid
d_dirty=".source.replicas[] | select(.label == \"$(realpath d)\").dirty_bytes"
e_dirty=".source.replicas[] | select(.label == \"$(realpath e)\").dirty_bytes"
assert_eq "$(json "$d_dirty" status.json)" $((3 * 65536 + 70000 - 65536)) "dirty bytes of d"
assert_eq "$(json "$e_dirty" status.json)" 65536 "dirty bytes of e"
[ "$(json '.source.images[0].armed_regions' status.json)" -gt 0 ] || fail "nothing is armed"
# it was right
must_sync 0 s d
assert_eq "$(json .bytes_scanned)" $((3 * 65536 + 70000 - 65536)) bytes_scanned
unmount s

"$MIRRORCTL" status --json d >status.json
assert_eq "$(json .replica.complete status.json)" true complete
assert_eq "$(json .replica.checkpoint.number status.json)" 4 checkpoint
assert_eq "$(json .source status.json)" null source
"$MIRRORCTL" status d | grep -q "complete at checkpoint 4" || fail "status of a replica"

# trouble is told
printf 'y' | dd of=s/b conv=notrunc status=none
"$MIRRORCTL" status --json s >status.json
assert_eq "$(json '.warnings[].reason' status.json)" changed-behind-mount warning
"$MIRRORCTL" status s | grep -q "warning: 'b': changed behind the mount" || fail "no warning"

# a tree with more levels than there are descriptors at first
deep=t
for i in 1 2 3 4 5 6 7 8 9 10; do
	deep+=/1/2/3/4/5/6/7/8/9/10
done
mkdir -p "$deep"
echo 1 >"$deep/image"
must_sync 0 t u
(
	ulimit -S -n 60
	"$MIRRORCTL" status t >out && "$MIRRORCTL" verify --quiet t u
) || fail "the limit of descriptors isn't raised"
assert_contains "$(cat out)" "1/2/3/4"

# A replica that is a source too is shown as a replica while a sync to it has its lock, as it has when
# hooks run; verbs that are about a source alone say who has it.
mkdir x
random_file x/image 100000
must_sync 0 x y
must_sync 0 y z
# shellcheck disable=SC2016
during='for as in "" --json --prometheus; do "$MIRRORCTL" status $as y >"status$as" || exit; done
	"$MIRRORCTL" checkpoint list y 2>listed && exit 1
	true'
sync_to x y --pre-hook "$during"
[ "$code" = 0 ] || [ "$code" = 3 ] || fail "during the sync: $(cat sync.err)"
assert_contains "$(cat status)" "replica 'y'"
assert_contains "$(cat status)" "what it is as a source isn't shown: open source 'y': in use by"
jq -e '.source == null and .replica.complete and .warnings == [] and
	(.source_in_use | contains("mirrorctl (pid "))' <status--json >/dev/null || fail "$(cat status--json)"
assert_contains "$(cat status--prometheus)" "mirrorfs_replica_directory_images"
if grep -q mirrorfs_source status--prometheus; then fail "metrics of a source that wasn't read"; fi
assert_contains "$(cat listed)" "open source 'y': in use by"
case $(cat listed) in *"mount point"*) fail "there is no mount point: $(cat listed)" ;; esac
"$MIRRORCTL" status --json y | jq -e '.source.uuid and (has("source_in_use") | not)' >/dev/null ||
	fail "it isn't shown as a source afterwards"

# a state file that is damaged: the way out, and that it is one
truncate -s 10 s/.mirrorfs/state
assert_fails "$MIRRORCTL" status s
assert_one_line "$stderr"
assert_contains "$stderr" "damaged"
assert_contains "$stderr" "the next sync or mount begins anew"
sync_to s d
"$MIRRORCTL" status s >out || fail "status after the way out"

for path in nowhere s/a; do
	assert_fails "$MIRRORCTL" status "$path"
	assert_eq "$code" 1 "exit code"
	assert_one_line "$stderr"
done

# What a source has lost before its first checkpoint is nobody's loss: images with ids from an earlier life are
# new ones, and the next sync finds nothing wrong either
mkdir life
random_file life/a 100000
must_sync 0 life first-life
rm -r life/.mirrorfs
mount_source life
echo 1 | dd of=life/a conv=notrunc status=none
"$MIRRORCTL" status --json life >status.json
assert_eq "$(json '[.warnings, .source.images[0].reason] | tojson' status.json)" '[[],"new"]' "an earlier life"
must_sync 0 life second-life
assert_eq "$(json '.full_copies | map(.expected) | all')" true "expected"
unmount life
# when a checkpoint was there it is trouble, also after the whole state was lost
rm life/.mirrorfs/bitmaps/*
"$MIRRORCTL" status --json life >status.json
assert_eq "$(json '.warnings[].reason' status.json)" sidecar-missing "a lost sidecar"
must_sync 3 life second-life
rm life/.mirrorfs/state
mount_source life
"$MIRRORCTL" status --json life >status.json
assert_eq "$(json '.warnings[].reason' status.json)" sidecar-missing "a lost state"
must_sync 3 life second-life
unmount life
