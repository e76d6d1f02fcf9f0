#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A write is on its way to a slow disk while a sync asks for a checkpoint.  It has set its bit in
# the generation that ends, so that must not end before the write has landed; else what the
# sync copies is what was there before, and nobody knows of the write afterwards.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires_strace
requires getfattr getfacl diff

mkdir s m d
random_file s/a 1000000
mount_source s m
pid=${daemon_of[$work/m]}
sync_trees m d
# known and armed
printf 'first' | dd of=m/a conv=notrunc status=none
sync_trees m d

is_traced() {
	! grep -q '^TracerPid:[^0-9]*0$' "/proc/$pid/status"
}

# one second is less than what the gate waits
strace -f -qq -o trace -P "$work/s/a" -e trace=pwrite64 \
	-e inject=pwrite64:delay_enter=1000000 -p "$pid" 2>/dev/null &
tracer=$!
cleanup_fn stop_process $tracer
wait_for 10 is_traced || skip "strace can't attach to the daemon"
printf 'second' | dd of=m/a conv=notrunc status=none &
writer=$!
sleep 0.3
sync_trees m d
wait $writer
kill $tracer
wait $tracer || true # as it lets go, and ends by the signal
grep -q 'pwrite64.*DELAYED' trace || fail "no write was delayed: $(cat trace)"

sync_trees m d
unmount m
assert_same_trees s d
