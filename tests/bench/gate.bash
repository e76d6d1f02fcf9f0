#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long a checkpoint holds guests up, by the number of images in the source
#
#	idle		guests write, nothing else: the slowest write, to compare with
#	snapshot	snapshots are created meanwhile
#	sync		syncs run meanwhile, with little to copy
#
# IMAGES: how many, e.g. "1 100".  WRITTEN: to how many of them guests write.  CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

read -r -a counts <<<"${IMAGES:-$(pick "1 100 1000 10000" 20)}"
written=${WRITTEN:-$(pick 100 8)}
repeats=$(pick 3 1)

metric gate_ms ms "writes were held"
metric names_ms ms "changes of names and metadata were held"
metric command_ms ms "the command took"
metric write_max_ms ms "the slowest 4 KiB write meanwhile took"

# fio spreads one job over files by its own names
prepare() { # NIMAGES
	local at=$dir/$1
	mkdir "$at" "$at/source" "$at/mnt"
	(cd "$at/source" && seq -f 'disk.%.0f' 0 $(($1 - 1)) | xargs truncate -s 1M)
	mount_source "$at/source" "$at/mnt"
	# the first checkpoint gives each image its id and sidecar
	hold "$at/mnt"
	let_go "$at/mnt"
	! can_sync "$1" || "$MIRRORCTL" sync --quiet "$at/mnt" "$at/replica"
}

# can_sync NIMAGES: a sync that sees all images for the first time has them open, in a snapshot and
# beside it
can_sync() {
	[ $((3 * $1 + 1000)) -le "$(ulimit -Hn)" ]
}

begin_writing() { # NIMAGES
	local n=$written
	[ "$n" -le "$1" ] || n=$1
	# shellcheck disable=SC2016 # fio's own variable
	fio --name=guests --directory="$dir/$1/mnt" --filename_format='disk.$filenum' --nrfiles="$n" \
		--file_service_type=random --filesize=1m --size="${n}m" --rw=randwrite --bs=4k \
		--iodepth=4 --ioengine=libaio --direct=1 --fallocate=none --norandommap \
		--time_based --runtime=3600 --output-format=json --output="$work/fio.json" \
		--exec_prerun="touch $work/begun" &
	guests=$!
	cleanup_fn stop_process $guests
	wait_for 60 rm "$work/begun" 2>/dev/null || fail "fio does not begin"
	sleep "$(pick 0.5 0.1)"
}

# end_writing ROW CASE
end_writing() {
	local code=0
	kill -INT "$guests"
	wait "$guests" || code=$?
	[ $code = 128 ] || fail "fio: exit code $code: $(cat "$work/fio.json")" # told to stop
	sample "$1" "$2" write_max_ms "$(fio_says '.jobs[0].write.lat_ns.max / 1e6')"
}

# ask ROW CASE ARGUMENT...: of mirrorctl, which tells how long it held whom
ask() {
	local row=$1 case=$2 began=${EPOCHREALTIME/./}
	shift 2
	"$MIRRORCTL" "$@" >"$work/command.json" || fail "mirrorctl $*: exit code $?"
	sample "$row" "$case" command_ms "$(jq -n "$((${EPOCHREALTIME/./} - began)) / 1000")"
	sample "$row" "$case" gate_ms "$(jq .gate_ms "$work/command.json")"
	sample "$row" "$case" names_ms "$(jq .names_ms "$work/command.json")"
}

measure() { # CASE
	local n i row
	for n in "${counts[@]}"; do
		[ "$1" != sync ] || can_sync "$n" || continue
		row="$n image$([ "$n" = 1 ] || echo s)"
		begin_writing "$n"
		for ((i = 0; i < repeats; i++)); do
			case $1 in
			idle) sleep "$(pick 0.5 0)" ;;
			snapshot)
				ask "$row" snapshot snapshot create --json "$dir/$n/mnt" bench
				"$MIRRORCTL" snapshot delete "$dir/$n/mnt" bench >snapshot.out
				;;
			sync) ask "$row" sync sync --json "$dir/$n/mnt" "$dir/$n/replica" ;;
			esac
		done
		end_writing "$row" "$1"
	done
}

ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
use_store disk $((1 << 30)) || skip "no room"
for n in "${counts[@]}"; do
	can_sync "$n" || note "no sync of $n images: ulimit -Hn is $(ulimit -Hn)"
	prepare "$n"
done
read -r -a cases <<<"${CASES:-idle snapshot sync}"
in_rounds measure "${cases[@]}"
report idle "${cases[@]}"
