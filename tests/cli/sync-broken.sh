#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-broken.sh - a sync whose snapshot breaks, is lost or goes with its daemon says so, and is no sync
. "$(dirname "$0")/common.bash"
requires_fuse
requires strace
# strace and the leak checker both want to be the one who traces
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# begin_sync: in the background, up to when its snapshot is made and nothing is copied yet
begin_sync() {
	rm -f made go
	"$MIRRORCTL" sync --json s d >sync.json 2>sync.err \
		--post-hook 'touch made; while [ ! -e go ]; do sleep 0.02; done' &
	pid=$!
	wait_for 30 [ -e made ] || fail "it makes no checkpoint: $(cat sync.err)"
}

end_sync() { # WANTED
	touch go
	code=0
	wait "$pid" || code=$?
	[ "$code" = "$1" ] || fail "exit code $code, wanted $1: $(cat sync.err sync.json)"
}

change() {
	random_file piece$((++n)) 4000000
	dd if=piece$n of=s/a bs=1M conv=notrunc status=none
	rm piece$n
}
n=0

mkdir s
random_file s/a 8000000
echo b >s/b
mount_source s s preserve_limit=1M
must_sync 0 s d
before=$("$MIRRORCTL" status --json d | jq -c .replica.checkpoint)

# more is overwritten than may be preserved: guests go on, the sync says why it doesn't
change
begin_sync
change
end_sync 4
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "the snapshot that the sync reads broke"
assert_contains "$(cat sync.err)" "mount with a larger -o preserve_limit"
assert_eq "$("$MIRRORCTL" status --json d | jq -c .replica.checkpoint)" "$before" "the replica's checkpoint"
! complete d || fail "complete"
assert_eq "$("$MIRRORCTL" snapshot list s)" "" "snapshots that are left"
must_sync 0 s d
assert_equal_trees s d

# one that breaks stays in the list until it is deleted, with its reason
at=$("$MIRRORCTL" snapshot create s x)
change
! cat "$at/a" >/dev/null 2>&1 || fail "a broken snapshot can be read"
"$MIRRORCTL" snapshot list s | grep -q ' x (broken: .*preserve_limit' || fail "$("$MIRRORCTL" snapshot list s)"
assert_eq "$("$MIRRORCTL" snapshot list --json s | jq '.snapshots[0].broken')" true broken
"$MIRRORCTL" snapshot delete s x

# as much as is preserved may be: what has been read isn't preserved any more
begin_sync
dd if=/dev/urandom of=s/a bs=64k count=8 conv=notrunc status=none
end_sync 0
must_sync 0 s d
assert_equal_trees s d

# killed: it lets go of its snapshot
change
begin_sync
"$MIRRORCTL" snapshot list s | grep -q '(used by a sync)' || fail "$("$MIRRORCTL" snapshot list s)"
name=$("$MIRRORCTL" snapshot list --json s | jq -r '.snapshots[0].name')
assert_fails "$MIRRORCTL" snapshot delete s "$name"
assert_contains "$stderr" "a sync reads it"
kill -KILL "$pid"
wait "$pid" || :
nothing_left() {
	[ -z "$("$MIRRORCTL" snapshot list s)" ]
}
wait_for 20 nothing_left || fail "left: $("$MIRRORCTL" snapshot list s)"
touch go
must_sync 0 s d
assert_equal_trees s d

mount_again() {
	kill -KILL "${daemon_of[$work/s]}"
	wait "${daemon_of[$work/s]}" 2>/dev/null || :
	"$@"
	fusermount3 -u s
	mount_source s s preserve_limit=1M
}

# The daemon dies: before anything is copied, and in the middle, when what is read from the
# images themselves looks as before, but would be nobody's instant any more.
change
begin_sync
mount_again end_sync 1
assert_one_line "$(cat sync.err)"
complete d || fail "incomplete, though nothing was copied"

strace -f -qq -o trace -e trace=pwrite64 -e inject=pwrite64:signal=STOP:when=2 \
	"$MIRRORCTL" sync --json s d >sync.json 2>sync.err &
pid=$!
is_stopped() {
	tracee=$(pgrep -P "$pid" -x mirrorctl) && grep -q '^State:.[tT]' "/proc/$tracee/status"
}
wait_for 30 is_stopped || fail "it doesn't copy: $(cat sync.err)"
go_on() {
	kill -CONT "$tracee"
	end_sync 1
}
mount_again go_on
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "mirrorfs does not answer any more"
! complete d || fail "complete"
must_sync 0 s d
assert_equal_trees s d

# A block that the source let go of, though it is needed: all over, with all of it preserved.
# Which call reads the image first is seen before; when that fails, the snapshot is asked.
change
strace -f -qq -y -o trace -e trace=pread64 "$MIRRORCTL" sync --quiet s d
first=$(grep -n "$work/s/a>" trace | head -n 1 | cut -d : -f 1)
change
number=$("$MIRRORCTL" status --json s | jq .source.generation)
strace -f -qq -y -o trace -e trace=pread64 \
	-e inject=pread64:error=ENODATA:when="$first..$((first + 1))" \
	"$MIRRORCTL" sync --json s d >sync.json || fail "exit code $?: $(cat sync.json)"
grep INJECTED trace | grep -q /.mirrorfs/snapshot/ || fail "the snapshot wasn't read: $(cat trace)"
assert_eq "$(json .checkpoint.number)" $((number + 2)) "checkpoint"
assert_eq "$(json '.full_copies | length')" 0 "full copies"
assert_equal_trees s d
complete d || fail "not complete"
unmount s
