#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest's writes cost: without a snapshot, with one, and while a sync copies
#
#	base	no snapshot, another build of mirrorfs (BASE=path/to/mirrorfs)
#	none	no snapshot
#	first	an idle snapshot that needs all blocks, of which nine in ten are met for the first time
#	steady	the same, when all blocks have been preserved
#	sync	syncs, one after the other, to replicas for which the image has changed all over
#
# IMAGE_MIB, ROW_SECONDS: how large and how long.  CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

mib=${IMAGE_MIB:-$(pick 1024 16)}
seconds=${ROW_SECONDS:-$(pick 2 0.1)}
nbytes=$((mib << 20))
block=$((64 << 10)) # of tracking
region=$((16 << 20))

# bytes and depth.  Where the scheduler puts two threads may tell more than the code does, so
# where nothing works but the guest there is also a row in which all share a processor.
rows=("4k d1" "4k d16" "64k d4")
alone_rows=("4k d1 cpu0")
[ -z "$QUICK" ] || rows=("4k d16") alone_rows=()

replicas=(replica1 replica2 replica3)

declare -A mnt_of=() # store and who -> its mount

metric p50_us us "half of the random writes took at most"
metric p99_us us "99 % of the random writes took at most"
metric max_us us "the slowest random write took"
metric kiops 1000/s "random writes a second"
metric cpu_us us "CPU time of mirrorfs for each of them"
metric preserved_mib MiB "preserved meanwhile"
metric sync_mib MiB "copied by each of the syncs meanwhile"

# prepare STORE WHO PROGRAM: a source of one image, all written, mounted
prepare() {
	local at=$dir/$2
	mkdir "$at" "$at/source" "$at/mnt"
	MIRRORFS=$3 mount_source "$at/source" "$at/mnt"
	write_all "$at/mnt/disk.img" "$nbytes"
	mnt_of[$1 $2]=$at/mnt
}

# write_row STORE CASE MOUNT ROW [FIO-OPTION...]: a first write to a region waits for a flush, and
# rows are about what comes after, so that there is one to each region before.  Latency is fio's
# from submission on (lat): a write may be done before its submission returns.
write_row() {
	local case=$2 name="$1 $4" file=$3/disk.img bs depth cpu metric value
	read -r bs depth _ <<<"$4"
	cpu=$(cpu_ticks "${daemon_of[$3]}")
	run_fio --filename="$file" --size="$nbytes" --rw=write --bs=4k --zonemode=strided \
		--zonesize=4k --zoneskip=$((region / 1024 - 4))k --io_size=$((nbytes * 4 / region))k \
		--name=row --stonewall --filename="$file" --size="$nbytes" --rw=randwrite \
		--bs="$bs" --iodepth="${depth#d}" --lat_percentiles=1 \
		--runtime="$(jq -n "$seconds * 1000")ms" "${@:5}"
	cpu=$(cpu_us_since "$cpu" "${daemon_of[$3]}")
	fio_says '.jobs[1].write | "p50_us \(.lat_ns.percentile["50.000000"] / 1e3)",
		"p99_us \(.lat_ns.percentile["99.000000"] / 1e3)", "max_us \(.lat_ns.max / 1e3)",
		"kiops \(.iops / 1e3)"' >figures
	fio_says "\"cpu_us \\($cpu / ([.jobs[].write.total_ios] | add))\"" >>figures
	while read -r metric value; do
		sample "$name" "$case" "$metric" "$value"
	done <figures
}

write_rows() { # STORE CASE MOUNT
	local row
	for row in "${rows[@]}"; do write_row "$1" "$2" "$3" "$row"; done
	for row in "${alone_rows[@]}"; do
		on_cpu0 "${daemon_of[$3]}" write_row "$1" "$2" "$3" "$row" --cpus_allowed=0
	done
}

# --- with a snapshot

# So few writes that most of them meet a block that nobody has met.
case_first() { # STORE MOUNT
	local row
	for row in "${rows[@]}"; do
		hold "$2"
		write_row "$1" first "$2" "$row" --number_ios=$((nbytes / block / 5))
		let_go "$2"
		sample "$1 $row" first preserved_mib "$preserved_mib"
	done
}

case_steady() { # STORE MOUNT
	hold "$2"
	write_all "$2/disk.img" "$nbytes"
	write_rows "$1" steady "$2"
	let_go "$2"
}

# --- during a sync

# Each replica in turn, so that all of the image is to be copied to each of them.
sync_until_told() { # MOUNT
	local replica
	while :; do
		for replica in "${replicas[@]}"; do
			[ ! -e "$work/enough" ] || return 0
			"$MIRRORCTL" sync --json "$1" "${1%/mnt}/$replica" 2>>"$work/sync.err" ||
				echo "{\"failed\": $?}"
		done
	done >"$work/syncs"
}

syncing= # a process

end_syncs() {
	touch "$work/enough"
	[ -z "$syncing" ] || wait "$syncing"
	syncing=
}

case_sync() { # STORE MOUNT
	local row copied
	for row in "${rows[@]}"; do
		write_all "$2/disk.img" "$nbytes"
		rm -f "$work/enough"
		sync_until_told "$2" &
		syncing=$!
		write_row "$1" sync "$2" "$row"
		end_syncs
		copied=$(jq -s '[.[].bytes_copied // empty] | add / length / 1048576' "$work/syncs") ||
			fail "sync $2: $(cat "$work/syncs" "$work/sync.err")"
		sample "$1 $row" sync sync_mib "$copied"
		! grep -q '"failed"' "$work/syncs" ||
			note "$1 $row, round $round: a sync failed: $(tail -n 1 "$work/sync.err")"
		settle
	done
}

measure() { # CASE
	local store
	for store in $STORES; do
		[ -n "${store_dirs[$store]-}" ] || continue
		case $1 in
		none) write_rows "$store" none "${mnt_of[$store this]}" ;;
		base) write_rows "$store" base "${mnt_of[$store base]}" ;;
		*) "case_$1" "$store" "${mnt_of[$store this]}" ;;
		esac
	done
}

read -r -a cases <<<"${CASES:-${BASE:+base }none first steady sync}"

for store in $STORES; do
	# two images, what is preserved, the replicas
	use_store "$store" $((nbytes * (3 + ${#replicas[@]}) + (64 << 20))) || continue
	prepare "$store" this "$MIRRORFS"
	for replica in "${replicas[@]}"; do
		"$MIRRORCTL" sync --quiet "${mnt_of[$store this]}" "$dir/this/$replica"
	done
	[ -z "$BASE" ] || prepare "$store" base "$BASE"
done
cleanup_fn end_syncs
in_rounds measure "${cases[@]}"
report none "${cases[@]}"
