#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hundreds of syncs from one daemon, to a replica that comes each time, one that comes now and
# then and one that never comes back, while images come and go: none fails, and the daemon has
# no more descriptors, memory and files at the end than it had early on.
#
# SYNCS: how many.
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
requires_fuse
requires getfattr getfacl diff

echo "SEED=$SEED"
RANDOM=$((SEED % 32768))
syncs=${SYNCS:-100}
[ "$syncs" -ge 50 ] || fail "SYNCS: at least 50"

memory_kb() {
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$daemon/status"
}

descriptors() {
	set -- "/proc/$daemon/fd"/*
	echo $#
}

state_files() {
	find s/.mirrorfs -type f | wc -l
}

state_bytes() {
	find s/.mirrorfs -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}

# change: some of everything, and images as numerous as before
change() {
	local i
	for i in 1 2 3; do
		printf '%08d' $RANDOM | dd of="m/image$((RANDOM % 6))" bs=65536 seek=$((RANDOM % 40)) \
			conv=notrunc status=none
	done
	n=$((n + 1))
	random_file "m/new$n" 200000
	rm -f "m/new$((n - 5))"
}
n=0

# at_most GOT LIMIT WHAT
at_most() {
	[ "$1" -le "$2" ] || fail "$3: $1, more than $2"
}

measure() {
	memory=$(memory_kb)
	fds=$(descriptors)
	files=$(state_files)
	nbytes=$(state_bytes)
	printf '%d syncs, %d s: %d KiB of memory, %d descriptors, %d files of %d bytes\n' "$1" \
		$((SECONDS - began)) "$memory" "$fds" "$files" "$nbytes"
	began=$SECONDS
}

mkdir s m
for i in 0 1 2 3 4 5; do
	random_file "s/image$i" $((3 << 20))
done
mount_source s m save_interval=1,region_size=1M
daemon=${daemon_of[$work/m]}
began=$SECONDS
"$MIRRORCTL" sync --quiet m never
for ((i = 1; i <= syncs; i++)); do
	change
	sync_trees m d
	[ $((i % 10)) != 0 ] || sync_trees m "now-and-then"
	if [ "$i" = $((syncs / 5)) ]; then
		sleep 2.5 # the keeper lets go of what rests
		measure "$i"
		early_memory=$memory early_fds=$fds early_files=$files early_bytes=$nbytes
	fi
done
sleep 2.5
measure "$syncs"
# with AddressSanitizer most of it isn't the daemon's own; there, LeakSanitizer looks for leaks
[[ ${SANITIZE-} = *address* ]] || at_most "$memory" $((early_memory * 5 / 4 + 4096)) "KiB of memory"
at_most "$fds" $((early_fds + 5)) "descriptors"
at_most "$files" $((early_files + 2)) "files in the state directory"
at_most "$nbytes" $((early_bytes * 5 / 4 + 65536)) "bytes in the state directory"

# who comes back after all gets what it lacks, and no more
sync_trees m never
at_most "$(synced bytes_copied)" $((6 * 3 * 1024 * 1024 + 5 * 262144)) "bytes copied"
assert_same_trees s never
sync_trees m d
assert_same_trees s d
unmount m
