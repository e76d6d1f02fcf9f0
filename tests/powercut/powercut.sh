#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The power is cut.  A machine (QEMU) has a source on one disk and a replica on another,
# mirrorfs runs over the source, programs write, a mirrorctl sync may be running: then QEMU is
# killed with SIGKILL, and its disks lose all, a part or nothing of what was not flushed.
# Afterwards what was acknowledged as durable is there; a sync copies by bitmap what may
# have changed, and nothing in full that has a history; and the replica is what the source is.
# The next boot goes on with the same disks, at times without anybody having looked.
#
# What the guest does is in phases, what happens in the guest in powercut.job; disks in
# disk.bash, the machine in machine.bash, what is looked at in look.bash.
#
# CUTS: how many in all; FILESYSTEMS and PHASES: only these; ACCEL=kvm: QEMU's -accel.
# KEEP=DIR: keeps there what the disks were like right after the cut that was last looked at.
# SEED: the same plan again.  The moments are no more the same than machines are.
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
# shellcheck source=../guest/guest.bash
. "$TOP/tests/guest/guest.bash"
# shellcheck source=disk.bash
. "$TOP/tests/powercut/disk.bash"
# shellcheck source=machine.bash
. "$TOP/tests/powercut/machine.bash"
# shellcheck source=look.bash
. "$TOP/tests/powercut/look.bash"
# shellcheck source=phases
. "$TOP/tests/powercut/phases"

PATH=$PATH:/usr/sbin:/sbin
requires qemu-system-x86_64 nbdkit busybox cpio modprobe jq getfattr getfacl
requires mkfs.ext4 mkfs.xfs mkfs.btrfs
requires_fuse
requires_root
get_kernel
own_mounts

cuts=${CUTS:-9}
read -r -a filesystems <<<"${FILESYSTEMS:-ext4 xfs btrfs}"
read -r -a phases <<<"${PHASES:-$(phase_table | awk '{ printf "%s ", $1 }')}"
RANDOM=$((SEED % 32768))
declare -A cuts_of=() phase_at=()
units=0 looks=0 full_copies=0 bytes_copied=0 bytes_total=0 blocks_in_cache=0 cut_nr=1
this_cut='before the first cut'
finished=''

say_what_failed() {
	[ -z "$finished" ] || return 0
	{
		echo "seed $SEED: $this_cut"
		tail -n 15 "$work"/*/console 2>/dev/null
		print_account
	} >&2
}
cleanup_fn say_what_failed

# mkfs.btrfs looks at all mounts, and gives up at a dead one, such as another test makes.
forget_mounts() {
	local point type
	while read -r _ point type _; do
		[ "$type" = fuse.mirrorfs ] || continue
		printf -v point %b "$point" # \040 is a space there
		umount -l "$point"
	done < <(cat /proc/mounts) # as it is now
}

span_of() { # PHASE
	phase_table | awk -v phase="$1" '$1 == phase { print $2 }'
}

# Of what a disk has in its cache, so many percent come to its platter.
shares=(0 0 100 50 10 90)

# boot_and_cut FS PHASE CLOCK
boot_and_cut() {
	local delay nth=$((1 + RANDOM % 2)) part=$((RANDOM % 1000)) source_share replica_share
	# the square of what is equally likely: more often soon than late
	delay=$(($(span_of "$2") * part * part / 1000000))
	source_share=${shares[RANDOM % 6]}
	replica_share=${shares[RANDOM % 6]}
	this_cut="cut $cut_nr: $1, $2 $nth + $delay ms; of their caches the disks keep $source_share, $replica_share %"
	[ "$3" = now ] || this_cut+="; the guest's clock is at $3"

	# 64 runs of the writer can find room in a boot, each with a number of its own
	start_machine "$3" "fs=$1" "phase=$2" "seed=$((SEED % 100000 * 1000 + cut_nr))" "boot=$((cut_nr * 64))"
	wait_for_marker "guest: at $2" "$nth"
	sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
	cut_power
	settle_disk source "$source_share" "$RANDOM"
	blocks_in_cache=$((blocks_in_cache + in_cache))
	settle_disk replica "$replica_share" "$RANDOM"
	cuts_of[$1 $2]=$((${cuts_of[$1 $2]:-0} + 1))
}

keep_disks() {
	[ -n "${KEEP-}" ] || return 0
	mkdir -p "$KEEP"
	cp --sparse=always source.kept replica.kept acknowledged console "$KEEP/"
}

# One in four times, the next boot finds the disks as the cut has left them.
maybe_look() { # FS CLOCK
	is_last_cut || [ $((RANDOM % 4)) != 0 ] || {
		this_cut+="; not looked at"
		return 0
	}
	keep_disks
	look_at_disks "$1" "$2"
}

# of its filesystem
is_last_cut() {
	[ $((cuts - cut_nr)) -lt ${#filesystems[@]} ]
}

# next_phase FS: in turn, each filesystem beginning elsewhere
next_phase() {
	local at=${phase_at[$1]}
	phase=${phases[at % ${#phases[@]}]}
	phase_at[$1]=$((at + 1))
}

print_account() {
	local fs phase
	printf '%-8s' ''
	printf '%10s' "${phases[@]}"
	echo
	for fs in "${filesystems[@]}"; do
		printf '%-8s' "$fs"
		for phase in "${phases[@]}"; do
			printf '%10s' "${cuts_of[$fs $phase]:-0}"
		done
		echo
	done
	echo "$((cut_nr - 1)) of $cuts cuts, $looks times looked at; $units acknowledged blocks were there," \
		"$blocks_in_cache blocks were in the disks' caches;"
	echo "syncs copied $((bytes_copied >> 20)) MiB of $((bytes_total >> 20)) MiB, in full" \
		"$full_copies images that were new"
}

echo "seed $SEED, $cuts cuts"
forget_mounts
build_guest "${filesystems[@]}"
blocks=(64K 4K 64K)
for i in "${!filesystems[@]}"; do
	fs=${filesystems[i]}
	phase_at[$fs]=$((SEED + i * ${#phases[@]} / ${#filesystems[@]}))
	mkdir "$work/$fs"
	cd "$work/$fs"
	make_system "$fs" "${blocks[(SEED + i) % 3]}"
done

for ((cut_nr = 1; cut_nr <= cuts; cut_nr++)); do
	fs=${filesystems[cut_nr % ${#filesystems[@]}]}
	cd "$work/$fs"
	next_phase "$fs"
	clock=now
	# whoever looks then finds that it was set back, as by a battery that had run out
	! is_last_cut || clock='now + 1 hour'
	boot_and_cut "$fs" "$phase" "$clock"
	maybe_look "$fs" "$clock"
	echo "$this_cut" "($SECONDS s)"
done
finished=yes
print_account
