#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest writes to its disks, raw and qcow2 images in a mount, and is never paused; each
# sync copies one instant of all of them.  So a replica, with no help from its source, is what
# a power cut at that instant would have left: logs are recovered, filesystems are clean, what was
# durable before the sync began is there, and what was written in turn to one disk after another is
# there in turn.  The last replica is booted.  A snapshot, read by qemu-img, is the same.
#
# SYNCS: how many in all.  ACCEL: QEMU's -accel; KVM unless said, where it really runs a guest.
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
# shellcheck source=../guest/guest.bash
. "$TOP/tests/guest/guest.bash"

PATH=$PATH:/usr/sbin:/sbin
requires qemu-system-x86_64 qemu-img busybox cpio modprobe fio losetup
requires mkfs.ext4 mkfs.xfs mkfs.btrfs e2fsck xfs_repair btrfs
requires_fuse
requires_root
get_kernel
own_mounts

syncs=${SYNCS:-3}
disks=(ext4 btrfs xfs)
logs=(units.ext4 units.xfs units.btrfs turns.files turns.disks rounds)
units=0 finished=''

say_what_failed() {
	[ -n "$finished" ] || tail -n 15 "$work/console" >&2
}
cleanup_fn say_what_failed

# --- the guest

build_guest() {
	begin_guest
	add_modules all "${disks[@]}"
	add_programs "$CLIENTS/cutwriter" "$CLIENTS/cutcheck" "$CLIENTS/inturn" "$(type -P fio)" \
		"$(type -P nice)"
	pack_guest "$TOP/tests/qemu/guest-sync.job"
}

# make_disks DIR: a filesystem in a raw image, two in qcow2; and small disks for turns
make_disks() {
	local disk
	truncate -s 64K "$1/m.raw" "$1/a.raw" "$1/z.raw"
	truncate -s 512M ext4 xfs btrfs
	mkfs.ext4 -q -F ext4
	mkfs.xfs -q -f xfs
	mkfs.btrfs -q -f btrfs >mkfs.out 2>&1 # it says more than it is asked
	mv ext4 "$1/ext4.raw"
	for disk in xfs btrfs; do
		qemu-img convert -q -f raw -O qcow2 $disk "$1/$disk.qcow2"
		rm $disk
	done
}

# boot DIR WORDS: with the disks in DIR, one past the page cache
boot() {
	local log port ports=()
	for log in "${logs[@]}"; do
		log_port "$log"
		ports+=("${port[@]}")
	done
	start_guest "$2" "${ports[@]}" \
		-drive "file=$1/ext4.raw,format=raw,if=virtio,cache=none" \
		-drive "file=$1/xfs.qcow2,format=qcow2,if=virtio,cache=none" \
		-drive "file=$1/btrfs.qcow2,format=qcow2,if=virtio,cache=writeback" \
		-drive "file=$1/m.raw,format=raw,if=virtio,cache=none" \
		-drive "file=$1/a.raw,format=raw,if=virtio,cache=none" \
		-drive "file=$1/z.raw,format=raw,if=virtio,cache=none"
}

# take_logs DIR: as they are now
take_logs() {
	rm -rf "$1"
	mkdir "$1"
	cp "${logs[@]}" "$1/"
}

# has_written_since DIR: to each of its logs
has_written_since() {
	local log
	hear_guest
	kill -0 "$guest_pid" || fail "QEMU has ended: $(cat qemu.err)"
	for log in "${logs[@]}"; do
		! cmp -s "$log" "$1/$log" || return 1
	done
}

# wait_for_writes DIR: for some that are durable and not in the logs in DIR
wait_for_writes() {
	wait_for 180 has_written_since "$1" || fail "the guest writes no more"
}

# --- a replica, on its own

# copy_disks DIR: to check/, as raw images in which recovery may write
copy_disks() {
	local disk
	rm -rf check
	mkdir check
	cp "$1"/[maz].raw check/
	qemu-img convert -f raw -O raw "$1/ext4.raw" check/ext4.raw
	for disk in btrfs xfs; do
		# an image that is in use may leak clusters, as after a cut, but nothing else
		qemu-img check -q -f qcow2 "$1/$disk.qcow2" >check.out 2>&1 || [ $? = 3 ] ||
			fail "qemu-img check $disk.qcow2: $(cat check.out)"
		qemu-img convert -f qcow2 -O raw "$1/$disk.qcow2" check/$disk.raw
	done
}

# Recovery has been: there is nothing left to repair.
assert_clean() { # FS
	local command
	case $1 in
	ext4) command='e2fsck -f -n' ;;
	xfs) command='xfs_repair -n' ;;
	btrfs) command='btrfs check --readonly' ;;
	esac
	$command "check/$1.raw" >fsck.out 2>&1 || fail "$command: $(cat fsck.out)"
}

# What was durable before is there. What was discarded up to now may be gone.
assert_units() { # FS
	local log=units.$1
	{
		cat "before/$log"
		tail -c "+$(($(stat -c %s "before/$log") + 1))" "after/$log" | grep '^[dm]' || true
	} >"promised/$log"
	units=$((units + $(client cutcheck m "promised/$log"))) || fail "$1: not all that was durable is there"
}

# Every block of what fio had finished is one that it wrote, and whole.
assert_rounds() {
	local name names
	mapfile -t names < <(sort -u before/rounds)
	for name in "${names[@]}"; do
		assert_eq "$(stat -c %s "m/$name")" $((256 << 10)) "size of $name"
	done
	fio --name=read --directory=m --filename="$(IFS=: && echo "${names[*]}")" \
		--size=$((256 * ${#names[@]}))k --bs=4k --rw=read --verify=crc32c --verify_fatal=1 \
		>fio.out 2>&1 || fail "fio: $(cat fio.out)"
}

# look_at_disk FS: leaves the turn that it is at in $turn
look_at_disk() {
	local loop
	loop=$(losetup --show -f "check/$1.raw")
	cleanup_fn losetup -d "$loop"
	mount -t "$1" "$loop" m || fail "mount: $1 can't be recovered"
	cleanup_fn umount -q -l "$work/m"
	assert_units "$1"
	assert_rounds
	turn=$(head -n 1 m/turn)
	umount m
	# or the next one is a stranger that has the name of this
	[ "$1" != btrfs ] || btrfs device scan --forget "$loop"
	losetup -d "$loop"
	unset 'cleanups[-1]' 'cleanups[-1]'
	assert_clean "$1"
}

# assert_in_turn CHAIN NUMBER...: that were written one after the other, the first one first
assert_in_turn() {
	local chain=$1 before after number last
	shift
	before=$(tail -n 1 "before/turns.$chain")
	after=$(tail -n 1 "after/turns.$chain")
	echo "turns of $chain: $before before, in the copy $*, $after after" |
		sed 's/\<0*\([0-9]\)/\1/g'
	last=$((10#$after + 1))
	for number in "$@"; do
		[ $((10#$number)) -ge $((10#$before)) ] || fail "$chain: what was durable is lost"
		[ $((10#$number)) -le $last ] && [ $((10#$number)) -ge $((10#$1 - 1)) ] ||
			fail "$chain: the disks are not of one instant"
		last=$((10#$number))
	done
}

# look_at DIR: a replica or a snapshot, at an instant between before/ and after/
look_at() {
	local disk turns=()
	copy_disks "$1"
	# shellcheck disable=SC2046
	assert_in_turn disks $(head -q -n 1 check/m.raw check/a.raw check/z.raw)
	for disk in "${disks[@]}"; do
		look_at_disk "$disk"
		turns+=("$turn")
	done
	assert_in_turn files "${turns[@]}"
}

# boot_replica: what was promised to be there, by the last look, is there for a guest, too
boot_replica() {
	mkdir more
	mv promised more/logs
	cp before/turns.* more/logs/
	pack_archive more >>guest.cpio
	rm -rf check
	cp -a --reflink=auto --sparse=always replica check
	boot check work=read
	wait_for_marker 'guest: all is there'
	kill_guest
	assert_console
}

mkdir images m promised
make_disks images
build_guest
choose_accel
echo "seed $SEED, accel $ACCEL"
mount_source images
touch "${logs[@]}"
take_logs after
boot images "work=write seed=$((SEED % 1000000))"
wait_for_marker 'guest: writing'

echo "a snapshot"
wait_for_writes after
take_logs before
snapshot=$("$MIRRORCTL" snapshot create images now)
take_logs after
wait_for_writes after
look_at "$snapshot"

for ((nr = 1; nr <= syncs; nr++)); do
	wait_for_writes after
	take_logs before
	sync_trees images replica
	take_logs after
	echo "sync $nr: copied $(($(synced bytes_copied) >> 20)) MiB of $(($(synced bytes_total) >> 20)) MiB"
	look_at replica
done
"$MIRRORCTL" snapshot delete images now
kill_guest
assert_console
boot_replica
finished=yes
echo "guest-sync: $syncs syncs, $units units that were durable were there"
