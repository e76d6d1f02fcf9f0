#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# switchover-chain.sh - a replica that was switched over itself is written to by nobody, nor switched over to
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace
own_mounts

# refused TEXT COMMAND...: and b is left as it is
refused() {
	local text=$1
	shift
	assert_fails "$@"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$text"
	assert_contains "$stderr" "mirrorctl switchover --undo"
	list_tree b | diff b.tree - >&2 || fail "b was changed by: $*"
	cmp b/.mirrorfs/replica b.manifest >&2 || fail "its manifest was changed by: $*"
}

is_sealed() {
	[ "$("$MIRRORCTL" status --json "$1" | jq '.source.sealed != null')" = true ]
}

mkdir -p a m
random_file a/image 1000000
random_file a/file 10
mount_source a m
must_sync 0 m b
mount_source b
dd if=/dev/urandom of=b/image bs=64k count=2 conv=notrunc,fsync status=none
unmount b
"$MIRRORCTL" switchover --quiet b c || fail "switchover b c: exit code $?"
list_tree b >b.tree
cp b/.mirrorfs/replica b.manifest
itself="it was switched over itself, to '$work/c'"
echo more >>m/file

echo "nothing is written to it"
refused "$itself" "$MIRRORCTL" switchover m b
if is_sealed m; then fail "nobody can write anywhere"; fi
refused "$itself" "$MIRRORCTL" sync m b
refused "$itself" "$MIRRORCTL" sync --dry-run m b
refused "$itself" "$MIRRORCTL" sync --in-place m b
refused "$itself" "$MIRRORCTL" adopt b
touch -r b/file times
client flip b/file 0
touch -r times b/file
list_tree b >b.tree
refused "$itself" "$MIRRORCTL" scrub --repair m b
unmount m
refused "$itself" "$MIRRORCTL" switchover a b
if is_sealed a; then fail "nobody can write anywhere"; fi
mount_source a m

echo "nor if that can't be read"
cp b/.mirrorfs/sealed mark
truncate -s -1 b/.mirrorfs/sealed
refused "it may have been switched over itself: read 'sealed'" "$MIRRORCTL" sync m b
refused "it may have been switched over itself: read 'sealed'" "$MIRRORCTL" adopt b
cp mark b/.mirrorfs/sealed

echo "until that is undone"
"$MIRRORCTL" switchover --undo --quiet b
"$MIRRORCTL" sync --quiet m b || [ $? = 3 ] || fail "sync: exit code $?"
assert_equal_trees a b

echo "or it is no source any more"
"$MIRRORCTL" switchover --quiet b c || [ $? = 3 ] || fail "switchover b c: exit code $?"
must_sync 1 m b
rm -r b/.mirrorfs
"$MIRRORCTL" adopt --quiet b
must_sync 0 m b
assert_equal_trees a b

echo "switched over between the last sync to it and the seal"
must_sync 0 b e # so that what is next takes no time
# the lock was taken and let go of by the sync before and by the last one; it can't be had any more
# until the tracer is gone
strace -D -I 2 -f -qq -o trace -P "$work/b/.mirrorfs/lock" -e trace=fcntl \
	-e inject=fcntl:error=EAGAIN:when=5+ \
	"$MIRRORCTL" switchover --timeout 1m m b >out 2>err &
switchover=$!
cleanup_fn stop_process "$switchover"
waits_for_lock() {
	grep -q INJECTED trace
}
wait_for 60 waits_for_lock || fail "it doesn't take the lock a third time: $(cat trace out err)"
"$MIRRORCTL" switchover --quiet b e || fail "switchover b e: exit code $?"
kill "$(sed -n 's/^TracerPid:[[:space:]]*//p' "/proc/$switchover/status")"
code=0
wait "$switchover" || code=$?
assert_eq "$code" 1 "exit code ($(cat out err))"
assert_contains "$(cat err)" "it was switched over itself, to '$work/e'"
if is_sealed m; then fail "nobody can write anywhere"; fi
echo more >>m/file
