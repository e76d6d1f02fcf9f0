# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# look.bash - the disks of the power cut test on this machine: made, and looked at after
# a cut; sourced after compare.sh and disk.bash
#
# Works in the directory of the disks.  Mounting them runs their filesystem's own recovery.

: "${work:?is set by lib.sh}"

# Of "attic" nothing is ever written in the guest, of "tall" only the first 2 MiB, and a
# region more may be armed ahead of a writer.
untouched=$(((8 + 16 - 4) << 20))

mount_disks() { # FS
	mkdir -p s r
	cleanup_fn umount -q -l "$PWD/s" "$PWD/r"
	mount -t "$1" -o loop source.kept s
	mount -t "$1" -o loop replica.kept r
}

unmount_disks() {
	umount s
	umount r
	unset 'cleanups[-1]'
}

make_images() { # DIR
	local name
	mkdir "$1" "$1/tree"
	for name in disk0 disk1 disk2 shared; do
		truncate -s 4M "$1/$name"
	done
	random_file "$1/attic" $((8 << 20))
	random_file filling $((14 << 20))
	truncate -s 2M "$1/tall"
	cat filling >>"$1/tall"
	rm filling
	for name in image0 image1; do
		random_file "$1/tree/$name" $((6 << 20))
		fallocate -p -o 2M -l 1M "$1/tree/$name"
	done
}

# make_system FS BLOCK: a source and a complete replica of it, on a disk each
make_system() {
	local name
	declare -A mkfs=(
		[ext4]='mkfs.ext4 -q -F'
		[xfs]='mkfs.xfs -q -f'
		[btrfs]='mkfs.btrfs -q -f'
	)
	for name in source replica; do
		# shellcheck disable=SC2086
		make_disk $name 512M ${mkfs[$1]}
	done
	mount_disks "$1"
	make_images s/images
	mount_source s/images s/images "block_size=$2,region_size=1M"
	sync_trees s/images r/images
	unmount s/images
	unset 'cleanups[-1]' # of mount_source
	unmount_disks
}

number_of() { # JQ-FILTER FILE
	jq -r "$1" "$2"
}

# Not more than was known to be in doubt, nor anything of what nobody ever wrote to.
assert_incremental() {
	local copied limit
	copied=$(number_of '.bytes_copied + .bytes_zeroed' "$work/sync.json")
	limit=$(number_of '[.source.replicas[].dirty_bytes] | max' status.json)
	[ "$copied" -le "$limit" ] || fail "copied $copied bytes, of which $limit were dirty"
	limit=$(number_of ".bytes_total - $untouched" "$work/sync.json")
	[ "$copied" -le "$limit" ] || fail "copied $copied bytes: more than was ever written to"
	bytes_copied=$((bytes_copied + copied))
	bytes_total=$((bytes_total + $(synced bytes_total)))
}

clock_is_past() { # SECONDS
	[ "$EPOCHSECONDS" -gt "$1" ]
}

# A guest's clock starts at half a second, whatever the fraction was here: it may be ahead.  Who looks
# at once finds images of which the ctime is yet to come, which to mirrorfs is a doubt: that little it
# can't know to be a clock's.
await_clock() {
	local newest
	newest=$(find s/images r/images -printf '%C@\n' | sort -n | tail -n 1)
	wait_for 60 clock_is_past "${newest%.*}" || fail "the guest's clock was ahead: $newest"
}

# look_at_disks FS CLOCK: what was acknowledged is there; the replica is at one checkpoint, or is brought to
# one without the source, and its digests are right; the sync after the cut takes the
# bitmaps' word for it, copies nothing else, and makes the replica what the source is.  To a guest
# that had another clock than this machine, now is in the past.
look_at_disks() {
	mount_disks "$1"
	[ "$2" != now ] || await_clock
	units=$((units + $(client cutcheck s/images acknowledged))) ||
		fail "not all that was acknowledged is there"
	"$MIRRORCTL" recover --quiet r/images || fail "recover: exit code $?"
	"$MIRRORCTL" scrub r/images >scrub.out || fail "scrub: $(cat scrub.out)"
	"$MIRRORCTL" status --json s/images >status.json
	sync_trees s/images r/images
	full_copies=$((full_copies + $(number_of '.full_copies | length' "$work/sync.json")))
	assert_incremental
	assert_same_trees s/images r/images
	assert_verified s/images r/images
	looks=$((looks + 1))
	unmount_disks
}
