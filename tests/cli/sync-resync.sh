#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-resync.sh - images that bitmaps don't tell of: only what differs is written, and it is right
#
# Each thing is done to a replica without clones, to one with clones and to one in place.
. "$(dirname "$0")/common.bash"
requires_root
requires_strace
requires mkfs.btrfs losetup

block=65536
size=$((40 * block + 1234))

mkdir s
mount_disk clones 300M mkfs.btrfs -q

change() { # FILE BLOCK ...: one byte in each
	local file=$1 n
	shift
	for n; do
		printf '%s' "$((RANDOM % 10))${SECONDS}z" |
			dd of="$file" bs=1 seek=$((n * block + 777)) conv=notrunc status=none
	done
}

# images PATH:REASON:BLOCKS ...: those that were compared, and how many blocks differed
images() {
	local want="" image path reason blocks
	for image; do
		IFS=: read -r path reason blocks <<<"$image"
		want+="$path $reason true $((blocks * block)) "
	done
	assert_eq "$(json '[.full_copies[] | .path, .reason, .by_digest, .bytes_differing] | join(" ")')" \
		"${want% }" "images that were compared"
}

# good DEST: it is the source, its digests are right, and the next sync has nothing to do
good() {
	assert_equal_trees s "$1"
	"$MIRRORCTL" scrub "$1" >scrub.out || fail "scrub $1: $(cat scrub.out)"
	assert_contains "$(cat scrub.out)" "not to be proved 0 B"
	must_sync 0 s "$1"
	assert_eq "$(json '.bytes_scanned + .bytes_copied')" 0 "bytes of the sync after"
}

# reads DEST: how often its images, or clones of them, were read in the sync that strace saw
reads() {
	grep -cE "^[^(]*p?read(64|v)?\([0-9]+<[^>]*/$1/([ab]|\.mirrorfs/staging/[0-9]+)>" traced || :
}

traced_sync() { # WANTED_CODE DEST [OPTION...]
	local wanted=$1
	shift
	code=0
	strace -f -y -o traced -e trace=read,pread64,preadv "$MIRRORCTL" sync --threads 1 --json s "$@" \
		>sync.json 2>sync.err || code=$?
	assert_eq "$code" "$wanted" "exit code: $(cat sync.err)"
}

scenario() { # DEST [OPTION...]
	local d=$1
	shift
	random_file s/a $size
	random_file s/b $size
	cp s/a a.first
	must_sync 0 s "$d" "$@"
	good "$d"

	# somebody changed the replica: what is in it isn't believed, and the rest isn't copied
	change "$d/a" 3 17
	change s/b 5
	must_sync 3 s "$d" "$@"
	images a:replica-changed:2 b:changed-behind-mount:1
	good "$d"

	# cut off, and longer, by somebody and at the source
	truncate -s $((20 * block)) "$d/a"
	truncate -s $((size + 3 * block)) "$d/b"
	must_sync 3 s "$d" "$@"
	assert_eq "$(json '[.full_copies[].by_digest] | all')" true "by digest"
	good "$d"
	rm "$d/.mirrorfs/replica"
	"$MIRRORCTL" adopt --quiet "$d"
	truncate -s $((30 * block + 5)) s/a
	truncate -s $((size + 9 * block)) s/b
	must_sync 0 s "$d" "$@"
	images a:adopted:0 b:adopted:0
	good "$d"

	# the replica's lineage is lost: its digests are believed, and it isn't read
	cp "$d/.mirrorfs/replica" known
	"$MIRRORCTL" replica forget s "$("$MIRRORCTL" status --json "$d" | jq -r .replica.uuid)"
	change s/a 2
	change s/b 7 8
	must_sync 0 s other
	traced_sync 3 "$d" "$@"
	images a:lineage:1 b:lineage:2
	assert_eq "$(reads "$d")" 0 "reads of the replica"
	good "$d"

	# digests that are damaged or missing are taken anew, from the replica
	rm -rf s/.mirrorfs
	"$MIRRORCTL" adopt --quiet "$d"
	for file in "$d"/.mirrorfs/digests/*; do
		case $file in
		*[0-7]) printf 'damaged' | dd of="$file" bs=1 seek=8 conv=notrunc status=none ;;
		*) rm "$file" ;;
		esac
	done
	change s/a 9
	traced_sync 0 "$d" "$@"
	images a:adopted:1 b:adopted:0
	[ "$(reads "$d")" -gt 0 ] || fail "nobody read the replica: $(head -n 20 traced)"
	good "$d"

	# digests that got lost, a page of them: those blocks are read, and copied if they differ
	rm -rf s/.mirrorfs
	"$MIRRORCTL" adopt --quiet "$d"
	for file in "$d"/.mirrorfs/digests/*; do
		printf 'damaged' | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
	done
	change s/b 13
	traced_sync 0 "$d" "$@"
	images a:adopted:0 b:adopted:1
	[ "$(reads "$d")" -gt 0 ] || fail "nobody read the replica: $(head -n 20 traced)"
	good "$d"

	# the source is restored from a backup: other files, with or without the id
	cp a.first t && truncate -s $((30 * block + 5)) t && mv t s/a
	cp -a s/b t && change t 11 && mv t s/b
	traced_sync 3 "$d" "$@"
	assert_eq "$(json '[.full_copies[] | .path, .reason, .by_digest] | join(" ")')" \
		"a replaced true b copied true" "images that were compared"
	assert_eq "$(json '.full_copies[1].bytes_differing')" $block "bytes of b"
	assert_eq "$(reads "$d")" 0 "reads of the replica"
	good "$d"

	# the replica was restored from a backup, with its state: other inodes
	cp -a "$d" "$d.restored"
	change s/b 1
	must_sync 3 s "$d" "$@"
	mkdir -p away && mv "$d" away/ && mv "$d.restored" "$d"
	must_sync 3 s "$d" "$@"
	images a:lineage:0 b:lineage:1
	good "$d"

	# what can't be read of the replica is copied, or zeroed
	change "$d/b" 4
	fallocate -p -o $((6 * block)) -l $block s/b
	code=0
	strace -f -o /dev/null -P "$PWD/$d/b" -P "$PWD/$d/.mirrorfs/staging/1" -e trace=pread64 -e inject=pread64:error=EIO \
		"$MIRRORCTL" sync --threads 1 --json s "$d" "$@" >sync.json 2>sync.err || code=$?
	assert_eq "$code" 3 "exit code: $(cat sync.err)"
	assert_eq "$(json '.full_copies[].path')" b "full copies"
	[ "$(json '.full_copies[].bytes_differing')" -ge $((40 * block)) ] || fail "not all of b was copied"
	good "$d"
	rm -rf s/.mirrorfs s/a s/b other "$d" away
}

scenario plain
scenario clones/d
scenario place --in-place
