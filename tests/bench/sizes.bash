#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How what is done to a source as a whole grows with the number and the size of its images
#
#	mount			mirrorfs, from its start until it serves
#	status			mirrorctl status, when one block of one image has changed
#	sync, 1 changed		mirrorctl sync, likewise
#	sync, none changed	mirrorctl sync, right after that
#	snapshot create		mirrorctl snapshot create, and its delete
#	unmount			until the daemon is gone
#
# A case is a source: so many images of such a size, sparse, with a few blocks written, and a
# replica of it.  What is known of them is in memory.  All are on XFS, in a file on the disk (needs
# root), as other filesystems don't have files of any size; or on the disk, without what it can't.
#
# CASES: e.g. "1x64K 1x1T"; the first is what others are compared with.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

type -P time >/dev/null || skip "no program time"

block=$((64 << 10))
places=8 # where an image is written to

metric seconds s "what it took"
metric gate_ms ms "writes were held"
metric rss_mib MiB "memory: of the daemon mounted, and its peak at the end; else mirrorctl's peak"

# --- sources

number_of() { # CASE
	echo "${1%x*}"
}

nbytes_of() { # CASE
	numfmt --from=iec "${1#*x}"
}

# write_block FILE NUMBER [DD-OPTION...]: NUMBER counts blocks of the file from 0
write_block() {
	dd if=/dev/urandom of="$1" bs=$block count=1 seek="$2" conv=notrunc status=none "${@:3}"
}

# add_images CASE FIRST LAST
add_images() {
	local source=$dir/$1/source nbytes i
	nbytes=$(nbytes_of "$1")
	for ((i = $2; i <= $3; i++)); do echo "$i" >"$source/disk.$i"; done
	seq -f "$source/disk.%.0f" "$2" "$3" | xargs truncate -s "$nbytes" || return
	for ((i = 1; nbytes >= block * places && i < places; i++)); do
		write_block "$source/disk.$2" $((nbytes * i / block / places))
	done
}

# prepare CASE: adds it to the cases that are there.  A snapshot has each image open, and three
# times those that a sync sees for the first time; and it leaves guests a quarter of the
# descriptors.  So new images come a few at a time.
prepare() {
	local at=$dir/$1 n i last batch
	n=$(number_of "$1")
	batch=$((($(ulimit -n) * 3 / 4 - n) / 3))
	[ $batch -gt 0 ] || {
		note "$1: left out: ulimit -Hn is $(ulimit -Hn)"
		return 0
	}
	mkdir "$at" "$at/source" "$at/mnt"
	for ((i = 1; i <= n; i += batch)); do
		last=$((i + batch > n ? n : i + batch - 1))
		add_images "$1" $i $last 2>"$work/images.err" || {
			note "$1: left out: $(head -n 1 "$work/images.err")"
			return 0
		}
		mount_source "$at/source" "$at/mnt"
		"$MIRRORCTL" sync --quiet "$at/mnt" "$at/replica"
		unmount "$at/mnt"
	done
	mkfifo "$at/alive"
	cleanup_fn end_daemon "$at"
	there+=("$1")
}

end_daemon() { # DIRECTORY-OF-CASE
	fusermount3 -u -z "$1/mnt" 2>/dev/null
}

# --- the daemon, as users start it; it holds a pipe open, so that its end is noticed at once

serve() { # DIRECTORY-OF-CASE
	"$MIRRORFS" "$1/source" "$1/mnt" 9>"$1/alive"
	[ -f "$1/mnt/disk.1" ]
}

stop_serving() { # DIRECTORY-OF-CASE READER
	fusermount3 -u "$1/mnt"
	wait "$2"
}

# memory_of PID VmRSS|VmHWM: in MiB
memory_of() {
	awk -v what="$2:" '$1 == what { print $2 / 1024 }' "/proc/$1/status"
}

# --- measuring

# took ROW CASE COMMAND...: what it says is in $work/said.  Nothing else runs while the clock is on,
# for the start of a program takes as long as a status of a few images.
took() {
	local began=${EPOCHREALTIME/./} ended
	"${@:3}" >"$work/said" 2>&1 || fail "exit code $?: ${*:3}: $(cat "$work/said")"
	ended=${EPOCHREALTIME/./}
	sample "$1" "$2" seconds "$(printf '%d.%06d' $(((ended - began) / 1000000)) \
		$(((ended - began) % 1000000)))"
}

# took_memory ROW CASE COMMAND...
took_memory() {
	peak "${@:3}" >"$work/said"
	sample "$1" "$2" rss_mib "$(jq '. / 1024' "$work/peak")"
}

# held ROW CASE: of what a command has just said
held() {
	sample "$1" "$2" gate_ms "$(jq .gate_ms "$work/said")"
}

change() { # CASE
	local nblocks=$(($(nbytes_of "$1") / block))
	write_block "$dir/$1/mnt/disk.1" $(((RANDOM << 15 | RANDOM) % nblocks)) oflag=direct
}

measure() { # CASE
	local at=$dir/$1 pid reader how
	cat "$at/alive" &
	reader=$!
	took mount "$1" serve "$at"
	pid=$("$MIRRORCTL" status --json "$at/mnt" | jq .source.pid)
	sample mount "$1" rss_mib "$(memory_of "$pid" VmRSS)"
	for how in took took_memory; do
		change "$1"
		$how status "$1" "$MIRRORCTL" status --json "$at/mnt"
		$how "sync, 1 changed" "$1" "$MIRRORCTL" sync --json "$at/mnt" "$at/replica"
		held "sync, 1 changed" "$1"
		$how "sync, none changed" "$1" "$MIRRORCTL" sync --json "$at/mnt" "$at/replica"
	done
	took "snapshot create" "$1" "$MIRRORCTL" snapshot create --json "$at/mnt" bench
	held "snapshot create" "$1"
	took "snapshot delete" "$1" "$MIRRORCTL" snapshot delete "$at/mnt" bench
	sample unmount "$1" rss_mib "$(memory_of "$pid" VmHWM)"
	took unmount "$1" stop_serving "$at" "$reader"
}

RANDOM=$SEED
ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
normal="1x64K 100x64K 10000x64K 1x1G 1x1T 1x64T"
read -r -a cases <<<"${CASES:-$(pick "$normal" "1x64K 10x64K 1x1M 1x1G")}"
use_store disk $(($(pick 2048 512) << 20)) || skip "no room"
if [ "$(id -u)" = 0 ] && command -v mkfs.xfs losetup >/dev/null; then
	mount_disk xfs 8G mkfs.xfs -q # sparse
	dir=$work/xfs
	store_dirs[disk]=$dir
else
	note "xfs: left out, it needs root, mkfs.xfs and losetup"
fi
there=()
for case in "${cases[@]}"; do
	prepare "$case"
done
in_rounds measure "${there[@]}"
report "${there[0]}" "${there[@]}"
