#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long a sync takes of nothing that has changed, and of an image that is new
#
#	in-place	mirrorctl sync --in-place of the mounted source
#	staged		mirrorctl sync
#	rsync		rsync -a --sparse, beside the mount
#	limit		the image's data, copied by limit.c
#	cp		cp --sparse=always
#	qemu-img	qemu-img convert -n --target-is-zero
#
# The rows "idle N" are N images, and a copy that is up to date; what is known of them is in memory.
# "first" is an image of which every other MiB is a hole, nothing of it in the page cache, and no
# copy yet.  All end when what was copied is durable.
#
# IMAGE_MIB: the size of the new image.  IMAGES: how many idle ones.  CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

requires qemu-img rsync
type -P time >/dev/null || skip "no program time"

mib=${IMAGE_MIB:-$(pick 1024 16)}
read -r -a counts <<<"${IMAGES:-1 $(pick 1000 20)}"
limit=$BUILD/tests/bench/limit

metric seconds s "from start to durable"
metric cpu_s s "CPU time of the command"
metric rss_mib MiB "peak memory of the largest process"

# --- nothing has changed

# Those of a real source are larger, but nobody looks at what is in them.
prepare_idle() { # NUMBER
	local i at=$dir/idle$1
	mkdir "$at" "$at/source" "$at/mnt"
	mount_source "$at/source" "$at/mnt"
	for ((i = 1; i <= $1; i++)); do echo "$i" >"$at/mnt/disk$i.img"; done
	for replica in in-place staged; do "$MIRRORCTL" sync --quiet "$at/mnt" "$at/$replica"; done
	rsync -a "$at/source/" "$at/rsync" --exclude=/.mirrorfs
}

idle() { # CASE NUMBER
	local at=$dir/idle$2
	case $1 in
	in-place) set -- "$@" "$MIRRORCTL" sync --json --in-place "$at/mnt" "$at/in-place" ;;
	staged) set -- "$@" "$MIRRORCTL" sync --json "$at/mnt" "$at/staged" ;;
	rsync) set -- "$@" rsync -a --exclude=/.mirrorfs "$at/source/" "$at/rsync" ;;
	*) return 0 ;;
	esac
	timed "idle $2" "$1" peak "${@:3}"
	sample "idle $2" "$1" rss_mib "$(jq '. / 1024' peak)"
}

# --- all is new

prepare_first() {
	mkdir "$dir/source" "$dir/mnt"
	mount_source "$dir/source" "$dir/mnt"
	truncate -s "${mib}M" "$dir/mnt/disk.img"
	run_fio --filename="$dir/mnt/disk.img" --size="${mib}M" --rw=write --bs=1m --iodepth=4 \
		--refill_buffers --zonemode=strided --zonesize=1m --zoneskip=1m --io_size=$((mib / 2))M
}

first() { # CASE
	local image=$dir/source/disk.img copy=$dir/$1.copy case=$1
	case $1 in
	limit | qemu-img) truncate -s "${mib}M" "$copy" ;;
	esac
	forget "$image"
	settle
	case $1 in
	in-place) set -- "$MIRRORCTL" sync --json --in-place "$dir/mnt" "$copy" ;;
	staged) set -- "$MIRRORCTL" sync --json "$dir/mnt" "$copy" ;;
	rsync) set -- rsync -a --sparse "$image" "$copy" ;;
	limit) set -- "$limit" --data "$image" "$copy" ;;
	cp) set -- cp --reflink=never --sparse=always "$image" "$copy" ;;
	qemu-img)
		set -- qemu-img convert -n --target-is-zero -f raw -O raw "$image" "$copy"
		;;
	esac
	case $case in
	in-place | staged) timed first "$case" peak "$@" ;;
	*) timed first "$case" durably peak "$@" ;;
	esac
	sample first "$case" rss_mib "$(jq '. / 1024' peak)"
	[ ! -d "$copy" ] || "$MIRRORCTL" replica forget "$dir/mnt" "$copy" >forget.out
	rm -rf "$copy"
}

measure() { # CASE
	local n
	first "$1"
	for n in "${counts[@]}"; do idle "$1" "$n"; done
}

read -r -a cases <<<"${CASES:-limit in-place staged rsync cp qemu-img}"
there=()
for case in "${cases[@]}"; do
	if [ "$case" = limit ] && [ ! -x "$limit" ]; then
		note "limit: left out, it isn't built"
		continue
	fi
	there+=("$case")
done
use_store disk $(((mib * 4 << 20) + (64 << 20))) || fail "nowhere to measure"
for n in "${counts[@]}"; do prepare_idle "$n"; done
prepare_first
in_rounds measure "${there[@]}"
report rsync "${there[@]}"
