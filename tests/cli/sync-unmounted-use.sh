#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-unmounted-use.sh - an image of a source that isn't mounted is written to while a sync reads
# it: the replica does not get half of that, and the next sync goes through all of it
. "$(dirname "$0")/common.bash"
requires_strace

mkdir s
random_file s/a 3000000
random_file s/b 300000
cp -a s old

is_stopped() {
	pid=$(cut -d ' ' -f 1 trace 2>/dev/null | head -n 1)
	[ -n "$pid" ] && grep -q '^State:.[tT]' "/proc/$pid/status" 2>/dev/null
}

# sync_while CHANGE ARGUMENT...: CHANGE is made when the sync has begun to read a
sync_while() {
	local change=$1 tracer
	shift
	rm -f trace
	strace -f -o trace -P "$work/s/a" -e trace=pread64 -e inject=pread64:signal=STOP:when=1 \
		"$MIRRORCTL" sync --threads 1 "$@" s d >out 2>err &
	tracer=$!
	wait_for 30 is_stopped || fail "it doesn't stop: $(cat trace err)"
	eval "$change"
	kill -CONT "$pid"
	code=0
	wait "$tracer" || code=$?
}

refused() { # IMAGE
	assert_eq "$code" 1 "exit code: $(cat err)"
	assert_one_line "$(cat err)"
	assert_contains "$(cat err)" "read 's/$1': it was changed while the sync read it"
}

write_at() { # FILE OFFSET
	printf 'changed' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# the first sync: nothing is shown that never was
for options in "" "--in-place"; do
	# shellcheck disable=SC2086
	sync_while 'write_at s/a 2999000' $options
	refused a
	! complete d || fail "it says that it is complete"
	[ -n "$options" ] || [ ! -e d/a ] || fail "half of it is shown"
done
code=0
"$MIRRORCTL" sync --quiet s d || code=$?
assert_equal_trees s d

# a later one: the replica is as it was
rm -r old
cp -a s old
write_at s/a 10
sync_while 'write_at s/a 2000000'
refused a
assert_equal_trees old d
# in place it is incomplete, and the next sync makes it whole
sync_while 'write_at s/a 1000000' --in-place
refused a
! complete d || fail "it says that it is complete"
must_sync 3 s d
assert_equal_trees s d

# what makes an image longer or shorter, or is written by way of another name
ln s/a s/c
must_sync 3 s d
for change in 'truncate -s 3500000 s/a' 'truncate -s 2500000 s/a' 'write_at s/c 7'; do
	rm -r old
	cp -a s old
	write_at s/a 10
	sync_while "$change"
	refused a
	assert_equal_trees old d
	must_sync 3 s d
	assert_equal_trees s d
done

# what isn't read may change: it is as it was at the checkpoint, until the next one
write_at s/a 10
cp -a s/b b
sync_while 'write_at s/b 9'
assert_eq "$code" 3 "b is changed, which isn't read: exit code: $(cat err)"
assert_same_file b d/b
must_sync 3 s d
assert_equal_trees s d

# so may names come and go
write_at s/a 10
sync_while 'ln s/a s/e'
assert_eq "$code" 3 "a name: exit code: $(cat err)"
must_sync 3 s d
assert_equal_trees s d
