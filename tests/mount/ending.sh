#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the end of a daemon: unmounted, by a signal, with files open, by kill -9
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt
for signal in TERM INT HUP; do
	mount_source source mnt
	pid=${daemon_of[$work/mnt]}
	echo "$signal" >mnt/file
	exec 5<>mnt/file
	echo more >&5
	kill "-$signal" "$pid"
	code=0
	wait "$pid" || code=$?
	assert_eq "$code" 0 "exit code after SIG$signal"
	assert_fails sh -c 'echo again >&5'
	exec 5>&- || true
	is_mounted "$work/mnt" && fail "still mounted after SIG$signal"
	assert_eq "$(cat source/file)" more "content after SIG$signal"
done

# While somebody waits for its answer.
mount_source source mnt
for i in 1 2 3 4; do
	dd if=/dev/zero of="mnt/busy$i" bs=64K count=100000 status=none 2>/dev/null &
	writers[i]=$!
done
all_write() {
	[ -s source/busy1 ] && [ -s source/busy2 ] && [ -s source/busy3 ] && [ -s source/busy4 ]
}
wait_for 30 all_write || fail "no writers"
kill "${daemon_of[$work/mnt]}"
wait "${daemon_of[$work/mnt]}" || fail "exit code while busy: $?"
for i in 1 2 3 4; do
	wait "${writers[i]}" && fail "a writer did not notice"
done
rm source/busy*

# In the background: the command returns when the mount can be used, and the daemon
# does not keep its terminal, nor its working directory.
out=$("$MIRRORFS" "$work/source" "$work/mnt" 2>&1)
cleanup_fn fusermount3 -u -z -q "$work/mnt"
assert_eq "$out" "" "output"
assert_eq "$(cat mnt/file)" more "content"
pid=$(client control mnt info | sed 's/.*pid \([0-9]*\).*/\1/')
assert_eq "$(readlink "/proc/$pid/cwd")" / "working directory"
assert_eq "$(readlink "/proc/$pid/fd/2")" /dev/null "stderr"
# Again at once after the unmount, whether the old one has saved all or not.
for i in 1 2 3; do
	echo "$i" >mnt/file
	fusermount3 -u mnt
	"$MIRRORFS" "$work/source" "$work/mnt" || fail "mount again right after unmount"
	assert_eq "$(cat mnt/file)" "$i"
done
fusermount3 -u mnt

# It waits for one that was unmounted and still saves: here somebody who has its lock.
wait_for 20 client locker ofd source/.mirrorfs/lock try || fail "the last one keeps the lock"
coproc HOLDER { client locker ofd source/.mirrorfs/lock hold; }
holder=$HOLDER_PID
read -r line <&"${HOLDER[0]}"
"$MIRRORFS" "$work/source" "$work/mnt" &
starter=$!
sleep 0.5
kill -0 "$starter" || fail "did not wait for the lock"
eval "exec ${HOLDER[1]}>&-"
wait "$holder"
wait "$starter" || fail "waited for the lock in vain"
fusermount3 -u mnt

# Killed: a dead mount stays behind, also where somebody has a file of it open.  The source is well,
# and root's new mount takes its place; a user's says what to do.
for mnt in mnt source; do
	mount_source source "$mnt"
	echo before >"$mnt/file"
	exec 9<"$mnt/file"
	kill -9 "${daemon_of[$work/$mnt]}"
	wait "${daemon_of[$work/$mnt]}" 2>/dev/null || true
	for words in "status $mnt" "sync $mnt replica" "sync --dry-run $mnt replica"; do
		# shellcheck disable=SC2086
		assert_fails "$MIRRORCTL" $words
		assert_one_line "$stderr"
		assert_contains "$stderr" "open source '$mnt': its mirrorfs is dead; mount it again"
		[ "$(id -u)" != 0 ] || case $stderr in *fusermount* | *umount*) fail "$stderr" ;; esac
	done
	mkdir -p other
	assert_fails "$MIRRORCTL" sync other "$mnt"
	assert_one_line "$stderr"
	assert_contains "$stderr" "open destination '$mnt': it is a source itself, whose mirrorfs is dead"
	[ ! -e other/.mirrorfs ] || fail "a refused sync made a source"
	if [ "$(id -u)" = 0 ]; then
		# until then nobody gets past it
		assert_fails "$MIRRORFS" "$work/source" "$work/$mnt" -o no_such_option
		assert_fails ls "$mnt"
		assert_contains "$stderr" "not connected"
		"$MIRRORFS" "$work/source" "$work/$mnt" 2>err || fail "not mounted again: $(cat err)"
		assert_one_line "$(cat err)"
		assert_contains "$(cat err)" "mount '$work/$mnt': in place of a dead mount"
		assert_eq "$(grep -c " $work/$mnt fuse.mirrorfs " /proc/self/mounts)" 1 "mounts"
		assert_eq "$(cat "$mnt/file")" before
		fusermount3 -u "$mnt"
	else
		assert_fails "$MIRRORFS" "$work/source" "$work/$mnt"
		assert_one_line "$stderr"
		assert_contains "$stderr" "dead mount"
		assert_contains "$stderr" "fusermount3 -u -z '$work/$mnt'"
		fusermount3 -u -z "$mnt"
	fi
	exec 9<&-
	mount_source source "$mnt"
	assert_eq "$(cat "$mnt/file")" before
	unmount "$mnt"
done
# one of another kind stays where it is
if [ "$(id -u)" = 0 ]; then
	mount_source source mnt
	mount --bind source mnt
	cleanup_fn umount -q -l "$work/mnt"
	kill -9 "${daemon_of[$work/mnt]}"
	wait "${daemon_of[$work/mnt]}" 2>/dev/null || true
	"$MIRRORFS" "$work/source" "$work/mnt"
	fusermount3 -u mnt
	umount mnt
	assert_fails ls mnt
	assert_contains "$stderr" "not connected"
	fusermount3 -u mnt
fi

# In place of a dead mount: what is mounted in the source is there again, and the source's filesystem
# is in use as with any daemon.
if [ "$(id -u)" = 0 ]; then
	mount_disk disk 16M mkfs.ext4 -q
	mkdir -p disk/source/sub
	mount -t tmpfs none disk/source/sub
	cleanup_fn umount -q -l "$work/disk/source/sub"
	echo before >disk/source/sub/file
	for mnt in disk/source mnt; do
		mount_source disk/source "$mnt"
		kill -9 "${daemon_of[$work/$mnt]}"
		wait "${daemon_of[$work/$mnt]}" 2>/dev/null || true
		"$MIRRORFS" "$work/disk/source" "$work/$mnt" 2>/dev/null
		assert_eq "$(cat "$mnt/sub/file")" before "what is mounted in the source"
		[ "$mnt" = mnt ] || fusermount3 -u "$mnt"
	done
	umount -l disk/source/sub
	assert_fails umount disk
	assert_contains "$stderr" busy
	fusermount3 -u mnt
	wait_for 20 umount disk 2>/dev/null || fail "umount: $(umount disk 2>&1)"
fi
