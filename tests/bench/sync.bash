#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How long an image takes of which some blocks have changed, against the limit and others
#
#	limit		these blocks, copied by limit.c, which has to find nothing out
#	in-place	mirrorctl sync --in-place of the mounted source
#	staged		mirrorctl sync; a journal, or where the filesystem can share blocks a clone
#	qemu		QEMU's backup by a dirty bitmap, see qemu.bash
#	rsync		rsync --inplace --no-whole-file
#	bdsync blocksync-fast	where they are installed
#	cp		cp --sparse=always, of all
#
# Those from rsync on read all of the image, and run only in the first SLOW_ROUNDS rounds.
#
# A row is an image, how much of it has changed (blocks of 64 KiB at random, the same for all cases
# of a round, written through the mount), and where the copy is: "disk", beside the source, or
# "xfs", a filesystem of its own in a file on that disk (needs root).  All end when
# the copy is durable, and begin with nothing of image and copy in the page cache.  The clock is
# on from a program's start to its exit; QEMU's is from the command on, as it runs anyway.
#
# SMALL_MIB, LARGE_MIB: the images.  ROWS: only those that this regular expression is found in.
# CASES: only these.
#
# shellcheck source-path=SCRIPTDIR source=bench.bash
. "$(dirname "$0")/bench.bash"
# shellcheck source=qemu.bash
. "$bench_dir/qemu.bash"

requires qemu-storage-daemon qemu-io rsync
type -P time >/dev/null || skip "no program time"

small=${SMALL_MIB:-$(pick 1024 16)}
large=${LARGE_MIB:-8192}
slow_rounds=${SLOW_ROUNDS:-1}
block=$((64 << 10))
limit=$BUILD/tests/bench/limit
seed=$((SEED * 1000))

metric seconds s "from start to durable"
metric cpu_s s "CPU time, of QEMU's daemon, else of the command"
metric rss_mib MiB "peak memory of the largest process"
metric mib_copied MiB "copied"

# --- rows: MiB of the image, percent, where the copy is

row_name() {
	local size="$1 MiB"
	[ $(($1 % 1024)) != 0 ] || size="$(($1 / 1024)) GiB"
	echo "$size $2% $3"
}

wanted_rows() {
	local mib percent place
	while read -r mib percent place; do
		[[ ! $(row_name "$mib" "$percent" "$place") =~ ${ROWS:-.} ]] ||
			echo "$mib $percent $place"
	done
}

all_rows=("$small "{1,10,100}" disk" "$small "{1,10,100}" xfs" "$large "{1,10}" disk")
[ -z "$QUICK" ] || all_rows=("$small 10 disk" "$small 100 xfs")
mapfile -t rows < <(printf '%s\n' "${all_rows[@]}" | wanted_rows)
[ ${#rows[@]} -gt 0 ] || fail "ROWS='$ROWS': no row is called so"

declare -A dir_of=()  # MiB -> where that image is
declare -A dest_of=() # MiB and place -> where its copies are

has_row() { # MIB PLACE
	printf '%s\n' "${rows[@]}" | grep -q "^$1 .* $2$"
}

# prepare MIB: an image of that size, mounted, all of it written
prepare() {
	local times=4 # the image, its replica, the journal, the other copy
	! has_row "$1" xfs || times=7
	use_store disk $(($1 * times << 20)) || return 0
	dir_of[$1]=$dir
	mkdir "$dir/source" "$dir/mnt" "$dir/disk"
	mount_source "$dir/source" "$dir/mnt"
	write_all "$dir/mnt/disk.img" $(($1 << 20))
	dest_of["$1 disk"]=$dir/disk
}

# Past the page cache also below the loop device, or what is forgotten is still in memory.
prepare_xfs() { # MIB
	[ -n "${dir_of[$1]-}" ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v mkfs.xfs losetup >/dev/null; then
		note "xfs: left out, it needs root, mkfs.xfs and losetup"
		return 0
	fi
	mount_disk "xfs$1" "$(($1 * 3 + 512))M" mkfs.xfs -q
	losetup --direct-io=on "$(df --output=source "xfs$1" | tail -n 1)" ||
		note "xfs: not past the page cache"
	dest_of["$1 xfs"]=$work/xfs$1
}

# prepare_copy MIB PLACE: a replica, and a copy for those that keep none
prepare_copy() {
	local dest=${dest_of["$1 $2"]-}
	[ -n "$dest" ] || return 0
	"$MIRRORCTL" sync --quiet "${dir_of[$1]}/mnt" "$dest/replica"
	cp --reflink=never "${dir_of[$1]}/source/disk.img" "$dest/copy.img"
}

# --- changes

# choose MIB PERCENT: the blocks of this round, as offset and length
choose() {
	awk -v n=$((($1 << 20) / block)) -v percent="$2" -v seed="$((SEED + round * 1000 + $2))" \
		-v block=$block 'BEGIN {
		srand(seed)
		wanted = int((n * percent + 99) / 100)
		for (i = 0; i < n && wanted > 0; i++)
			if (rand() * (n - i) < wanted) {
				printf "%.0f %d\n", i * block, block # %d: mawk ends at 2 GiB
				wanted--
			}
	}'
}

# change IMAGE: the blocks in $work/blocks, to bytes that they never had
change() {
	awk -v image="$1" 'BEGIN { print "fio version 2 iolog"; print image " add"; print image " open" }
		{ print image " write " $0 }
		END { print image " close" }' blocks >iolog
	seed=$((seed + 1))
	run_fio --read_iolog=iolog --iodepth=16 --refill_buffers --randseed=$seed
	sync -d "$1"
}

# --- cases

measure_sync() { # CASE OPTION...
	timed "$row" "$1" peak "$MIRRORCTL" sync --json "${@:2}" "$mnt" "$dest/replica"
	copied=$(jq .bytes_copied timed.out)
}

measure_limit() {
	timed "$row" limit peak "$limit" --json --blocks blocks "$image" "$dest/copy.img"
	copied=$(jq .bytes_copied timed.out)
}

measure_qemu() {
	qemu_start "$image" "$dest/copy.img" blocks
	clocked qemu_backup
	qemu_end
	sample "$row" qemu seconds "$took"
	sample "$row" qemu cpu_s "$qemu_cpu_s"
	sample "$row" qemu rss_mib "$qemu_rss_mib"
	copied=$(awk '{ sum += $2 } END { printf "%.0f\n", sum }' blocks)
}

measure_rsync() {
	timed "$row" rsync durably peak rsync --inplace --no-whole-file --ignore-times --stats \
		"$image" "$dest/copy.img"
	copied=$(sed -n 's/^Literal data: \([0-9,]*\).*/\1/p' timed.out | tr -d ,)
}

measure_bdsync() {
	# shellcheck disable=SC2016 # for the other shell
	timed "$row" bdsync durably peak sh -c 'bdsync "bdsync --server" "$0" "$1" |
		bdsync "--patch=$1"' "$image" "$dest/copy.img"
}

measure_blocksync-fast() {
	timed "$row" blocksync-fast durably peak blocksync-fast -s "$image" -d "$dest/copy.img"
}

measure_cp() {
	timed "$row" cp durably peak cp --reflink=never --sparse=always "$image" "$dest/copy.img"
	copied=$((mib << 20))
}

is_slow() {
	case $1 in
	limit | in-place | staged | qemu) return 1 ;;
	esac
}

measure_row() { # CASE MIB PERCENT PLACE
	local case=$1 mib=$2 mnt dest row image copied=
	dest=${dest_of["$mib $4"]-}
	[ -n "$dest" ] || return 0
	! is_slow "$case" || [[ $round -le $slow_rounds && $4 = disk ]] || return 0
	row=$(row_name "$2" "$3" "$4")
	mnt=${dir_of[$mib]}/mnt
	image=${dir_of[$mib]}/source/disk.img
	# what other cases have changed is not this one's to copy
	case $case in
	in-place | staged) "$MIRRORCTL" sync --quiet --in-place "$mnt" "$dest/replica" ;;
	rsync | bdsync | blocksync-fast) cp --reflink=never "$image" "$dest/copy.img" ;;
	esac
	choose "$mib" "$3" >blocks
	change "$mnt/disk.img"
	forget "$image"
	forget "$dest/copy.img"
	forget "$dest/replica/disk.img"
	settle
	case $case in
	in-place) measure_sync in-place --in-place ;;
	staged) measure_sync staged ;;
	*) "measure_$case" ;;
	esac
	[ "$case" = qemu ] || sample "$row" "$case" rss_mib "$(jq '. / 1024' peak)"
	[ -z "$copied" ] || sample "$row" "$case" mib_copied "$(jq -n "$copied / 1048576")"
}

measure() { # CASE
	local row
	for row in "${rows[@]}"; do
		# shellcheck disable=SC2086 # three words
		measure_row "$1" $row
	done
}

read -r -a cases <<<"${CASES:-limit in-place staged qemu rsync bdsync blocksync-fast cp}"
there=()
for case in "${cases[@]}"; do
	case $case in
	limit) [ -x "$limit" ] || { note "limit: left out, it isn't built" && continue; } ;;
	bdsync | blocksync-fast)
		type -P "$case" >/dev/null || { note "$case: left out, it isn't installed" && continue; }
		;;
	esac
	there+=("$case")
done

for mib in $(printf '%s\n' "${rows[@]}" | cut -d ' ' -f 1 | sort -nu); do
	prepare "$mib"
	! has_row "$mib" xfs || prepare_xfs "$mib"
	for place in disk xfs; do
		! has_row "$mib" $place || prepare_copy "$mib" $place
	done
done
in_rounds measure "${there[@]}"
report "${there[0]}" "${there[@]}"
