#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The disks of the power cut test lose what was not flushed, and nothing else; and if they
# lose a part of it, what is left is of the one version or of the other.
#
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=disk.bash
. "$TOP/tests/powercut/disk.bash"

requires nbdkit qemu-io

# QEMU's own program, which is killed with what it wrote last not flushed.
write_and_cut() {
	local code=0
	serve_disk disk
	qemu-io -t writeback "json:$(blockdev disk)" \
		-c 'write -P 1 0 128k' -c flush -c 'write -P 2 64k 128k' -c 'sigraise 9' >qemu.out 2>&1 ||
		code=$?
	[ $code = 137 ] || fail "qemu-io: exit code $code: $(cat qemu.out)"
	power_off_disk disk
}

# holds FILE PATTERN OFFSET
holds() {
	qemu-io -f raw -r "$1" -c "read -P $2 $3 64k" >/dev/null 2>&1
}

must_hold() {
	holds "$@" || fail "$1: no $2 at $3"
}

lost_or_kept() { # PERCENT PATTERN PATTERN
	local file
	make_disk disk 1M true
	write_and_cut
	settle_disk disk "$1" 0
	assert_eq "$in_cache" 32 "blocks in the cache"
	for file in disk.kept disk.flushed; do
		must_hold $file 1 0
		must_hold $file "$2" 64k
		must_hold $file "$3" 128k
	done
	rm disk.*
}

lost_or_kept 0 1 0
lost_or_kept 100 2 2

make_disk disk 1M true
write_and_cut
must_hold disk.flushed 1 64k
must_hold disk.kept 2 64k
settle_disk disk 50 "$SEED"
assert_same_file disk.kept disk.flushed
must_hold disk.kept 1 0
! holds disk.kept 1 64k || fail "seed $SEED: all lost"
! holds disk.kept 2 64k || fail "seed $SEED: all kept"
