#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the source's disk is full: what needs no space for itself goes on, and is tracked again later
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
requires_root
requires_fuse
requires mkfs.ext4 losetup jq getfattr getfacl diff

drop_disk() {
	fusermount3 -u -z -q "$work/mnt/s"
	umount -l "$work/mnt" 2>/dev/null
	losetup -d "$1"
}

mkdir mnt
truncate -s 48M disk
mkfs.ext4 -q -m 0 -b 4096 -I 256 disk
loop=$(losetup -f --show disk)
cleanup_fn drop_disk "$loop"
mount "$loop" mnt
mkdir mnt/s
random_file mnt/s/a $((12 << 20))
random_file mnt/s/b $((4 << 20))
truncate -s 20M mnt/s/sparse
mount_source mnt/s mnt/s save_interval=1,region_size=1M
cd mnt/s
"$MIRRORCTL" sync --quiet . "$work/d"

fill_up() {
	local size
	for size in 1M 64K 4K; do
		dd if=/dev/zero of="$1" bs=$size oflag=append conv=notrunc status=none 2>/dev/null || true
	done
	[ "$(df --output=avail . | tail -n 1)" -lt 8 ] || fail "it is not full"
}

# in_place IMAGE FROM TO: a write in each region, none of which may fail
in_place() {
	local i
	for ((i = $2; i < $3; i++)); do
		printf '%08d' $((RANDOM)) |
			dd of="$1" bs=1M seek="$i" conv=notrunc status=none ||
			fail "a write in place, on a full disk"
	done
}

for round in 1 2; do
	fill_up filler
	in_place a 0 6
	in_place b 0 4
	assert_fails dd if=/dev/zero of=sparse bs=1M count=1 seek=$((round * 4)) conv=notrunc status=none
	assert_contains "$stderr" "No space left"
	# the keeper can save nothing now
	sleep 2.5
	in_place a 3 12
	# nor can a checkpoint be made: that is the sync's matter alone
	code=0
	"$MIRRORCTL" sync --quiet . "$work/d" 2>"$work/sync.err" || code=$?
	echo "round $round: sync on a full disk: exit code $code: $(cat "$work/sync.err")"
	case $code in
	0 | 3) ;;
	1) assert_contains "$(cat "$work/sync.err")" "o space left" ;;
	*) fail "sync on a full disk: exit code $code" ;;
	esac
	in_place a 0 12
	[ $round = 1 ] || break

	rm filler
	in_place b 1 3
	"$MIRRORCTL" sync --json . "$work/d" >"$work/sync.json" || [ $? = 3 ] || fail "sync with room again"
	jq -c '[.full_copies[] | [.path, .reason]]' "$work/sync.json"
	assert_same_trees . "$work/d"
	in_place b 2 3
	sync_trees . "$work/d" 0
	[ "$(synced bytes_copied)" -le 65536 ] || fail "not incremental again: $(cat "$work/sync.json")"
	assert_same_trees . "$work/d"
done

# unmounted on a full disk: exit code and log say what could not be saved, if so
cd "$work"
mnt=$work/mnt/s
fusermount3 -u "$mnt"
code=0
wait "${daemon_of[$mnt]}" || code=$?
echo "unmount on a full disk: exit code $code: $(tail -n 1 "${log_of[$mnt]}")"
[ $code = 0 ] || assert_contains "$(cat "${log_of[$mnt]}")" "o space left" "log"
rm mnt/s/filler
"$MIRRORCTL" sync --json mnt/s d >sync.json || [ $? = 3 ] || fail "sync after unmount"
assert_same_trees mnt/s d
"$MIRRORCTL" sync --json mnt/s d >sync.json || fail "sync after unmount, again"
assert_eq "$(jq .bytes_copied sync.json)" 0 "bytes copied"
