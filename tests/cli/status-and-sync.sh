#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status-and-sync.sh - who looks at a source now and then doesn't make syncs of it fail
. "$(dirname "$0")/common.bash"
requires_strace

mkdir s
echo 1 >s/a
must_sync 0 s d
echo 2 >s/b

# that looks at images, slowly, with the lock
slow_status() {
	strace -f -qq -o trace -e trace=fgetxattr -e inject=fgetxattr:delay_enter=700000 \
		"$MIRRORCTL" status s >status.out 2>&1
}
slow_status &
pid=$!
wait_for 20 grep -q looking s/.mirrorfs/lock || skip "can't trace"
must_sync 0 s d # after it, not instead of it
"$MIRRORCTL" status s >second.out || fail "status during a status: exit code $?"
wait "$pid" || fail "status: exit code $?: $(cat status.out)"
assert_contains "$(cat status.out)" "(2 images)"
assert_equal_trees s d
