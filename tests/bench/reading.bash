#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How fast an image is copied of which all blocks have changed
#
#	sync		mirrorctl sync of the mounted source
#	cp		cp of the image itself, beside the mount
#	cp-snapshot	cp out of a snapshot, through the mount
#	qemu-img	qemu-img convert out of a snapshot, through the mount
#
# All end when the copy is durable, and begin with nothing of the image in the page cache.
# cp makes the copy anew, the others write over the one that is there.
#
# IMAGE_MIB: its size.  CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"

requires qemu-img

mib=${IMAGE_MIB:-$(pick 4096 16)}
nbytes=$((mib << 20))

metric seconds s "from start to durable"
metric cpu_s s "CPU time of the command itself, without the daemon's"
metric mib_s MiB/s "copied"

copy() { # CASE
	local image=$dir/mnt/.mirrorfs/snapshot/bench/disk.img
	case $1 in
	sync) set -- "$1" "$MIRRORCTL" sync --json "$dir/mnt" "$dir/replica" ;;
	cp) set -- "$1" durably cp --reflink=never "$dir/source/disk.img" "$dir/copy.img" ;;
	cp-snapshot) set -- "$1" durably cp --reflink=never "$image" "$dir/copy.img" ;;
	qemu-img) set -- "$1" durably qemu-img convert -n -f raw -O raw "$image" "$dir/qemu.img" ;;
	esac
	timed "$store" "$@"
	sample "$store" "$1" mib_s "$(jq -n "$mib / $took")"
}

measure() { # CASE
	for store in $STORES; do
		dir=${store_dirs[$store]-}
		[ -n "$dir" ] || continue
		write_all "$dir/mnt/disk.img" "$nbytes"
		[ "$1" = sync ] || hold "$dir/mnt"
		forget "$dir/source/disk.img"
		copy "$1"
		[ "$1" = sync ] || let_go "$dir/mnt"
		settle
	done
}

for store in $STORES; do
	use_store "$store" $((nbytes * 4 + (64 << 20))) || continue
	mkdir "$dir/source" "$dir/mnt"
	mount_source "$dir/source" "$dir/mnt"
	write_all "$dir/mnt/disk.img" "$nbytes"
	"$MIRRORCTL" sync --quiet "$dir/mnt" "$dir/replica"
	cp "$dir/source/disk.img" "$dir/copy.img"
	cp "$dir/source/disk.img" "$dir/qemu.img"
done
read -r -a cases <<<"${CASES:-sync cp cp-snapshot qemu-img}"
in_rounds measure "${cases[@]}"
report cp "${cases[@]}"
