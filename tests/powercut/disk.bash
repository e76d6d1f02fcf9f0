# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# disk.bash - disks with a volatile write cache, whose power can be cut; sourced after lib.sh
#
# A disk NAME is two files in the working directory, and QEMU writes to both (its quorum
# driver):
#
#	NAME.kept	every write, at once
#	NAME.flushed	by way of nbdkit's cache filter, which has what was written in a file
#			of its own until the guest flushes, and loses it when it is killed
#
# So after a cut the two differ by what was in the cache.  A disk may have written any part
# of that, in any order: diskmix chooses, and makes both files the same again.
#
# While a disk is in use, its files are named relative to the working directory: the
# path of a socket must not be long.

: "${work:?is set by lib.sh}"

declare -A server_of=() # disk -> process id of its nbdkit

# make_disk NAME SIZE MKFS...: formatted
make_disk() {
	local name=$1 size=$2
	shift 2
	truncate -s "$size" "$name.kept" "$name.flushed"
	"$@" "$name.kept" >"$name.mkfs" 2>&1 || fail "$*: $(cat "$name.mkfs")"
}

drop_disk() {
	kill -KILL "$1" 2>/dev/null && wait "$1" 2>/dev/null
	return 0
}

# serve_disk NAME: both files are the same from then on, as .kept was
serve_disk() {
	client diskmix "$1.kept" "$1.flushed" 100 0 >/dev/null
	rm -f "$1.socket"
	TMPDIR=$PWD nbdkit -f -U "$1.socket" --filter=cache file "$1.flushed" \
		cache=writeback cache-min-block-size=4096 2>"$1.nbdkit" &
	server_of[$1]=$!
	cleanup_fn drop_disk "${server_of[$1]}"
	wait_for 30 test -S "$1.socket" || fail "nbdkit: $(cat "$1.nbdkit")"
}

# blockdev NAME: what QEMU is to be told of the disk, as JSON
blockdev() {
	printf '{"driver": "quorum", "node-name": "%s", "vote-threshold": 1, "read-pattern": "fifo",
		"children": [
		{"driver": "file", "filename": "%s.kept", "cache": {"no-flush": true}},
		{"driver": "nbd", "server": {"type": "unix", "path": "%s.socket"}}]}' "$1" "$1" "$1"
}

# power_off_disk NAME: the cache is lost.  QEMU has been killed before.
power_off_disk() {
	kill -KILL "${server_of[$1]}" || fail "nbdkit ended by itself: $(cat "$1.nbdkit")"
	wait "${server_of[$1]}" 2>/dev/null || true
	unset "server_of[$1]" 'cleanups[-1]' # disks are taken off in the reverse order
}

# settle_disk NAME PERCENT SEED: so much of what was in the cache had come to the platter;
# the number of blocks of 4 KiB that were in it is left in $in_cache
settle_disk() {
	# shellcheck disable=SC2034
	in_cache=$(client diskmix "$1.kept" "$1.flushed" "$2" "$3")
}
