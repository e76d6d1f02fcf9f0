#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# switchover.sh - after it, every write that was acknowledged is in the replica, and there are no more
#
# timeout: 300
. "$(dirname "$0")/common.bash"
requires_fuse
own_mounts

# switch_over WANTED_CODE ARGUMENT...: its JSON in switched.json, what it says in err
switch_over() {
	local wanted=$1
	shift
	code=0
	"$MIRRORCTL" switchover --json "$@" >switched.json 2>err || code=$?
	assert_eq "$code" "$wanted" "exit code of switchover $*: $(cat err)"
}

is_sealed() {
	[ "$("$MIRRORCTL" status --json "$1" | jq '.source.sealed != null')" = true ]
}

# erofs COMMAND...: it fails, for the source is read-only
erofs() {
	code=0
	"$@" >erofs.out 2>&1 || code=$?
	[ "$code" != 0 ] || fail "went through: $*"
	grep -q 'Read-only file system' erofs.out || fail "$*: $(cat erofs.out)"
}

# Nothing of a sealed source changes, whoever tries whatever; what is only read goes on.
assert_sealed() { # MOUNT
	local file=$1/keep
	erofs dd if=/dev/zero of="$file" bs=4k count=1 conv=notrunc
	erofs dd if=/dev/zero of="$file" bs=4k count=1 conv=notrunc oflag=direct
	erofs truncate -s 0 "$file"
	erofs fallocate -l 1M "$file"
	erofs fallocate -p -l 4096 "$file"
	erofs dd if=/dev/null of="$file"
	erofs dd if=/dev/null of="$1/fresh"
	erofs chmod 600 "$file"
	erofs chown 1:1 "$file"
	erofs touch "$file"
	erofs setfattr -n user.x -v y "$file"
	erofs setfattr -x user.kept "$file"
	erofs mv "$file" "$1/moved"
	erofs ln "$file" "$1/linked"
	erofs ln -s x "$1/symlink"
	erofs rm "$file"
	erofs mkdir "$1/newdir"
	erofs rmdir "$1/dir"
	erofs mkfifo "$1/fifo"
	erofs cp --reflink=never "$file" "$1/copy"
	cat "$file" >/dev/null
	stat "$file" "$1" >/dev/null
	ls -la "$1" "$1/dir" >/dev/null
	getfattr -n user.kept "$file" >/dev/null
	sync "$file" "$1/dir"
	flock "$file" true
}

random_source() { # DIR
	mkdir -p "$1/dir"
	random_file "$1/keep" 300000
	setfattr -n user.kept -v 1 "$1/keep"
	random_file "$1/image" 5000000
}

echo "what can't be"
mkdir s
random_source s
for words in "s" "--undo s d" "--timeout 0 s d" "--timeout 11m s d" "--timeout x s d" "" "s d e"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" switchover $words
	assert_eq "$code" 2 "$words: exit code"
	assert_one_line "$stderr"
done
assert_fails "$MIRRORCTL" switchover --undo s
assert_contains "$stderr" "it wasn't switched over"
mount_source s
assert_fails "$MIRRORCTL" switchover --undo s
assert_contains "$stderr" "it wasn't switched over"
assert_fails "$MIRRORCTL" switchover s s/dir
if is_sealed s; then fail "sealed by a switchover that was refused"; fi
echo goes on >s/dir/file

echo "with a guest that writes all the time"
# what a process had open for writing can't be written to either
exec 5<>s/keep
"$CLIENTS/instantwriter" make s log
"$CLIENTS/instantwriter" run s log "$SEED" 6 >writer.out 2>&1 &
writer=$!
cleanup_fn stop_process "$writer"
sleep 0.3
switch_over 0 s d
# each of its processes ends by an error of its own, or waits for a lock that one of these had
writing() {
	! grep -q 'Read-only' writer.out
}
wait_for 30 eval '! writing' || fail "the guest goes on: $(cat writer.out)"
kill -9 "$writer" 2>/dev/null || :
wait "$writer" 2>/dev/null || :
now=$("$CLIENTS/instantwriter" stamp log)
"$CLIENTS/instantcheck" d log "$now" "$("$CLIENTS/instantwriter" stamp log)" >check.out 2>&1 ||
	fail "what was acknowledged is not in the replica: $(cat check.out)"
if { echo x >&5; } 2>/dev/null; then fail "a descriptor that was open is still written to"; fi
exec 5>&-
assert_eq "$(jq -r '.sealed, .mounted' switched.json | xargs)" "true true"
assert_eq "$(jq .checkpoint.number switched.json)" \
	"$("$MIRRORCTL" status --json d | jq .replica.checkpoint.number)" "checkpoint"
assert_equal_trees s d
assert_proved d
assert_sealed s
assert_equal_trees s d
is_sealed s || fail "status doesn't tell"
assert_contains "$("$MIRRORCTL" status s)" "switched over to '$work/d'"

echo "neither a second one, nor a sync to that replica"
switch_over 1 s d
assert_contains "$(cat err)" "it was switched over already, to '$work/d', at 20"
switch_over 1 s e
must_sync 1 s d
assert_contains "$(cat sync.err)" "it was switched over to this replica"
must_sync 1 s d --dry-run
# to others it is a source like any other
must_sync 0 s other
assert_equal_trees s other

echo "it lasts"
unmount s
assert_contains "$("$MIRRORCTL" status s)" "switched over to '$work/d'"
must_sync 1 s d
mount_source s
assert_contains "$(cat "${log_of[$work/s]}")" "read-only: it was switched over to the replica '$work/d'"
assert_sealed s
{ kill -9 "${daemon_of[$work/s]}" && wait "${daemon_of[$work/s]}"; } 2>/dev/null || :
umount -l s
mount_source s
assert_sealed s
unmount s
mkdir mnt
mount_source s mnt notrack
erofs touch mnt/keep
unmount mnt

echo "until it is undone"
mount_source s
"$MIRRORCTL" switchover --undo s >out
assert_contains "$(cat out)" "undone: 's' can be written to again"
dd if=/dev/urandom of=s/keep bs=4k count=3 conv=notrunc,fsync status=none
mkdir s/sub
if is_sealed s; then fail "still sealed"; fi
must_sync 0 s d
assert_eq "$(json '.bytes_copied > 0 and .bytes_copied < 300000')" true "copied: $(cat sync.json)"
assert_equal_trees s d
unmount s
mount_source s
echo more >>s/dir/file

echo "one that isn't mounted"
unmount s
switch_over 0 s d
assert_eq "$(jq -r '.sealed, .mounted, .held_ms' switched.json | xargs)" "true false 0"
assert_equal_trees s d
is_sealed s || fail "status doesn't tell"
mount_source s
assert_sealed s
unmount s
"$MIRRORCTL" switchover --undo --quiet s
assert_fails "$MIRRORCTL" switchover s s/dir
assert_fails "$MIRRORCTL" switchover --undo s

echo "a mark that is damaged is one"
switch_over 0 s d
size=$(stat -c %s s/.mirrorfs/sealed)
truncate -s $((size - 1)) s/.mirrorfs/sealed
mount_source s
assert_contains "$(cat "${log_of[$work/s]}")" "read-only: read 'sealed'"
assert_sealed s
assert_contains "$("$MIRRORCTL" status s)" "may have been switched over"
must_sync 1 s d
"$MIRRORCTL" switchover --undo --json s | jq -e '.sealed == false' >/dev/null
echo more >>s/dir/file
must_sync 0 s d

mkdir small
echo content >small/file
mount_source small
must_sync 0 small small-d
if command -v strace >/dev/null; then
	echo "the last sync takes too long: nothing has happened"
	code=0
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 strace -f -qq -o trace \
		-e trace=fsync,fdatasync -e inject=fsync,fdatasync:delay_enter=200000 \
		"$MIRRORCTL" switchover --timeout 100ms small small-d 2>err || code=$?
	assert_eq "$code" 1 "exit code"
	assert_contains "$(cat err)" "the last sync took longer than writes may be held, and guests go on"
	echo more >>small/file
	if is_sealed small; then fail "sealed all the same"; fi
fi

echo "a signal ends it, and nothing has happened"
"$MIRRORCTL" sync --quiet --pre-hook ': >hooked; while [ ! -e enough ]; do sleep 0.1; done' small small-d &
busy=$!
wait_for 30 test -e hooked || fail "the hook does not run"
"$MIRRORCTL" switchover small small-d 2>err &
waiting=$!
wait_for 30 catches "$waiting" 15
kill "$waiting"
code=0
wait "$waiting" || code=$?
assert_eq "$code" 143 "exit code"
assert_contains "$(cat err)" "stopped by a signal; guests go on from there"
echo "one that waits for a sync that is under way"
"$MIRRORCTL" switchover --quiet small small-d &
waiting=$!
: >enough
wait "$busy" || fail "sync: exit code $?"
wait "$waiting" || fail "switchover: exit code $?"
erofs touch small/file
assert_equal_trees small small-d

echo "what a guest has written there isn't taken for damage, also if nothing tells it from that"
cp -a small-d/file before
client flip small-d/file 0
touch -r before small-d/file
cp -a small-d/file guests
not_repaired() {
	assert_fails "$MIRRORCTL" scrub --repair small small-d
	assert_eq "$code" 2 "scrub --repair: exit code"
	assert_contains "$stderr" "it was switched over to this replica"
	assert_same_file guests small-d/file
}
not_repaired
unmount small
not_repaired

echo "a follower that still runs doesn't touch what the guest goes on from"
"$MIRRORCTL" sync --follow --interval 100ms s d >out 2>log &
follower=$!
cleanup_fn stop_process "$follower"
said() {
	grep -q -- "$1" log
}
wait_for 60 said "at checkpoint" || fail "it does not follow: $(cat log)"
(while echo more >>s/dir/file; do :; done) 2>/dev/null &
guest=$!
cleanup_fn stop_process "$guest"
switch_over 0 s d
wait "$guest" || :
assert_equal_trees s d
echo guest >>d/dir/file
wait_for 60 said "it was switched over to this replica" || fail "it says nothing: $(cat log)"
sleep 1 # and a few attempts
assert_eq "$(tail -n 1 d/dir/file)" guest "what the guest wrote to the replica"
kill "$follower"
wait "$follower" || fail "exit code $?"
sed -i '$d' d/dir/file
"$MIRRORCTL" switchover --undo --quiet s
"$MIRRORCTL" sync --quiet s d || [ $? = 3 ] || fail "sync"

echo "and back: the guest ran on the replica, and what was the source becomes its replica"
switch_over 0 s d
unmount s
mount_source d
dd if=/dev/urandom of=d/image bs=64k count=5 seek=7 conv=notrunc,fsync status=none
assert_fails "$MIRRORCTL" sync d s
rm -r s/.mirrorfs
"$MIRRORCTL" adopt s >/dev/null
must_sync 0 d s
assert_equal_trees d s
[ "$(json .bytes_copied)" -lt 1000000 ] || fail "back, all of it was copied: $(cat sync.json)"
dd if=/dev/urandom of=d/image bs=64k count=2 seek=3 conv=notrunc,fsync status=none
switch_over 0 d s
assert_equal_trees d s
unmount d
mount_source s
echo at home >>s/dir/file
unmount s
