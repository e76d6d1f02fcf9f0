#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest loses by going through the mount: against the file itself, and other ways to it
#
#	bare		the file itself, without any mount
#	base		another build of mirrorfs (BASE=path/to/mirrorfs)
#	mirrorfs	a source with a replica, every region armed before it is measured
#	notrack		mirrorfs -o notrack, which records nothing
#	bindfs passthrough_hp qsd-raw qsd-qcow2
#			see peers.bash; the qcow2 image has a persistent bitmap, which is recording
#
# Each has a file of its own, all of it written before, so that nothing is allocated meanwhile.
# IMAGE_MIB, ROW_SECONDS: how large and how long.  CASES: only these.  ROWS: only rows whose names
# (without the store's) match this regular expression.  AGAINST: the case of the ratios.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"
. "$bench_dir/peers.bash"

mib=${IMAGE_MIB:-$(pick 512 32)}
# not shorter in a hurry: on a busy disk a flush takes most of it
runtime_ms=$(jq -n "${ROW_SECONDS:-0.7} * 1000")
nbytes=$((mib << 20))
block=$((64 << 10)) # of tracking
region=$((16 << 20))

metric kiops 1000/s "requests a second, of 4 KiB"
metric mib_s MiB/s "throughput, of larger requests"
metric p99_us us "99 % of the requests took at most (of the flushes, where there are some)"
metric cpu_us us "CPU time of the daemon for each of the guest's requests"
metric first_write_us us "99 % of the first writes after a checkpoint took at most"
metric first_write_max_us us "the slowest of the first writes after a checkpoint took"

# --- rows: what fio does, by name

only=${ROWS:-$(pick . '^(write 4k sync cpu0|buffered read 1m|cold write 4k|rollover regions)')}
row_names=()
declare -A options_of=()

# row NAME FIO-OPTION...: unless ROWS doesn't want it
row() {
	[[ $1 =~ $only ]] || return 0
	row_names+=("$1")
	options_of[$1]=${*:2}
}

row "read 1m d4" --rw=read --bs=1m --iodepth=4
row "write 1m d4" --rw=write --bs=1m --iodepth=4
row "mixed 64k d8" --rw=randrw --rwmixread=70 --bs=64k --iodepth=8 --unified_rw_reporting=mixed
row "read 4k d1" --rw=randread --bs=4k
row "write 4k d1" --rw=randwrite --bs=4k
row "write 4k sync" --rw=randwrite --bs=4k --fdatasync=1
row "read 4k d16" --rw=randread --bs=4k --iodepth=16
row "write 4k d16" --rw=randwrite --bs=4k --iodepth=16
row "write 4k 4xd4" --rw=randwrite --bs=4k --iodepth=4 --numjobs=4 --group_reporting \
	--size=$((nbytes / 4)) --offset_increment=$((nbytes / 4))
# where the scheduler puts guest and daemon may tell more than the code does
row "read 4k cpu0" --rw=randread --bs=4k
row "write 4k cpu0" --rw=randwrite --bs=4k
row "write 4k sync cpu0" --rw=randwrite --bs=4k --fdatasync=1
# The first of these finds nothing in any cache and ends with the file, the third one finds
# everything in the guest's, as it is so small that it has been all over it before the time
# begins to count.  What was written is written back when the row is over: without invalidate=0,
# fio would begin with that at the end of each pass.
buffered=(--direct=0 --ioengine=psync --invalidate=0)
row "buffered read 1m" --direct=0 --ioengine=psync --rw=read --bs=1m --time_based=0
row "buffered write 1m" "${buffered[@]}" --rw=write --bs=1m
row "buffered read 4k" "${buffered[@]}" --rw=randread --bs=4k --size=4m \
	--ramp_time="$(pick 500 100)ms"
row "buffered write 4k" "${buffered[@]}" --rw=randwrite --bs=4k
row "buffered write 4k sync" "${buffered[@]}" --rw=randwrite --bs=4k --fdatasync=1
# Nothing is armed: a first pass over all of it, and four writes to each region, in any order
row "cold write 1m d4" --rw=write --bs=1m --iodepth=4 --time_based=0
row "cold write 4k d1" --rw=randwrite --bs=4k --number_ios=$((nbytes * 4 / region)) --time_based=0
# one write to each, the first one since a checkpoint
row "rollover blocks" --zonesize=4k --zoneskip=$((block / 1024 - 4))k \
	--io_size=$((nbytes * 4 / block))k
row "rollover regions" --zonesize=4k --zoneskip=$((region / 1024 - 4))k \
	--io_size=$((nbytes * 4 / region))k

# --- cases: a directory each, in each store

at=     # directory of the case that is being measured
mnt=    # its mount point, if it is mirrorfs
file=   # what a guest opens
daemon= # who serves that; none of bare
direct= # whether it can be written to with O_DIRECT
declare -A direct_of=() # directory of a case -> that

program_of() { # CASE: of which there may be none
	case $1 in
	mirrorfs | notrack) echo "$MIRRORFS" ;;
	base) echo "$BASE" ;;
	esac
}

mount_mirrorfs() { # CASE
	local option=
	[ "$1" != notrack ] || option=notrack
	MIRRORFS=$(program_of "$1") mount_source "$at/source" "$at/mnt" "$option"
}

# enter STORE CASE: sets the above
enter() {
	at=${store_dirs[$1]}/$2
	mnt=
	case $2 in
	bare)
		file=$at/disk.img
		daemon=
		;;
	mirrorfs | base | notrack)
		mnt=$at/mnt
		file=$mnt/disk.img
		daemon=${daemon_of[$mnt]-}
		;;
	*)
		file=${file_of[$at]-}
		daemon=${daemon_of[$at]-}
		;;
	esac
	direct=${direct_of[$at]-}
}

# see_direct STORE CASE
see_direct() {
	direct_of[$at]=1
	! dd if=/dev/zero of="$file" oflag=direct bs=4k count=1 status=none 2>"$work/dd.err" ||
		return 0
	direct_of[$at]=0
	note "$2 on $1: no O_DIRECT writes: $(sed -n '1s/.*: //p' "$work/dd.err")"
}

# prepare STORE CASE: mirrorfs tracks an image from when it has been in a checkpoint on, and does
# so for as long as there is a replica that needs it
prepare() {
	enter "$1" "$2"
	mkdir "$at"
	case $2 in
	bare) ;;
	mirrorfs | base | notrack)
		mkdir "$at/source" "$mnt"
		mount_mirrorfs "$2"
		;;
	*) mount_peer "$2" "$at" "$nbytes" ;;
	esac
	enter "$1" "$2"
	see_direct "$1" "$2"
	enter "$1" "$2"
	write_all "$file" "$nbytes" --direct="$direct"
	if [ "$2" = mirrorfs ] || [ "$2" = base ]; then
		"$MIRRORCTL" sync --quiet "$mnt" "$at/replica"
		rm -r "$at/replica"
	fi
	sync "$file"
}

# --- measuring

# tell ROW CASE LINE...: what jq makes of LINE, "METRIC VALUE"; .io and .sync are fio's last job's
tell() {
	local row=$1 case=$2 metric value lines
	shift 2
	lines=$(printf ', "%s"' "$@")
	fio_says "([.jobs[] | .mixed, .read, .write | .total_ios? // 0] | add) as \$nrequests |
		[.jobs[] | {io: ([.mixed, .read, .write][] | select(. and .total_ios > 0)), sync}] |
		last | ${lines#, }" >"$work/figures"
	while read -r metric value; do
		sample "$row" "$case" "$metric" "$value"
	done <"$work/figures"
}

# arm: a first write to a region waits for a flush, and rows are about what comes after, so that
# there is one to each region before
arm() {
	run_fio --direct="$direct" --filename="$file" --size="$nbytes" --rw=write --bs=4k \
		--zonemode=strided --zonesize=4k --zoneskip=$((region / 1024 - 4))k \
		--io_size=$((nbytes * 4 / region))k "$@"
}

# run_row ROW [FIO-OPTION...]
run_row() {
	local options
	read -r -a options <<<"${options_of[$1]}"
	options=(--filename="$file" --size="$nbytes" --lat_percentiles=1 --time_based=1
		--runtime="${runtime_ms}ms" "${options[@]}" "${@:2}")
	case $1 in
	cold* | *read*) run_fio "${options[@]}" ;;
	*) arm --name=row --stonewall --direct=1 --zonemode=none "${options[@]}" ;;
	esac
}

# fio_row STORE CASE ROW [FIO-OPTION...]
fio_row() {
	local cpu='' lines=() of=io
	[ -z "$daemon" ] || cpu=$(cpu_ticks "$daemon")
	run_row "${@:3}"
	case $3 in
	*" 4k"*) lines+=('kiops \(.io.iops / 1e3)') ;;
	*) lines+=('mib_s \(.io.bw_bytes / 1048576)') ;;
	esac
	[[ $3 != *sync* ]] || of=sync
	# there may not have been one
	lines+=("p99_us \\(.$of.lat_ns.percentile[\"99.000000\"] // empty | . / 1e3)")
	# too few requests in those that are cold for a clock that ticks a hundred times a second
	[ -z "$daemon" ] || [[ $3 = cold* ]] ||
		lines+=("cpu_us \\($(cpu_us_since "$cpu" "$daemon") / (\$nrequests | select(. > 0)))")
	tell "$1 $3" "$2" "${lines[@]}"
}

# cold_row STORE CASE ROW: a clean sidecar has no region armed
cold_row() {
	[ "$1" = disk ] || return 0
	case $2 in
	bare) ;;
	mirrorfs | base | notrack)
		unmount "$mnt"
		mount_mirrorfs "$2"
		enter "$1" "$2"
		;;
	*) return 0 ;;
	esac
	fio_row "$@"
}

# rollover_row STORE CASE ROW: the others have the same writes, and no checkpoint
rollover_row() {
	local options
	read -r -a options <<<"${options_of[$3]}"
	arm
	if [ "$2" = mirrorfs ] || [ "$2" = base ]; then
		"$MIRRORCTL" snapshot create "$mnt" bench >"$work/snapshot.out"
		"$MIRRORCTL" snapshot delete "$mnt" bench >"$work/snapshot.out"
	fi
	run_fio --filename="$file" --size="$nbytes" --rw=write --bs=4k --zonemode=strided \
		--lat_percentiles=1 "${options[@]}"
	tell "$1 $3" "$2" 'first_write_us \(.io.lat_ns.percentile["99.000000"] / 1e3)' \
		'first_write_max_us \(.io.lat_ns.max / 1e3)'
}

# uncache: nothing of what is below the mount; of the mount itself fio does so
uncache() {
	local below
	for below in "$at"/source/disk.img "$at"/disk.*; do
		[ ! -e "$below" ] || dd if="$below" iflag=nocache count=0 status=none
	done
}

measure_row() { # STORE CASE ROW
	[ "$direct" = 1 ] || [[ $3 = *buffered* ]] || [[ $3 = read* ]] || return 0
	case $3 in
	cold*) cold_row "$@" ;;
	rollover*) rollover_row "$@" ;;
	*cpu0) on_cpu0 "${daemon:-$BASHPID}" fio_row "$@" --cpus_allowed=0 ;;
	"buffered read 1m")
		uncache
		fio_row "$@"
		;;
	"buffered write"*)
		fio_row "$@"
		sync "$file" # in nobody else's row
		;;
	*) fio_row "$@" ;;
	esac
}

measure() { # CASE
	local store row
	for store in $STORES; do
		[ -n "${store_dirs[$store]-}" ] || continue
		enter "$store" "$1"
		for row in "${row_names[@]}"; do measure_row "$store" "$1" "$row"; done
	done
}

# has_case CASE: with a note, if not
has_case() {
	case $1 in
	bare | mirrorfs) ;;
	base) [ -n "$BASE" ] || fail "case base: BASE is not set" ;;
	notrack)
		[[ $("$MIRRORFS" --help) = *notrack* ]] || {
			note "notrack: left out, this mirrorfs has no such option"
			return 1
		}
		;;
	bindfs | passthrough_hp | qsd-raw | qsd-qcow2) has_peer "$1" ;;
	*) fail "no such case: $1" ;;
	esac
}

others="notrack bindfs passthrough_hp qsd-raw qsd-qcow2"
cases=()
for case in ${CASES:-bare ${BASE:+base} mirrorfs $(pick "$others" qsd-qcow2)}; do
	! has_case "$case" || cases+=("$case")
done
[ ${#row_names[@]} -gt 0 ] || fail "no row matches '$ROWS'"
for store in $STORES; do
	# a replica, for a moment
	use_store "$store" $((nbytes * (${#cases[@]} + 1) + (64 << 20))) || continue
	for case in "${cases[@]}"; do prepare "$store" "$case"; done
done
in_rounds measure "${cases[@]}"
report "${AGAINST:-${cases[0]}}" "${cases[@]}"
