#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# switchover-held.sh - while changes are held: whoever only reads is served, also with more that wait
# than there are usually threads; and whatever becomes of the one who holds, guests go on
#
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires jq

# hold MILLISECONDS: by a process of its own, $holder, until it ends
hold() {
	rm -f orders
	: >said
	mkfifo orders
	"$CLIENTS/holder" mnt "$1" <orders >said 2>&1 &
	holder=$!
	cleanup_fn stop_process "$holder"
	exec 7>orders
	wait_for 30 heard 1 || fail "the holder says nothing"
	assert_eq "$(tail -n 1 said)" held "the holder"
}

heard() { # so many lines
	[ "$(wc -l <said)" -ge "$1" ]
}

# order WORD ANSWER
order() {
	local n
	n=$(wc -l <said)
	echo "$1" >&7
	wait_for 30 heard $((n + 1)) || fail "$1: the holder says nothing"
	assert_eq "$(tail -n 1 said)" "$2" "$1"
}

drop_holder() {
	exec 7>&-
	wait "$holder" || fail "holder: exit code $?"
}

# Each in a directory of its own, which the kernel locks for some of them.
kinds=("fallocate -p -l 4096 file" "truncate -s 1000 file" "setfattr -n user.x -v y file"
	"setfattr -x user.kept file" "ln file linked" "ln -s file symlink" "rm file" "rmdir dir"
	"mkfifo fifo" "dd if=/dev/null of=file status=none" "touch file" "chown 1:1 file"
	"dd if=/dev/null of=fresh status=none" "mkdir fresh" "mv file moved")

# change NUMBER: begins changes of all kinds, so many of each, that wait; their processes in changers
change() {
	local i
	changers=()
	for ((i = 0; i < $1; i++)); do
		dd if=/dev/zero bs=64k count=1 conv=notrunc status=none "of=mnt/vm/image$i" &
		changers+=($!)
		dd if=/dev/zero bs=64k count=1 conv=notrunc status=none oflag=direct "of=mnt/vm/direct$i" &
		changers+=($!)
		chmod 640 "mnt/vm/image$i" &
		changers+=($!)
	done
	for ((i = 0; i < ${#kinds[@]}; i++)); do
		(cd "mnt/kind$i" && ${kinds[i]}) &
		changers+=($!)
	done
	echo fresh >"mnt/fresh" & # which locks the top directory in the kernel
	changers+=($!)
	mkdir mnt/dir &
	changers+=($!)
	mv mnt/name mnt/renamed &
	changers+=($!)
	# those that were not held have ended
	sleep 0.5
	for i in "${changers[@]}"; do
		kill -0 "$i" 2>/dev/null || fail "one of them was not held"
	done
}

# changed WANTED_CODE: all have ended, each with that
changed() {
	local i code
	for i in "${changers[@]}"; do
		code=0
		wait "$i" 2>/dev/null || code=$?
		assert_eq "$code" "$1" "exit code of one that waited"
	done
}

reset() {
	rm -rf mnt/fresh mnt/dir
	mkdir -p mnt/vm
	: >mnt/vm/quiet
	[ ! -e mnt/renamed ] || mv mnt/renamed mnt/name
	for ((i = 0; i < ${#kinds[@]}; i++)); do
		rm -rf "mnt/kind$i"
		mkdir -p "mnt/kind$i/dir"
		echo content >"mnt/kind$i/file"
		setfattr -n user.kept -v x "mnt/kind$i/file"
	done
	for ((i = 0; i < 40; i++)); do
		cp bytes "mnt/vm/image$i"
		cp bytes "mnt/vm/direct$i"
		chmod 644 "mnt/vm/image$i"
	done
}

mkdir source mnt
# data at both ends: the kernel locks what a write is to change in pieces of up to 2 MiB
random_file bytes 200000
random_file end 200000
dd if=end of=bytes bs=1M seek=2 conv=notrunc status=none
mount_source source mnt
: >mnt/name
reset
"$MIRRORCTL" sync --quiet mnt d || fail "sync: exit code $?"
# Names wait in the top directory, which the kernel has locked then: it looks up none there but those that
# it knows, such as that of a directory which somebody has open, as a switchover has the second of these.
exec 6<mnt/vm 8<mnt/.mirrorfs/snapshot

echo "120 changes wait; reading, an fsync, a sync and a snapshot don't"
hold 300000
change 40 2>/dev/null
for i in {0..39}; do # the kernel has the pages locked that a write is to change
	cmp -i 2097152 bytes "mnt/vm/image$i"
	dd "if=mnt/vm/direct$i" iflag=direct bs=64k skip=32 count=3 status=none | cmp -n 196608 -i 0:2097152 - bytes
done
stat mnt mnt/vm/image0 >/dev/null
sync mnt/vm/quiet # to which nothing waits: a rename has its file locked
kill -0 "$holder" || fail "the hold is over"
timeout 200 "$MIRRORCTL" sync --quiet mnt d || fail "sync: exit code $?"
for i in {0..39}; do
	cmp bytes "d/vm/image$i"
	cmp bytes "d/vm/direct$i"
done
[ ! -e d/dir ] && [ ! -e d/renamed ] || fail "a change that waited is in the replica"
timeout 200 "$MIRRORCTL" snapshot create --json mnt x >/dev/null || fail "snapshot: exit code $?"
timeout 200 "$MIRRORCTL" snapshot delete mnt x || fail "snapshot: exit code $?"
exec 6<&- 8<&-
order hold "Device or resource busy"
order hostile "done"
assert_fails timeout 200 "$MIRRORCTL" switchover mnt d
assert_contains "$stderr" "another switchover is under way"
order release "done"
changed 0
cmp -n 65536 /dev/zero mnt/vm/image39
assert_eq "$(stat -c %a mnt/vm/image39)" 640 "mode"
[ -e mnt/fresh ] && [ -d mnt/dir ] && [ -e mnt/renamed ] || fail "a change was lost"
order release "done"
order seal "Stale file handle"
drop_holder
reset

echo "who holds is killed"
hold 60000
change 3 2>/dev/null
{ kill -9 "$holder" && wait "$holder"; } 2>/dev/null || :
changed 0
exec 7>&-
reset

echo "the time is over"
hold 1500
change 3 2>/dev/null
changed 0
order checkpoint "done"
order seal "Connection timed out"
echo more >>mnt/name
drop_holder
reset

echo "a checkpoint from before is no reason to seal it"
for which in stale seal; do
	hold 60000
	change 2 2>/dev/null
	order $which "Stale file handle"
	changed 0
	drop_holder
	reset
done

attached() { # to all of its threads
	! grep -q '^TracerPid:[[:space:]]0$' "/proc/${daemon_of[$work/mnt]}/task/"*/status
}

# seal_with FAULT NAME: the holder orders it, and this happens to a call for that name
seal_with() {
	strace -qq -f -o trace -P "$work/source/.mirrorfs/$2" -P sealed.tmp \
		-e "trace=${1%%:*}" -e "inject=$1" -p "${daemon_of[$work/mnt]}" 2>strace.err &
	tracer=$!
	cleanup_fn stop_process "$tracer"
	wait_for 30 attached || fail "strace does not attach"
	echo seal >&7
	wait_for 30 heard 3 || fail "the holder says nothing"
	stop_process "$tracer"
}

if command -v strace >/dev/null; then
	echo "the mark can't be made"
	for fault in openat:error=ENOSPC fsync:error=EIO renameat:error=EIO; do
		hold 60000
		order checkpoint "done"
		change 2 2>/dev/null
		seal_with "$fault" sealed.tmp
		tail -n 1 said | grep -Eq 'No space left|Input/output' || fail "$fault: $(tail -n 1 said) $(cat trace)"
		changed 0
		[ ! -e source/.mirrorfs/sealed ] || fail "$fault: it left a mark"
		drop_holder
		reset
	done

	echo "the daemon is killed when it makes the mark: before it is there, and after"
	for name in sealed.tmp ""; do
		hold 60000
		order checkpoint "done"
		change 2 2>/dev/null
		seal_with fsync:signal=KILL "$name"
		assert_contains "$(tail -n 1 said)" "connect" "what the holder hears"
		changed 1
		{ wait "${daemon_of[$work/mnt]}"; } 2>/dev/null || :
		drop_holder
		umount -l mnt 2>/dev/null || fusermount3 -u -z mnt
		mount_source source mnt
		for i in {0..39}; do
			cmp bytes "mnt/vm/image$i"
		done
		case $name in
		sealed.tmp) echo more >>mnt/name ;;
		*)
			assert_fails dd if=bytes of=mnt/name bs=1 count=1 status=none
			"$MIRRORCTL" switchover --undo --quiet mnt
			;;
		esac
		reset
	done
fi

echo "the daemon is killed: nothing that waited was acknowledged"
hold 60000
timeout 200 "$MIRRORCTL" sync --quiet mnt d || fail "sync: exit code $?"
change 2 2>/dev/null
kill -9 "${daemon_of[$work/mnt]}"
changed 1
wait "${daemon_of[$work/mnt]}" 2>/dev/null || :
exec 7>&-
wait "$holder" 2>/dev/null || :
umount -l mnt 2>/dev/null || fusermount3 -u -z mnt
mount_source source mnt
for i in {0..39}; do
	cmp bytes "mnt/vm/image$i"
done
echo more >>mnt/name

echo "it is sealed: what waits is refused"
hold 60000
change 3 2>/dev/null
order checkpoint "done"
order seal "done"
changed 1
order seal "Stale file handle"
order hold "Read-only file system"
drop_holder
assert_fails dd if=bytes of=mnt/name bs=1 count=1 status=none
for i in {0..39}; do
	cmp bytes "mnt/vm/image$i"
done
"$MIRRORCTL" switchover --undo --quiet mnt
echo more >>mnt/name

echo "the daemon ends while changes wait"
hold 60000
change 3 2>/dev/null
kill "${daemon_of[$work/mnt]}"
for pid in "${changers[@]}"; do
	wait "$pid" 2>/dev/null || : # done, or not: it was told
done
exec 7>&-
wait "$holder" 2>/dev/null || :
wait "${daemon_of[$work/mnt]}" || fail "daemon: exit code $?"
