#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-broken.sh - a sync whose snapshot breaks, is lost or goes with its daemon says so, and is no sync
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

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
random_file s/a 12000000
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
complete d || fail "incomplete, though nothing was copied"
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

# As much as is preserved may be.
begin_sync
dd if=/dev/urandom of=s/a bs=64k count=8 conv=notrunc status=none
end_sync 0
must_sync 0 s d
assert_equal_trees s d

# stop_at_write FILE WHEN [OPTION...]: begins a sync, up to when it is about to write to that file of
# the replica for the WHEN-th time
stop_at_write() {
	local file=$1 when=$2
	shift 2
	rm -f trace
	strace -f -qq -o trace -P "$work/d/$file" -e trace=pwrite64,write \
		-e "inject=pwrite64,write:signal=STOP:when=$when" \
		"$MIRRORCTL" sync --threads 1 --json "$@" s d >sync.json 2>sync.err &
	pid=$!
	wait_for 30 is_stopped || fail "it doesn't copy: $(cat sync.err)"
}
is_stopped() {
	tracee=$(pgrep -P "$pid" -x mirrorctl) && grep -qs 'stopped by SIGSTOP' trace
}
go_on() { # WANTED
	kill -CONT "$tracee"
	end_sync "$1"
}

# What has been read isn't preserved any more: a guest may overwrite more of it than the limit.
random_file s/big 24000000
must_sync 0 s d
SEED=$((SEED + 1)) random_file s/big 24000000
cp s/big big
stop_at_write big 80 --in-place
dd if=/dev/zero of=s/big bs=1M count=8 conv=notrunc,fsync status=none
go_on 0
assert_same_file big d/big
rm s/big big

# killed: it lets go of its snapshot
change
begin_sync
# a post-hook runs as soon as the instant is over, which the snapshot is listed a little after
used() {
	"$MIRRORCTL" snapshot list s | grep -q '(used by a sync)'
}
wait_for 30 used || fail "$("$MIRRORCTL" snapshot list s)"
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

stop_at_write a 2 --in-place
mount_again go_on 1
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "mirrorfs does not answer any more"
! complete d || fail "complete"
must_sync 0 s d
assert_equal_trees s d

# with a journal nothing has happened to the replica by then
change
list_tree d >tree.before
stop_at_write .mirrorfs/journal.tmp 3
mount_again go_on 1
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "mirrorfs does not answer any more"
complete d || fail "incomplete, though nothing was published"
list_tree d | diff tree.before - >&2 || fail "a sync that failed has changed the replica"
[ ! -e d/.mirrorfs/journal.tmp ] || fail "left: a journal"
must_sync 0 s d
assert_equal_trees s d

# It breaks, and after that what is needed yet becomes a hole: that is no hole of the instant.
# Holes are asked for as they come, one piece ahead of what is read: so the next piece is a hole, and
# those that are there from the beginning keep the sync from knowing of the data behind them.  There
# is a name in the reason, which stays one line.
unmount s
mount_source s s preserve_limit=64K
name=$'a\nname'
random_file "s/$name" 6000000
hole() { # FIRST_BLOCK NBLOCKS
	fallocate --punch-hole --offset $(($1 * 65536)) --length $(($2 * 65536)) "s/$name"
}
hole 30 2
hole 50 2
must_sync 0 s d
part() { # FIRST_BLOCK NBLOCKS
	dd if=/dev/urandom of="s/$name" bs=64k seek="$1" count="$2" conv=notrunc,fsync status=none
}
part 0 2
hole 40 2
part 60 10
stop_at_write "$name" 1 --in-place # by now the first two have been read
part 0 2
hole 60 10
go_on 4
assert_one_line "$(cat sync.err)"
assert_contains "$(cat sync.err)" "the snapshot that the sync reads broke"
! complete d || fail "complete"
must_sync 0 s d
assert_equal_trees s d
unmount s
