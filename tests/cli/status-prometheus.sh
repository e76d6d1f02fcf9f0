#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status-prometheus.sh - metrics, as another parser of the format reads them
. "$(dirname "$0")/common.bash"
requires_python prometheus_client
requires_fuse

for words in "--prometheus --json s" "--prometheus --watch s"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" status $words
	assert_eq "$code" 2 "exit code of status $words"
	assert_one_line "$stderr"
done

# What the parser makes of it, as JSON: {"NAME": [{"labels": {...}, "value": N}, ...], ...}.  A metric whose
# samples are in two places, or a sample that is there twice, which node_exporter refuses, is an error.
cat >parse.py <<'PARSER'
import json, sys
from prometheus_client.parser import text_string_to_metric_families

metrics, seen = {}, set()
for family in text_string_to_metric_families(sys.stdin.buffer.read().decode("utf-8")):
    if family.name in metrics:
        sys.exit(f"{family.name} is there twice")
    if family.type != "gauge" or not family.documentation:
        sys.exit(f"{family.name}: no TYPE or HELP")
    metrics[family.name] = []
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if sample.name != family.name or key in seen:
            sys.exit(f"{key} is there twice, or in a metric of another name")
        seen.add(key)
        metrics[family.name].append({"labels": sample.labels, "value": sample.value})
json.dump(metrics, sys.stdout)
PARSER

metrics() { # DIRECTORY
	"$MIRRORCTL" status --prometheus "$1" >out.prom 2>err || fail "status --prometheus $1: exit code $?: $(cat err)"
	[ ! -s err ] || fail "status --prometheus $1: $(cat err)"
	"$python" parse.py <out.prom >metrics.json || fail "the parser refuses this: $(cat out.prom)"
}

# value NAME [JQ-CONDITION ON LABELS]: of the one sample; "absent"
value() {
	jq -r --arg name "$1" "[(.[\$name] // [])[] | select(.labels | ${2:-true}) | .value] |
		if length > 1 then error(\$name + \" is ambiguous\") else .[0] // \"absent\" end" metrics.json
}

mkdir nothing
metrics nothing
assert_eq "$(jq -c keys metrics.json)" '["mirrorfs_warnings"]' "metrics of neither"
# of one whose disk isn't mounted there is nothing else by which an alarm could tell
assert_eq "$(value mirrorfs_warnings)" 1 "warnings of neither"

# names from an enemy: none of them may end a label, a line or the file
mkdir 's "x\y'
cd 's "x\y'
truncate -s 1M a
echo 1 >'q"uote'
echo 1 >$'new\nline'
echo 1 >'back\slash'
echo 1 >trailing\\
echo 1 >'\n'
echo 1 >'} 1'
echo 1 >$'carriage\rreturn'
echo 1 >$'next\xc2\x85line\xe2\x80\xa8separator'
echo 1 >$'b\xff' # these two read alike where the one is escaped
echo 1 >'b\xff'
cd ..
s='s "x\y'
must_sync 0 "$s" d
must_sync 0 "$s" $'e\nf'
must_sync 0 "$s" d
metrics "$s"
diff <("$MIRRORCTL" status --json "$s" | jq -c '[.source.images[].path] | sort') \
	<(jq -c '[.mirrorfs_image_size_bytes[].labels.image] | sort' metrics.json) || fail "names of images"
assert_eq "$(jq -c '[.mirrorfs_image_size_bytes[] | select(.labels.image_escaped).labels.image]' metrics.json)" \
	'["b\\xff"]' "names that are escaped"
assert_eq "$(jq -c '[.[][].labels | .source // .directory] | unique' metrics.json)" '["s \"x\\y"]' "the source"

# they say what the JSON document says
"$MIRRORCTL" status --json "$s" >status.json
assert_eq "$(value mirrorfs_source_mounted)" 0 mounted
assert_eq "$(value mirrorfs_source_generation)" 3 generation
assert_eq "$(value mirrorfs_source_block_size_bytes)" 65536 "block size"
assert_eq "$(value mirrorfs_source_images)" 11 images
assert_eq "$(value mirrorfs_image_size_bytes '.image == "a"')" 1048576 "size of a"
assert_eq "$(value mirrorfs_image_tracked '.image == "a"')" 1 "a is tracked"
assert_eq "$(value mirrorfs_warnings)" 0 warnings
assert_eq "$(jq '.mirrorfs_image_dirty_bytes | length' metrics.json)" 22 "an image and a replica each"
for replica in $(json '.source.replicas[].uuid' status.json); do
	of=".replica == \"$replica\""
	item=".source.replicas[] | select(.uuid == \"$replica\")"
	assert_eq "$(value mirrorfs_replica_checkpoint "$of")" "$(json "$item.checkpoint" status.json)" checkpoint
	assert_eq "$(value mirrorfs_replica_pending_checkpoint "$of")" 0 pending
	assert_eq "$(value mirrorfs_replica_dirty_bytes "$of")" "$(json "$item.dirty_bytes" status.json)" dirty
	assert_eq "$(value mirrorfs_replica_held_bytes "$of")" "$(json "$item.held_bytes" status.json)" held
	for pair in checkpoint_timestamp:checkpoint_time last_sync_timestamp:last_sync; do
		assert_eq "$(value "mirrorfs_replica_${pair%:*}_seconds" "$of" | sed 's/\..*//')" \
			"$(json "$item.${pair#*:} | fromdate" status.json)" "${pair%:*}"
	done
done
jq -e '[.mirrorfs_replica_dirty_bytes[].labels.where] | any(endswith("e\nf"))' metrics.json >/dev/null ||
	fail "where a replica is: $(cat out.prom)"

# trouble is a warning, and isn't tracked
echo 2 >"$s/} 1"
metrics "$s"
assert_eq "$(value mirrorfs_warnings)" 1 warnings
assert_eq "$(value mirrorfs_image_tracked '.image == "} 1"')" 0 "changed behind the mount"
of=".replica == \"$("$MIRRORCTL" status --json d | jq -r .replica.uuid)\""
assert_eq "$(value mirrorfs_image_dirty_bytes ".image == \"} 1\" and $of")" 2 "all of it is dirty"
assert_eq "$(value mirrorfs_replica_dirty_bytes "$of")" 2 "and nothing else"

# The time of the checkpoint is that of the instant, and not of the end of the sync: here they are seconds apart
mkdir m
echo 1 >m/a
mount_source m
must_sync 0 m n --post-hook 'sleep 2'
metrics m
assert_eq "$(value mirrorfs_source_mounted)" 1 mounted
assert_eq "$(jq '.mirrorfs_replica_last_sync_timestamp_seconds[0].value -
	.mirrorfs_replica_checkpoint_timestamp_seconds[0].value >= 2' metrics.json)" true "last sync after checkpoint"
assert_eq "$(value mirrorfs_source_sealed)" 0 sealed
"$MIRRORCTL" switchover --quiet m n || fail "switchover: exit code $?"
metrics m
assert_eq "$(value mirrorfs_source_sealed)" 1 sealed
unmount m
metrics m
assert_eq "$(value mirrorfs_source_sealed)" 1 "sealed, and not mounted"

# a replica's own directory
metrics d
assert_eq "$(value mirrorfs_replica_directory_complete)" 1 complete
assert_eq "$(value mirrorfs_replica_directory_to_recover)" 0 to_recover
assert_eq "$(value mirrorfs_replica_directory_checkpoint)" 3 checkpoint
assert_eq "$(value mirrorfs_replica_directory_images)" 11 images
assert_eq "$(value mirrorfs_replica_directory_kept_checkpoints)" 0 "kept checkpoints"
assert_eq "$(value mirrorfs_replica_directory_last_sync_timestamp_seconds | sed 's/\..*//')" \
	"$("$MIRRORCTL" status --json d | jq '.replica.last_sync | fromdate')" "last sync"
assert_eq "$(jq -r 'keys[]' metrics.json | grep -vc ^mirrorfs_replica_directory_)" 1 "metrics of a source"

# every metric is in the page, and the page has no others
{ "$MIRRORCTL" status --prometheus "$s" && "$MIRRORCTL" status --prometheus d; } |
	sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' | sort -u >metrics
sed -n '/^\.Sh METRICS/,/^\.Sh EXIT/p' "$TOP/man/mirrorctl-status.8" | grep -Eo 'mirrorfs_[a-z_]+' | sort -u |
	diff metrics - || fail "metrics (<) and their page (>)"

# where it can't be written there is an error, and the example of the page leaves the old file
code=0
"$MIRRORCTL" status --prometheus "$s" >/dev/full 2>err || code=$?
assert_eq "$code" 1 ">/dev/full: exit code"
assert_one_line "$(cat err)"
