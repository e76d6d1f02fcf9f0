# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# machine.bash - a machine whose power can be cut: a guest and its disks; sourced after
# guest.bash and disk.bash

: "${work:?is set by lib.sh}"

# build_guest FS...: for the work in phases
build_guest() {
	local name
	begin_guest
	for name in "$@"; do
		add_modules "$name" fuse "$name"
	done
	add_programs "$MIRRORFS" "$MIRRORCTL" "$CLIENTS/cutwriter" "$CLIENTS/oracle" "$(type -P nice)"
	pack_guest "$TOP/tests/powercut/powercut.job" "$TOP/tests/powercut/phases"
}

# start_machine CLOCK WORD=VALUE...: in the directory of its disks; its clock, as date knows it,
# and what it is to do
start_machine() {
	local clock port name disks=()
	clock=$(date -u -d "$1" +%FT%T)
	shift
	for name in source replica; do
		serve_disk $name
		disks+=(-blockdev "$(blockdev $name)" -device
			"virtio-blk-pci,drive=$name,discard=off,write-zeroes=off,physical_block_size=4096")
	done
	log_port acknowledged
	start_guest "$*" -rtc "base=$clock" "${disks[@]}" "${port[@]}"
}

# cut_power: the guest first, then its disks, which lose what they have in their caches
cut_power() {
	kill_guest
	power_off_disk replica
	power_off_disk source
	# the end of a line may have been cut off: what comes next is another line
	[ ! -s acknowledged ] || [ -z "$(tail -c 1 acknowledged)" ] || echo >>acknowledged
	assert_console
}
