#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A snapshot is plain files to other people's tools: what they copy out of it, while the source
# goes on changing, is the tree at that instant, with names, metadata and holes
#
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires qemu-img qemu-io restic tar setfattr getfattr getfacl

mib=$((1 << 20))
mkdir images
mount_source images

# make_tree DIR: all kinds of things, and two images that qemu-img knows
make_tree() {
	local dir=$1 nr
	mkdir -p "$dir/tree" "$dir/sub dir"
	random_file "$dir/disk.raw" $((8 * mib))
	truncate -s 64M "$dir/disk.raw"
	random_file "$dir/tail" 12345
	dd if="$dir/tail" of="$dir/disk.raw" bs=1M seek=40 conv=notrunc status=none
	qemu-img convert -q -f raw -O qcow2 "$dir/disk.raw" "$dir/sub dir/disk.qcow2"
	for nr in 0 1 2 3; do
		random_file "$dir/tree/image$nr" $mib
	done
	: >"$dir/empty"
	ln "$dir/tail" "$dir/sub dir/link"
	ln -s ../tail "$dir/sub dir/symlink"
	setfattr -n user.comment -v 'of a file' "$dir/tail"
	setfattr -n user.comment -v 'of a directory' "$dir/sub dir"
	chmod 640 "$dir/tail"
	touch -d '2001-02-03 04:05:06.789' "$dir/empty" "$dir/sub dir"
	client oracle "$dir/tree" $((SEED % 1000000)) 2 300 >oracle.out || fail "oracle: $(cat oracle.out)"
	# tar knows no sockets, restic no xattrs of symlinks, and neither links but of regular files
	find "$dir/tree" \( -type s -o -type l -o ! -type f ! -type d -links +1 \) -delete
}

# change_tree DIR: nothing stays as it was, and it goes on
change_tree() {
	local dir=$1
	qemu-io -f raw -c 'write -P 0x5a 0 9M' -c 'write -z -u 40M 1M' "$dir/disk.raw" >io.out
	qemu-io -f qcow2 -c 'write -P 0x5a 1M 60M' "$dir/sub dir/disk.qcow2" >>io.out
	mv "$dir/tail" "$dir/sub dir/tail"
	rm "$dir/empty" "$dir/sub dir/symlink"
	mkdir "$dir/empty"
	mv "$dir/sub dir" "$dir/elsewhere"
	setfattr -x user.comment "$dir/elsewhere/tail"
	truncate -s 100 "$dir/elsewhere/tail"
	"$CLIENTS/oracle" "$dir/tree" $((SEED % 1000000 + 1)) 2 0 >oracle.out &
	oracle=$!
	cleanup_fn stop_process "$oracle"
}

# assert_as_sparse DIR: the hole of an image, of 55 MiB, is there; small ones, of
# which tools and filesystems think differently, need not be
assert_as_sparse() {
	local now expected
	now=$(du -s -B1 "$1" | cut -f 1)
	expected=$(du -s -B1 expected | cut -f 1)
	[ "$now" -le $((expected + 8 * mib)) ] || fail "$1 takes $now bytes instead of $expected"
}

# assert_copy DIR: made by some tool
assert_copy() {
	assert_same_trees expected "$1"
	assert_as_sparse "$1"
	rm -rf "$1"
}

make_tree images
cp -a --sparse=always images expected
snapshot=$("$MIRRORCTL" snapshot create images now)
change_tree images

echo "the snapshot itself"
assert_same_trees expected "$snapshot"

echo "cp"
cp -a --sparse=always "$snapshot" copy
assert_copy copy

echo "tar"
mkdir copy
tar -C "$snapshot" -c -S --hole-detection=seek --xattrs --xattrs-include='*' --acls . |
	tar -C copy -x --warning=no-timestamp --xattrs --xattrs-include='*' --acls
assert_copy copy

echo "qemu-img"
for image in 'raw disk.raw' 'qcow2 sub dir/disk.qcow2'; do
	name=${image#* }
	qemu-img convert -q -f "${image%% *}" -O qcow2 "$snapshot/$name" copy.qcow2
	qemu-img compare -q -f raw -F qcow2 expected/disk.raw copy.qcow2 || fail "$name differs"
	qemu-img check -q -f qcow2 copy.qcow2
done

echo "restic"
export RESTIC_REPOSITORY=$work/repository RESTIC_PASSWORD=secret
restic init --quiet
(cd "$snapshot/.." && restic backup --quiet --no-cache now)
restic check --quiet --no-cache --read-data
restic restore --quiet --no-cache latest --target copy
assert_same_trees expected copy/now

echo "and nobody minded"
kill -0 "$oracle" || fail "oracle has ended: $(cat oracle.out)"
stop_process "$oracle"
unset 'cleanups[-1]'
assert_same_trees expected "$snapshot"
"$MIRRORCTL" snapshot delete images now
[ ! -e "$snapshot" ] || fail "the snapshot is still there"
unmount images
