#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lock-timeout.sh - who waits for another that works on the same replica, or holds the same source
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

mkdir s mnt
random_file s/a 1000000
mount_source s mnt
must_sync 0 mnt d

# hold SOURCE DEST: a sync that has both, until the file "go" is there; its process id in $holder
hold() {
	rm -f held go
	"$MIRRORCTL" sync --json "$@" --pre-hook \
		'touch held; while [ ! -e go ]; do sleep 0.05; done' >holder.json 2>holder.err &
	holder=$!
	wait_for 30 test -e held || fail "no hook: $(cat holder.err)"
}
let_go() {
	touch go
	wait "$holder" || fail "exit code $?: $(cat holder.err)"
}
# waiter VERB ARGUMENT...: begins one that has to wait, and returns when it does; $waiter
waiter() {
	rm -f waiter.err
	"$MIRRORCTL" "$@" --lock-timeout 600 --progress=json >waiter.out 2>waiter.err &
	waiter=$!
	wait_for 30 waits || fail "$*: doesn't wait: $(cat waiter.err)"
}
waits() {
	grep -qs '"phase":"waiting"' waiter.err
}
ends_with() {
	local code=0
	wait "$waiter" || code=$?
	[ "$code" = "$1" ] || fail "the one that waited: exit code $code, wanted $1: $(cat waiter.err)"
}

# not at all, unless it is asked for; and then not for longer
hold mnt d
for options in "" "--lock-timeout 0" "--lock-timeout 1"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" sync $options mnt d
	assert_eq "$code" 1 "$options: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "in use by mirrorctl (pid $holder)"
	case $options in
	*1) assert_contains "$stderr" "that took longer than --lock-timeout gave it" ;;
	*) assert_contains "$stderr" "wait for it, as --lock-timeout does" ;;
	esac
done
# others don't have to: neither one that goes elsewhere, nor who only looks
must_sync 0 mnt e
must_sync 0 mnt d --dry-run
must_sync 0 mnt e --lock-timeout 600
# What the other has done meanwhile counts: where the replica is now, the source knows.
waiter sync --json mnt d
let_go
ends_with 0
assert_eq "$(json .from_checkpoint.uuid waiter.out)" "$(json .checkpoint.uuid holder.json)" \
	"the checkpoint that it went on from"
grep -q '"phase":"copying"\|"phase":"planning"' waiter.err || fail "no phase after that of waiting"

# one that is killed lets go, too
hold mnt d
waiter sync --json mnt d
kill -KILL "$holder"
ends_with 0
touch go
assert_equal_trees mnt d

# One that is killed when its replica has arrived, and before it could tell the source: what the other
# reads of the source's state must be what is there when its turn has come, or all is compared.
dd if=/dev/urandom of=mnt/a bs=64K count=2 conv=notrunc status=none
strace -qq -o trace -e trace=fsync "$MIRRORCTL" sync --quiet --in-place --pre-hook true mnt d
last=$(grep -c fsync trace) # of the manifest's name
dd if=/dev/urandom of=mnt/a bs=64K count=2 conv=notrunc status=none
rm -f held go
strace -qq -o trace -e trace=fsync -e "inject=fsync:signal=KILL:when=$last" "$MIRRORCTL" sync --quiet \
	--in-place --pre-hook 'touch held; while [ ! -e go ]; do sleep 0.05; done' mnt d &
holder=$!
wait_for 30 test -e held || fail "no hook"
waiter sync --json mnt d
touch go
wait "$holder" && fail "wasn't killed" || :
ends_with 0
assert_eq "$(json '.full_copies | length' waiter.out)" 0 "images that were compared in full"
assert_equal_trees mnt d

# whoever works on a replica
for verb in "scrub d" "recover d" "restore d restored" "adopt d"; do
	hold mnt d
	# shellcheck disable=SC2086
	waiter $verb
	let_go
	ends_with 0
done
must_sync 0 mnt d # adopted

# a signal ends the wait
for signal in INT TERM; do
	hold mnt d
	set -m # a background job's SIGINT is ignored, unless the shell does job control
	waiter sync mnt d
	set +m
	kill -"$signal" "$waiter"
	ends_with $((128 + $(kill -l "$signal")))
	assert_one_line "$(grep -v '^{' waiter.err)"
	assert_contains "$(cat waiter.err)" "stopped by a signal"
	let_go
	set -m
	hold mnt d
	waiter recover d
	set +m
	kill -"$signal" "$waiter"
	ends_with $((128 + $(kill -l "$signal")))
	let_go
done
assert_equal_trees mnt d
unmount mnt

# a source that isn't mounted belongs to one at a time, whatever its destinations
hold s d
assert_fails "$MIRRORCTL" sync s e
waiter sync s e
let_go
ends_with 0
assert_equal_trees s e
# but one that waits for its replica, here until that is unmounted, doesn't keep it from others
mkdir other
echo 1 >other/x
must_sync 0 other f
must_sync 0 f h # so that it is a source too
mkdir mnt2
mount_source f mnt2
waiter sync other f
must_sync 0 other g --lock-timeout 600
kill -0 "$waiter" || fail "didn't wait: $(cat waiter.err)"
unmount mnt2
wait "$waiter" && code=0 || code=$?
[ "$code" = 0 ] || [ "$code" = 3 ] || fail "exit code $code: $(cat waiter.err)" # its files have got ids

for value in x -1 1.5 1s 99999999999999999999; do
	assert_fails "$MIRRORCTL" sync --lock-timeout="$value" s d
	assert_eq "$code" 2 "--lock-timeout=$value: exit code"
	assert_one_line "$stderr"
done
must_sync 0 s d --lock-timeout 18446744073709551615
