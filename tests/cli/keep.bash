# SPDX-License-Identifier: GPL-2.0-or-later
# keep.bash - what the tests of kept checkpoints share, on top of common.bash; sourced

. "$(dirname "${BASH_SOURCE[0]}")/common.bash"
# shellcheck source=tests/compare.sh
. "$TOP/tests/compare.sh"

requires_root
requires_fuse
requires_strace
requires losetup mkfs.ext4 mkfs.btrfs mkfs.xfs

echo "SEED=$SEED"
RANDOM=$SEED

# on_disk FILESYSTEM DIRECTORY: that, on a disk of its own
on_disk() {
	mount_disk "$2" 400M mkfs."$1" -q
}

make_source() { # DIRECTORY
	mkdir -p "$1/dir" "$1/closed"
	random_file "$1/a.raw" 3000000
	random_file "$1/dir/b.raw" 900000
	random_file "$1/same.raw" 200000
	ln "$1/a.raw" "$1/dir/link"
	ln -s a.raw "$1/sym"
	mkfifo "$1/p1" # by that name compare.sh knows fifos
	setfattr -n user.x -v y "$1/same.raw"
	chmod 555 "$1/closed"
	touch -d 2001-02-03 "$1/closed"
}

turn=0
# change DIRECTORY: something of everything, at random: content, sizes, holes, names, metadata
change() {
	local dir=$1
	turn=$((turn + 1))
	random_file piece$turn 150000
	dd if=piece$turn of="$dir/a.raw" bs=1000 seek=$((RANDOM % 2800)) conv=notrunc status=none
	fallocate -p -o $((RANDOM * 60)) -l 100000 "$dir/a.raw"
	truncate -s $((700000 + RANDOM * 10)) "$dir"/dir*/b.raw
	dd if=piece$turn of="$(echo "$dir"/dir*/b.raw)" bs=1000 count=30 seek=$((RANDOM % 600)) conv=notrunc status=none
	mv "$dir"/dir* "$dir/dir$turn"
	mv piece$turn "$dir/new$turn"
	rm -f "$dir/new$((turn - 2))"
	if [ $((turn % 3)) = 0 ]; then
		mv "$dir/new$turn" "$dir/t" && mv "$dir/same.raw" "$dir/new$turn" && mv "$dir/t" "$dir/same.raw"
	fi
	ln -sfn "target$turn" "$dir/sym"
	chmod "6$((RANDOM % 8))4" "$dir"/dir*/b.raw
	setfattr -n "user.n$((turn % 2))" -v $turn "$dir/a.raw"
	touch -d "2002-01-01 +$turn days" "$dir/closed"
}

# remember SOURCE [NUMBER]: what it is now, as of.NUMBER; by default the checkpoint of the last sync
remember() {
	local number=${2:-$(json .checkpoint.number)}
	cp -a --sparse=always "$1" "of.$number"
	rm -rf "of.$number/.mirrorfs"
}

# numbers DEST: of the kept checkpoints, the newest first
numbers() {
	"$MIRRORCTL" status --json "$1" | jq -r '[.replica.kept[].number] | join(" ")'
}

# at_checkpoint DEST: its number
at_checkpoint() {
	"$MIRRORCTL" status --json "$1" | jq .replica.checkpoint.number
}

# no_leftovers DEST
no_leftovers() {
	[ -z "$(find "$1/.mirrorfs" -name '*.tmp')" ] || fail "left: $(find "$1/.mirrorfs" -name '*.tmp')"
}

# assert_restores DEST NUMBER: what it was at that checkpoint comes out
assert_restores() {
	"$MIRRORCTL" restore --quiet --at "$2" "$1" out || fail "restore $1 at $2: exit code $?"
	[ ! -e out/.mirrorfs ] || fail "restore $1 at $2: marked as unfinished"
	assert_same_trees "of.$2" out
	rm -rf out
}

# kill_at SYSCALL N COMMAND...: it is killed at the Nth such call; 1 if it never came that far
kill_at() {
	local code=0 call=$1 when=$2
	shift 2
	{ strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$when" "$@" && :; } \
		>/dev/null 2>&1 || code=$?
	[ "$code" = 137 ]
}
