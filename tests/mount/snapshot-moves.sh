#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# names and metadata of a snapshot are those of one instant, however things move meanwhile
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

: "${SNAPSHOTS:=15}"
mkdir -p source/a source/between source/z mnt
(cd source/between && seq 500 | xargs touch)
echo ball >source/a/ball
ln source/a/ball source/a/linked
mount_source source mnt

# The ball is always in one of two places, which a walk comes to early and late; another name of
# it stays.  Of what is made, one is there at a time.
mkdir going
play() {
	local i=0
	while [ -e going ]; do
		mv mnt/a/ball mnt/z/ball
		mv mnt/z/ball mnt/a/ball
		chmod 600 mnt/a/ball
		chmod 644 mnt/a/ball
		i=$((i + 1))
	done
	echo "$i" >throws
}
make() {
	local i=0
	while [ -e going ]; do
		touch "mnt/between/made-$((i % 50))"
		rm "mnt/between/made-$((i % 50))"
		i=$((i + 1))
	done
}
play &
player=$!
make &
maker=$!
cleanup_fn stop_process $player
cleanup_fn stop_process $maker
for ((i = 0; i < SNAPSHOTS; i++)); do
	client control mnt snapshot "s$i" >/dev/null
	found=$(cd "mnt/.mirrorfs/snapshot/s$i" && find . -name ball)
	case $found in
	./a/ball | ./z/ball) ;;
	*) fail "snapshot $i has '$found'" ;;
	esac
	assert_eq "$(stat -c %h "mnt/.mirrorfs/snapshot/s$i/a/linked")" 2 "links"
	[ "mnt/.mirrorfs/snapshot/s$i/$found" -ef "mnt/.mirrorfs/snapshot/s$i/a/linked" ] ||
		fail "snapshot $i: other links"
	made=$(cd "mnt/.mirrorfs/snapshot/s$i/between" && find . -name 'made-*' | wc -l)
	[ "$made" -le 1 ] || fail "snapshot $i: $made of what is there one at a time"
	client control mnt delete "s$i"
done
rmdir going
wait $player || fail "moves failed"
wait $maker || fail "making failed"
echo "$SNAPSHOTS snapshots, $(cat throws) moves there and back"
unmount mnt
