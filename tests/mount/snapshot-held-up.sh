#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# snapshot-held-up.sh - guests write while a snapshot reads a large tree
#
# Changes of names and metadata wait for it, more of them than the daemon usually has threads; who
# only writes is served all the same.  What makes the tree large is a delay of each listxattr.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires_strace
requires jq

mkdir source mnt
for i in {1..150}; do
	echo "$i" >"source/file$i"
done
truncate -s 1M source/image
mount_source source mnt

strace -qq -f -o trace -e trace=listxattr -e inject=listxattr:delay_enter=100000 \
	-p "${daemon_of[$work/mnt]}" &
tracer=$!
cleanup_fn stop_process "$tracer"
attached() {
	[ "$(sed -n 's/^TracerPid:[[:space:]]*//p' "/proc/${daemon_of[$work/mnt]}/status")" != 0 ]
}
wait_for 30 attached || fail "strace does not attach"

"$MIRRORCTL" snapshot create --json mnt x >created.json &
creator=$!
reading() {
	[ "$(wc -l <trace)" -gt 2 ]
}
wait_for 30 reading || fail "the tree is not read"

for i in {1..90}; do
	chmod 600 "mnt/file$i" &
	changers[i]=$!
done
held_up() { # as many as can be: all but those that came through before
	local n=0 pid
	for pid in "${changers[@]}"; do
		kill -0 "$pid" 2>/dev/null && n=$((n + 1))
	done
	[ $n -gt 70 ]
}
wait_for 5 held_up || fail "changes of metadata do not wait"
sleep 0.5 # they have got to the daemon
dd if=/dev/urandom of=mnt/image bs=64K count=1 conv=notrunc oflag=direct status=none
[ "$(wc -l <trace)" -lt 145 ] || fail "a write waited for the tree, or the tree was too small"

wait "$creator" || fail "snapshot create: exit code $?"
for i in {1..90}; do
	wait "${changers[i]}" || fail "chmod file$i: exit code $?"
done
stop_process "$tracer"
# it is one instant: not one of the changes that waited is in it
assert_eq "$(stat -c %a mnt/.mirrorfs/snapshot/x/file* | sort -u)" 644 "modes"
assert_eq "$(stat -c %a mnt/file1)" 600 "mode"
unmount mnt
