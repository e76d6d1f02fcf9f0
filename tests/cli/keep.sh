#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# keep.sh - a replica's last checkpoints are kept as trees, where files can be cloned
. "$(dirname "$0")/keep.bash"

# assert_kept DEST NUMBER...: these and no others, each as its source was
assert_kept() {
	local dest=$1 number
	shift
	assert_eq "$(numbers "$dest")" "$*" "kept checkpoints of $dest"
	for number; do
		assert_same_trees "of.$number" "$dest/.mirrorfs/checkpoint/$number"
	done
	no_leftovers "$dest"
	assert_eq "$(stat -c %a "$dest/.mirrorfs/checkpoint")" 700 "mode of the directory"
}

for filesystem in btrfs xfs; do
	d=replica.$filesystem
	on_disk $filesystem "$d"
	make_source s
	mount_source s
	kept=()
	for _ in 1 2 3 4; do
		must_sync 0 s "$d" --keep 3
		remember s
		kept=("$(json .checkpoint.number)" "${kept[@]:0:2}")
		assert_kept "$d" "${kept[@]}"
		change s
	done

	# XFS has no other way than btrfs: its clones alone are tried
	if [ $filesystem = xfs ]; then
		unmount s
		break
	fi

	# never the live files themselves
	live=$(stat -c %i "$d/a.raw")
	[ "$live" != "$(stat -c %i "$d/.mirrorfs/checkpoint/${kept[0]}/a.raw")" ] || fail "hard links"

	# a sync without the option leaves them alone; so does a dry run
	must_sync 0 s "$d" --dry-run --keep 1
	must_sync 0 s "$d"
	assert_kept "$d" "${kept[@]}"

	# that of the sync before is made up for, unless it isn't what was synced any more
	remember s
	at=$(json .checkpoint.number)
	change s
	must_sync 0 s "$d" --keep 3
	remember s
	kept=("$(json .checkpoint.number)" "$at" "${kept[0]}")
	assert_kept "$d" "${kept[@]}"
	change s
	must_sync 0 s "$d"
	client flip "$d/same.raw" 9
	must_sync 3 s "$d" --keep 3
	remember s
	kept=("$(json .checkpoint.number)" "${kept[@]:0:2}")
	assert_kept "$d" "${kept[@]}"

	# fewer, and none
	must_sync 0 s "$d" --keep 2 --in-place
	remember s
	kept=("$(json .checkpoint.number)" "${kept[0]}")
	assert_kept "$d" "${kept[@]}"
	unmount s
	must_sync 0 s "$d" --keep 0
	assert_kept "$d"
	rm -rf s of.*
	umount "$d"
done
rm -rf s of.*

# What its filesystem doesn't have is asked for before anything is made: neither a replica nor a source
# is left, and nothing at all of the trial.
on_disk ext4 none
make_source s
for dest in none/new none/empty; do
	mkdir -p none/empty
	assert_fails "$MIRRORCTL" sync s $dest --keep 2 --in-place
	assert_eq "$code" 2 "sync s $dest: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "keep checkpoints of '$dest': its filesystem has no reflinks"
	[ ! -e s/.mirrorfs ] || fail "sync s $dest: made a source"
done
"$MIRRORCTL" checkpoint create --quiet s seed
for dest in none/new none/empty; do
	assert_fails "$MIRRORCTL" sync s $dest --keep 2 --in-place
	assert_eq "$code" 2 "sync s $dest: exit code"
done
cp -r s none/copy && rm -r none/copy/.mirrorfs
assert_fails "$MIRRORCTL" sync s none/copy --keep 2 --in-place --since seed
assert_eq "$code" 2 "sync --since: exit code"
assert_eq "$(find none -name .mirrorfs -o -name new -o -path 'none/empty/*' -o -name '*.tmp')" "" "what is left"
assert_eq "$("$MIRRORCTL" status --json s | jq '.source.replicas | length')" 0 "replicas of the source"
rm -rf s
umount none

# Killed at one of the last calls of a sync, by which that is done: what is there is always whole,
# and the next sync goes on with it.
calls=(mkdirat ioctl utimensat syncfs renameat unlinkat)
wanted=3
if [ -n "${SANITIZE-}" ]; then # it is their memory that is looked at then
	calls=(ioctl syncfs renameat)
	wanted=1
fi
on_disk btrfs e
make_source s
mount_source s
must_sync 0 s e --keep 2
remember s
killed=0
for call in "${calls[@]}"; do
	change s
	strace -f -qq -o trace -e trace="$call" "$MIRRORCTL" sync --quiet --keep 2 s e
	at=$(at_checkpoint e)
	remember s "$at"
	change s
	if kill_at "$call" $(($(grep -c "$call(" trace) - RANDOM % 3)) \
		"$MIRRORCTL" sync --quiet --keep 2 s e; then
		killed=$((killed + 1))
	fi
	"$MIRRORCTL" recover --quiet e
	at=$(at_checkpoint e)
	[ -e "of.$at" ] || remember s "$at"
	for number in $(numbers e); do
		assert_same_trees "of.$number" "e/.mirrorfs/checkpoint/$number"
	done
	must_sync 0 s e --keep 2
	remember s
	assert_kept e "$(json .checkpoint.number)" "$at"
done
[ "$killed" -ge $wanted ] || fail "killed only $killed times"
echo "keep: $killed kills"
