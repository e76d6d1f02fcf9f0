#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# requests-hang.sh - on a disk that hangs some requests do not return: others are served all the same
#
# First writes, of which nobody has told that they take long, then fsyncs.  What makes the disk
# hang is a delay of each such call, which ends with the tracer.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires_strace

nwriters=12
mkdir source mnt
for ((i = 0; i < nwriters; i++)); do
	truncate -s 1M "source/image$i"
done
echo well >source/pwrite64
echo well >source/fsync
mount_source source mnt
daemon=${daemon_of[$work/mnt]}

# hang CALL DD-OPTION...: all writers are in it, and others are served
hang() {
	local call=$1 i tracer pids=()
	shift
	rm -f trace
	strace -qq -f -o trace -e "trace=$call" -e "inject=$call:delay_enter=120000000" \
		-p "$daemon" &
	tracer=$!
	cleanup_fn stop_process "$tracer"
	wait_for 30 attached || fail "strace does not attach"
	for ((i = 0; i < nwriters; i++)); do
		dd if=/dev/urandom "of=mnt/image$i" bs=64K count=1 status=none "$@" &
		pids[i]=$!
	done
	wait_for 60 all_in || fail "$call: not all are carried out: $(cat trace)"
	assert_eq "$(cat "mnt/$call")" well
	chmod 600 "mnt/$call"
	rm "mnt/$call"
	for i in "${pids[@]}"; do
		kill -0 "$i" 2>/dev/null || fail "$call: others had to wait for a writer"
	done
	stop_process "$tracer" # which lets go of them
	for i in "${pids[@]}"; do
		wait "$i" || fail "$call: a writer failed"
	done
}

attached() {
	[ "$(sed -n 's/^TracerPid:[[:space:]]*//p' "/proc/$daemon/status")" != 0 ]
}

# strace ends the line of a call that hangs when the next one begins.
all_in() {
	[ "$(grep -c "$call(" trace)" -ge $((nwriters - 1)) ]
}

hang pwrite64 conv=notrunc
hang fsync conv=notrunc,fsync
unmount mnt
