#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every way to change an image through a mount, each on an image of its own, whose regions are
# armed, or whose sidecar is clean.  The next sync has it, by a live mount, after the daemon
# was killed, after it was unmounted, and no image is copied in full for it.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires getfattr getfacl diff

mkdir s d
mount_again() {
	mount_source s s block_size=4K
}

kill_daemon() {
	kill -KILL "${daemon_of[$work/s]}"
	wait "${daemon_of[$work/s]}" 2>/dev/null || true
	fusermount3 -u -z s
}

mount_again
n=$((SEED % 1000000))
for before in armed clean; do
	for after in live killed mounted-again unmounted; do
		echo "$before, then $after"
		n=$((n + 1))
		client changes make s $n
		[ $before = armed ] || { unmount s && mount_again; }
		sync_trees s d
		n=$((n + 1))
		client changes change s $n
		case $after in
		killed) kill_daemon ;;
		mounted-again) kill_daemon && mount_again ;;
		unmounted) unmount s ;;
		esac
		sync_trees s d
		assert_same_trees s d
		is_mounted "$work/s" || mount_again
	done
done
unmount s
sync_trees s d
assert_same_trees s d
