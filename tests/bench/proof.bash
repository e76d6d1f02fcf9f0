#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How fast a replica is proved by its digests, and compared with its source
#
#	read		fio, past the page cache, many requests at a time: what the disk gives
#	scrub		mirrorctl scrub
#	verify		mirrorctl verify, which believes the digests of a replica that nobody touched
#	verify-deep	mirrorctl verify --deep, which reads both
#
# All begin with nothing of source and replica in the page cache.
#
# IMAGE_MIB: the size of the image.  CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

type -P time >/dev/null || skip "no program time"

mib=${IMAGE_MIB:-$(pick 1024 16)}

metric mib_s MiB/s "of the image, proved"
metric cpu_s s "CPU time of the command"
metric rss_mib MiB "peak memory"

# By fio's own clock, as it takes its time to start.
read_image() {
	run_fio --filename="$dir/replica/disk.img" --readonly --rw=read --bs=256k --iodepth=32
	sample disk read mib_s "$(fio_says '.jobs[0].read.bw_bytes / 1048576')"
}

measure() { # CASE
	local file
	while IFS= read -r -d '' file; do forget "$file"; done \
		< <(find "$dir/source/disk.img" "$dir/replica" -type f -print0)
	settle
	case $1 in
	read)
		read_image
		return 0
		;;
	scrub) set -- "$1" "$MIRRORCTL" scrub --json "$dir/replica" ;;
	verify) set -- "$1" "$MIRRORCTL" verify --json "$dir/mnt" "$dir/replica" ;;
	verify-deep) set -- "$1" "$MIRRORCTL" verify --deep --json "$dir/mnt" "$dir/replica" ;;
	esac
	clocked peak "${@:2}"
	sample disk "$1" mib_s "$(jq -n "$mib / $took")"
	sample disk "$1" cpu_s "$cpu_s"
	sample disk "$1" rss_mib "$(jq '. / 1024' peak)"
}

use_store disk $(((mib * 2 << 20) + (64 << 20))) || fail "nowhere to measure"
mkdir "$dir/source" "$dir/mnt"
mount_source "$dir/source" "$dir/mnt"
write_all "$dir/mnt/disk.img" $((mib << 20))
"$MIRRORCTL" sync --quiet "$dir/mnt" "$dir/replica"
read -r -a cases <<<"${CASES:-read scrub verify verify-deep}"
in_rounds measure "${cases[@]}"
report read "${cases[@]}"
