#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-names-random.sh - random changes to names between syncs, some of which are killed
. "$(dirname "$0")/common.bash"
requires_fuse

echo "SEED=$SEED"
RANDOM=$SEED
names=(a b c d)

# a random path, one to three levels deep, below s
pick() {
	local depth=$((RANDOM % 3)) i
	path=s
	for ((i = 0; i <= depth; i++)); do
		path+=/${names[RANDOM % 4]}
	done
}

change() {
	local other
	pick
	other=$path
	pick
	{
		case $((RANDOM % 10)) in
		0) mkdir -p "$path" ;;
		1 | 2) mkdir -p "${path%/*}" && rm -f "$path" && echo "$RANDOM" >"$path" ;;
		3) ln -s "t$((RANDOM % 3))" "$path" ;;
		4) ln "$other" "$path" ;;
		5 | 6 | 7) mv -T "$other" "$path" ;;
		8) rm -rf "$path" ;;
		9) mkfifo "$path" ;;
		esac
	} 2>/dev/null || :
}

mkdir s
mount_source s
must_sync 0 s d
for ((round = 0; round < ${ROUNDS:-40}; round++)); do
	for ((i = 0; i < 12; i++)); do
		change
	done
	if [ $((RANDOM % 3)) = 0 ]; then
		# somewhere in the middle, or too late
		kill_sync KILL "0.0$((RANDOM % 10))" s d
	fi
	sync_to s d
	[ "$code" = 0 ] || fail "round $round: exit code $code: $(cat sync.err sync.json)"
	assert_equal_trees s d
done
unmount s
