#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-follow.sh - a replica that follows its source, and what it survives: a destination that goes
# away, or is full, or is another one; a mirrorfs that is killed, or unmounted; a guest that writes
#
# timeout: 300
. "$(dirname "$0")/common.bash"
requires_fuse
own_mounts
requires losetup mkfs.ext4

# follow ARGUMENT...: in the background, $follower; what it says is in out and log
follow() {
	"$MIRRORCTL" sync --follow --interval 200ms "$@" >out 2>log &
	follower=$!
	cleanup_fn stop_process "$follower"
}

# The number of the checkpoint that the replica is at; 0: it can't be seen just now.
at() {
	"$MIRRORCTL" status --json "$1" 2>/dev/null | jq -r '.replica.checkpoint.number // 0' || echo 0
}

# passed DEST NUMBER: is it at a later one?
passed() {
	[ "$(at "$1")" -gt "$2" ]
}

# What it says from now on is news.
from=1
news() {
	from=$(($(wc -l <log) + 1))
}

says() {
	tail -n +"$from" log | grep -q -- "$1"
}

must_say() { # TEXT
	wait_for 60 says "$1" || fail "it doesn't say '$1': $(cat log)"
}

# It tries often, and says so once, unless the reason is another.
said_once() {
	assert_eq "$(uniq -d log)" "" "what it says again and again"
}

# It has been waiting at least so many times more: each attempt ends in one.
waited() {
	[ "$(switches)" -ge "$1" ]
}

switches() {
	sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$follower/status"
}

attempts() { # so many
	wait_for 60 waited $(($(switches) + $1)) || fail "it does not try again: $(cat log)"
}

end_follow() {
	kill "$follower"
	code=0
	wait "$follower" || code=$?
	assert_eq "$code" 0 "exit code after a signal"
	assert_contains "$(tail -n 1 log)" "ended by a signal, at checkpoint"
}

mkdir s below
random_file s/a 3000000
random_file s/b 200000
mount_disk disk 64M mkfs.ext4 -q -m 0
disk_loop=$(findmnt -n -o SOURCE disk)

echo "what can't be"
for words in "--interval 1s s below/d" "--follow --dry-run s below/d" "--follow --interval 0 s below/d" \
	"--follow --interval 99ms s below/d" "--follow --interval 25h s below/d" \
	"--follow --interval 5x s below/d" "--follow --interval s s below/d" "--follow --interval -1 s below/d" \
	"--follow --interval 99999999999999999999h s below/d" "--follow --interval 18446744073709551615 s below/d"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" sync $words
	assert_eq "$code" 2 "$words: exit code"
	assert_one_line "$stderr"
	[[ $words != *"--interval 25h"* ]] || assert_contains "$stderr" "from 100ms to 24h, not '25h'"
done
# a first sync that fails ends it; whose source has no mirrorfs is one of these
assert_fails "$MIRRORCTL" sync --follow s below/d
assert_contains "$stderr" "no mirrorfs is mounted there; mount it, or sync without --follow"
[ ! -e below/d ] && [ ! -e s/.mirrorfs ] || fail "it made something"
mount_source s
mkdir full
echo mine >full/file
assert_fails "$MIRRORCTL" sync --follow s full
assert_contains "$stderr" "not empty and not a replica"
assert_eq "$code" 1 "exit code"

echo "it follows"
follow s disk/d
wait_for 60 passed disk/d 2 || fail "no checkpoints: $(cat log)"
must_say "at checkpoint 1, and from now on one every 0.2 s"
dd if=/dev/urandom of=s/a bs=64k count=3 seek=5 conv=notrunc,fsync status=none
arrived() {
	cmp -s s/a disk/d/a
}
wait_for 60 arrived || fail "the change does not arrive: $(cat log)"
assert_eq "$(wc -l <log)" 1 "lines, for all these syncs: $(cat log)"
[ ! -s out ] || fail "ordinary syncs are told: $(cat out)"

# a guest that writes all the time, from here to the end
random_file s/guest 8000000
(while :; do
	dd if=/dev/urandom of=s/guest bs=4k count=8 seek=$((RANDOM % 1900)) conv=notrunc status=none || sleep 0.1
done) 2>/dev/null &
guest=$!
cleanup_fn stop_process "$guest"

echo "copied in full, it says so each time"
for round in 1 2; do
	touch disk/d/b
	told() {
		[ "$(grep -c "compared by digest: 'b'" out)" = "$round" ]
	}
	wait_for 60 told || fail "round $round: $(cat out log)"
done
# in the middle of an update such a touch makes a sync fail, which isn't what is looked for below
wait_for 60 passed disk/d "$(($(at disk/d) + 1))" || fail "it does not go on: $(cat out log)"

echo "a destination that goes away, and comes back"
news
umount -l disk
must_say "trying again until it works"
attempts 5
said_once
[ -z "$(ls -A disk)" ] || fail "it wrote below the mount point: $(ls -A disk)"
mount "$disk_loop" disk
must_say "goes on after"
# an empty one in its place, then a replica of the same source that isn't the one
news
umount -l disk
mkdir disk/d
# whichever it meets first
must_say "\\(no such file or directory\\|is its filesystem mounted?\\); trying again until it works"
attempts 3
[ -z "$(ls -A disk/d)" ] || fail "it wrote below the mount point: $(ls -A disk/d)"
must_sync 0 s disk/d
before=$(at disk/d)
must_say "is not there, but another one"
attempts 3
said_once
assert_eq "$(at disk/d)" "$before" "the other replica's checkpoint"
mount "$disk_loop" disk
must_say "goes on after"

echo "a full one"
news
fallocate -l "$(($(stat -f -c '%a*%S' disk)))" disk/filler 2>/dev/null || cat /dev/zero >disk/filler 2>/dev/null || :
random_file s/large 6000000
must_say "make room.*; trying again until it works"
attempts 3
said_once
rm disk/filler
must_say "goes on after"

echo "a mirrorfs that is killed, and one that is unmounted"
news
{ kill -9 "${daemon_of[$work/s]}" && wait "${daemon_of[$work/s]}"; } 2>/dev/null || :
must_say "trying again until it works"
attempts 3
umount -l s
mount_source s
must_say "goes on after"
kill "$guest"
wait "$guest" 2>/dev/null || :
news
unmount s
must_say "no mirrorfs is mounted there.*; trying again until it works"
attempts 3
said_once
mount_source s
must_say "goes on after"

echo "a signal ends it at once, and in order"
end_follow
complete disk/d || fail "not complete"
must_sync 0 s disk/d
assert_eq "$(json .bytes_copied)" 0 "bytes that were behind"
assert_equal_trees s disk/d
assert_proved disk/d

echo "one document a line"
follow --json s disk/d
lines() {
	[ "$(wc -l <out)" -ge 3 ]
}
wait_for 60 lines || fail "no lines: $(cat out log)"
set -m
end_follow
set +m
jq -e .checkpoint.number out >/dev/null || fail "no JSON: $(cat out)"
assert_eq "$(head -n 3 out | jq -s 'map(.checkpoint.number) | .[2] - .[0]')" 2 "checkpoints in a row"

echo "quiet, and an interval from a file"
printf 'source = %s\ndest = %s\nfollow = yes\ninterval = 200ms\nquiet = yes\n' "$work/s" "$work/disk/d" >conf
"$MIRRORCTL" sync --config conf >out 2>log &
follower=$!
cleanup_fn stop_process "$follower"
before=$(at disk/d)
wait_for 60 passed disk/d "$((before + 2))" || fail "no checkpoints: $(cat log)"
kill -HUP "$follower"
wait "$follower" || fail "exit code $?"
[ ! -s out ] && [ ! -s log ] || fail "not quiet: $(cat out log)"

echo "options that mean nothing are told of once"
follow --since nothing --exclude nosuch s disk/d
before=$(at disk/d)
wait_for 60 passed disk/d "$((before + 3))" || fail "no checkpoints: $(cat log)"
end_follow
assert_eq "$(grep 'warning:' log)" "mirrorctl: warning: --since 'nothing' means nothing: 'disk/d' is a replica already
mirrorctl: warning: --exclude 'nosuch' matches nothing" "warnings"
follow --json --since nothing s disk/d
wait_for 60 lines || fail "no lines: $(cat out log)"
end_follow
assert_eq "$(head -n 3 out | jq '.warnings | length' | xargs)" "1 0 0" "warnings in documents"

echo "output that leads nowhere ends it"
code=0
"$MIRRORCTL" sync --follow --json --interval 100ms s disk/d >/dev/full 2>log || code=$?
assert_eq "$code" 1 "exit code"
assert_contains "$(cat log)" "write to standard output"
unmount s
