#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900
# json-schema.sh - each JSON document that mirrorctl prints is what its schema, and its man page, say
. "$(dirname "$0")/common.bash"
requires_python jsonschema
requires_fuse
requires_root

# A verb that takes --json has a schema
"$MIRRORCTL" help | awk '/^  [a-z]/ { print $1 }' >verbs
while read -r verb; do
	"$MIRRORCTL" help "$verb" >help.out
	! grep -q '^  --json ' help.out ||
		[ -n "$(find "$TOP/tools/schema" -name "$verb.json" -o -name "$verb-*.json")" ] ||
		fail "$verb takes --json, but there is no tools/schema/$verb.json"
done <verbs

# Passes everything on to mirrorctl, and keeps a copy of each document, and of what was asked for.  What goes to a
# device (/dev/full) is left alone.
mkdir -m 1777 runs
cat >recorder <<RECORDER
#!/bin/bash
case " \$* " in
*" --json "*) [ ! -c /dev/stdout ] || exec '$MIRRORCTL' "\$@" ;;
*) exec '$MIRRORCTL' "\$@" ;;
esac
id=\$(mktemp -u '$work/runs/XXXXXXXXXX')
code=0
'$MIRRORCTL' "\$@" >"\$id.out" || code=\$?
printf '%s\0' "\$code" "\$@" >"\$id.args"
cat "\$id.out"
exit \$code
RECORDER
chmod 755 recorder
MIRRORCTL=$work/recorder

# Others have many situations: those of these that don't look at processes.
for test in output status sync-dry-run sync-reasons snapshot-verb recover map; do
	code=0
	MIRRORCTL=$MIRRORCTL "$TOP/tests/cli/$test.sh" >"$test.out" 2>&1 || code=$?
	[ "$code" = 0 ] || fail "$test.sh: exit code $code: $(tail -n 5 "$test.out")"
done

# Names everywhere that are no UTF-8, and what those tests don't come to
top=$'b\xff'
mkdir -p "$top/s"
random_file "$top/s/$top" 3000000
random_file "$top/s/a" 3000000
must_sync 0 "$top/s" "$top/d"
must_sync 0 "$top/s" "$top/e" --keep 2
must_sync 0 "$top/s" "$top/e" --keep 2
"$MIRRORCTL" status --json "$top/s" >status.json
"$MIRRORCTL" status --json "$top/e" >status.json
fails() {
	! "$MIRRORCTL" "$@" >failed.json || fail "should have failed: $*"
}
damage() {
	printf damage | dd of="$1" bs=1 seek=100000 conv=notrunc status=none
}
damage "$top/d/$top"
fails verify --json --deep "$top/s" "$top/d"
fails scrub --json "$top/d"
damage "$top/s/a" # behind the mount: and the same in both
damage "$top/d/a"
fails scrub --json --repair "$top/s" "$top/d"
fails sync --json "$top/s" nowhere/at/all 2>err
[ ! -s failed.json ] || fail "a document from what failed: $(cat failed.json)"
"$MIRRORCTL" replica list --json "$top/s" >list.json
"$MIRRORCTL" replica forget --json "$top/s" "$top/e" >forgotten.json
jq -e --slurpfile list list.json '[$list[0].replicas[].uuid] | index($f[0].replica)' --slurpfile f forgotten.json \
	-n >/dev/null || fail "forget says: $(cat forgotten.json)"
mount_source "$top/s" "$top/s" preserve_limit=1M
"$MIRRORCTL" snapshot create --json "$top/s" x >made.json
random_file piece 3000000
dd if=piece of="$top/s/a" bs=1M conv=notrunc status=none # more than is preserved: x breaks
"$MIRRORCTL" snapshot list --json "$top/s" >snapshots.json
"$MIRRORCTL" snapshot delete --json "$top/s" x >deleted.json

# Checkpoints with names, and without: these are ASCII
"$MIRRORCTL" checkpoint create --json "$top/s" kept >made.json
"$MIRRORCTL" snapshot create --json --checkpoint "$top/s" both >made.json
"$MIRRORCTL" checkpoint list --json "$top/s" >checkpoints.json
"$MIRRORCTL" status --json "$top/s" >status.json
"$MIRRORCTL" map --json --since kept "$top/s" "$top" >map.json
cp -r "$top/s" "$top/copy"
must_sync 0 "$top/s" "$top/copy" --since both --dry-run
must_sync 0 "$top/s" "$top/copy" --since both
"$MIRRORCTL" snapshot delete "$top/s" both
"$MIRRORCTL" checkpoint delete --json "$top/s" kept >deleted.json

# lines FILE: are there two, or more?
lines() {
	[ "$(wc -l <"$1")" -ge 2 ]
}
# What has a document a line is ended by a signal, which recorder would not pass on.
for words in "sync --follow --interval 100ms $top/s $top/d" "status --watch --interval 1 $top/s"; do
	id=runs/${words%% *}
	read -ra words <<<"$words"
	"$BUILD/mirrorctl" "${words[@]}" --json >"$id.out" 2>err &
	pid=$!
	cleanup_fn stop_process "$pid"
	wait_for 60 lines "$id.out" || fail "no lines of ${words[0]}: $(cat err)"
	wait_for 60 catches "$pid" 15
	stop_process "$pid"
	printf '%s\0' 0 "${words[@]}" --json >"$id.args"
done
random_file "$top/s/$top" 3000000
"$BUILD/mirrorctl" sync --progress=json --quiet --bwlimit 1M "$top/s" "$top/d" 2>err # events while it copies
grep '^{' err >runs/progress.out
printf '%s\0' 0 progress-event >runs/progress.args

# Full copies that a switchover tells of, and a seal, also one that is damaged
touch "$top/d/$top"
code=0
"$MIRRORCTL" switchover --json "$top/s" "$top/d" >switched.json || code=$?
assert_eq "$code" 3 "exit code of a switchover with a full copy"
"$MIRRORCTL" status --json "$top/s" >status.json
unmount "$top/s"
"$MIRRORCTL" switchover --json --undo "$top/s" >undone.json
"$MIRRORCTL" switchover --json "$top/s" "$top/d" >switched.json
truncate -s -1 "$top/s/.mirrorfs/sealed"
"$MIRRORCTL" status --json "$top/s" >status.json
jq -e '.source.sealed | .replica == null and .time == null and .label == ""' status.json >/dev/null ||
	fail "a mark that is damaged: $(cat status.json)"

[ "$(find runs -name '*.args' | wc -l)" -gt 100 ] || fail "hardly anything was recorded"
"$python" "$(dirname "$test_script")/schema_check.py" "$TOP/tools/schema" "$TOP/man" runs >complaints ||
	fail "$(wc -l <complaints) complaints: $(head -n 20 complaints)"
