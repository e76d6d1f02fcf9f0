#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-killed.sh - a sync that is killed, anywhere, is made good by the next one
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

echo "SEED=$SEED"
RANDOM=$SEED

mode=() # options of the sync that is killed

# kill_at SYSCALL N [OPTION...]: begins a sync that is killed at the Nth such call; 1 if it never
# came that far.  With options of strace only calls that it then follows count.
kill_at() {
	local code=0 call=$1 when=$2
	shift 2
	strace -f -qq -o /dev/null "$@" -e trace="$call" -e inject="$call:signal=KILL:when=$when" \
		"$MIRRORCTL" sync --quiet "${mode[@]}" s d 2>/dev/null || code=$?
	[ "$code" = 137 ]
}

n=0
# something of everything: content, names, metadata, a new image and a removed one
change() {
	n=$((n + 1))
	random_file "piece$n" 150000
	dd if="piece$n" of=s/a.raw bs=1000 seek=$((RANDOM % 9000)) conv=notrunc status=none
	fallocate -p -o $((RANDOM * 100)) -l 200000 s/a.raw
	truncate -s $((3000000 + RANDOM % 2 * 1000000)) s/b.raw
	mv s/one s/t && mv s/two s/one && mv s/t s/two
	mkdir "s/dir$n" && mv s/dir*/moved "s/dir$n/" 2>/dev/null || echo moved >"s/dir$n/moved"
	[ ! -d "s/dir$((n - 1))" ] || rmdir "s/dir$((n - 1))"
	mv "piece$n" "s/new$n"
	rm -f "s/new$((n - 2))"
	ln -f s/one "s/link$((n % 2))" && rm -f "s/link$(((n + 1) % 2))"
	ln -sfn "target$n" s/sym
	chmod "6$((n % 8))4" s/b.raw
	setfattr -n "user.n$((n % 2))" -v "$n" s/a.raw
	rm -f s/fifo && mkfifo s/fifo
}

mkdir s
random_file s/a.raw 10000000
random_file s/b.raw 3000000
echo 1 >s/one && echo 2 >s/two
mount_source s

# the first sync too
kill_at pwrite64 2 || fail "not killed"
! complete d || fail "complete, with a first sync that was killed"
must_sync 0 s d
assert_equal_trees s d

killed=0
# kill_each WHEN...: at that call of each kind
kill_each() {
	local call when
	for call in pwrite64 write ftruncate fallocate renameat2 renameat unlinkat mkdirat linkat \
		symlinkat mknodat utimensat fchmod chmod fchmodat fchownat setxattr removexattr fsync \
		fdatasync syncfs ioctl; do
		for when in "$@"; do
			change
			if kill_at "$call" "$when"; then
				killed=$((killed + 1))
			fi
			# now and then the next one is killed too, or the source changes before it
			[ $((RANDOM % 3)) != 0 ] || kill_at pwrite64 $((1 + RANDOM % 6)) || :
			[ $((RANDOM % 3)) != 0 ] || change
			must_sync 0 s d
			json '.full_copies[].path' | grep -Ex 'a.raw|b.raw|one|two' >full || :
			[ ! -s full ] || fail "killed at $call $when: copied in full: $(cat full)"
			assert_equal_trees s d
			complete d || fail "killed at $call $when: not complete"
		done
	done
}
kill_each $((1 + RANDOM % 8))
mode=(--in-place)
kill_each $((1 + RANDOM % 8))
mode=()
# Told too late: the replica is complete, and knows better than the source where it is.  What makes
# its manifest durable, the fourth fsync of that directory, is the last thing before the source is told.
for round in 1 2 3; do
	change
	before=$("$MIRRORCTL" status --json d | jq .replica.checkpoint.number)
	kill_at fsync 4 -P "$work/d/.mirrorfs" || fail "not killed"
	complete d || fail "killed too early: not complete"
	[ "$("$MIRRORCTL" status --json d | jq .replica.checkpoint.number)" -gt "$before" ] ||
		fail "killed too early: at checkpoint $before"
	change
	must_sync 0 s d
	json '.full_copies[].path' | grep -Ex 'a.raw|b.raw|one|two' >full || :
	[ ! -s full ] || fail "round $round: copied in full: $(cat full)"
	assert_equal_trees s d
done

# In place, the reason for a full copy survives.
mode=(--in-place)
client flip d/a.raw 0
kill_at pwrite64 4 || fail "not killed"
! complete d || fail "complete, though a full copy was killed"
must_sync 3 s d
assert_eq "$(json '[.full_copies[] | select(.expected | not) | .path, .reason] | join(" ")')" \
	"a.raw replica-changed" "full copies"
assert_equal_trees s d

# what a killed sync wasn't going to change is still known
mkdir -p s/d
random_file s/d/b.raw 1000000
must_sync 0 s d
client flip s/a.raw 5
kill_at pwrite64 4 || fail "not killed"
! complete d || fail "complete, though it was killed"
client flip d/d/b.raw 5
must_sync 3 s d
assert_eq "$(json '[.full_copies[] | .path, .reason] | join(" ")')" "d/b.raw replica-changed" \
	"full copies"
assert_equal_trees s d

echo "killed $killed times"
[ "$killed" -ge 10 ] || fail "killed only $killed times"
unmount s
