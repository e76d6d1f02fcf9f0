#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# a snapshot shows the tree as it was, whatever happens to it afterwards, and can't be changed
# shellcheck source-path=SCRIPTDIR source=../lib.sh source=../compare.sh
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../compare.sh"
requires_fuse
requires setfattr getfattr setfacl getfacl

mkdir source mnt was was-later
snapshots=mnt/.mirrorfs/snapshot
one=$snapshots/one
two=$snapshots/two

# make_tree DIR
make_tree() {
	mkdir -p "$1/d/e" "$1/many" "$1/empty"
	random_file "$1/image" 3000000
	random_file "$1/unread" 3000000
	random_file "$1/d/e/deep" 100000
	random_file "$1/d/overwritten" 500000
	random_file "$1/restored" 100000
	truncate -s 100M "$1/sparse"
	dd if="$1/image" of="$1/sparse" bs=64K seek=500 count=2 conv=notrunc status=none
	: >"$1/nothing"
	ln "$1/image" "$1/d/hard"
	ln "$1/image" "$1/d/e/hard too"
	ln -s d/e/deep "$1/link"
	ln -s /nowhere "$1/dangling"
	mkfifo "$1/p1"
	ln "$1/p1" "$1/p2"
	chmod 4751 "$1/d/e/deep"
	chmod 1777 "$1/d"
	setfattr -n user.a -v one "$1/image"
	setfattr -n user.empty -v "" "$1/image"
	setfattr -n user.dir -v of-a-directory "$1/d"
	(cd "$1/many" && seq -f "%g-with-a-name-that-fills-listings" 250 | xargs touch)
	touch -d '2001-02-03 04:05:06.123456789' "$1/d/e/deep" "$1/d"
	touch -h -d '2002-03-04 05:06:07.987654321' "$1/link"
	if [ "$(id -u)" = 0 ]; then
		chown 65534:1 "$1/d/overwritten"
		chown -h 65534:2 "$1/link"
		chmod 600 "$1/restored"
		setfattr -n trusted.t -v root "$1/d/e/deep"
		mknod "$1/p3" c 1 3
	fi
	setfacl -m u:65534:rw "$1/nothing" 2>/dev/null && setfacl -d -m u:65534:rx "$1/d/e" || :
}

# All that stat tells, but times of access and what the filesystem counts as it likes.
describe() { # DIR
	names_below "$1" ! -type d |
		(cd "$1" && xargs -0r stat --printf='%n %f %h %u %g %s %.9Y %.9Z %t:%T\n')
}

# Nothing that was there stays as it is.
change_all() { # DIR
	chmod 600 "$1/d/e/deep" "$1/d/hard"
	setfattr -n user.a -v two "$1/image"
	setfattr -x user.empty "$1/image"
	setfattr -n user.new -v x "$1/sparse"
	setfacl -b "$1/nothing"
	dd if=/dev/urandom of="$1/image" bs=100k count=20 conv=notrunc status=none
	echo longer >>"$1/image"
	dd if=/dev/urandom of="$1/sparse" bs=64k seek=300 count=20 conv=notrunc status=none
	fallocate -p -o $((500 * 65536)) -l 65536 "$1/sparse"
	truncate -s 10 "$1/d/overwritten"
	echo short >"$1/nothing"
	mv "$1/d/e/deep" "$1/elsewhere"
	rm "$1/d/e/hard too" "$1/d/hard" "$1/link" "$1/p1" "$1/unread"
	ln -s elsewhere "$1/link"
	echo another >"$1/unread"
	mv "$1/d" "$1/moved"
	mkdir "$1/d"
	rm -r "$1/many" "$1/empty" "$1/restored"
	mkdir "$1/restored"
	touch -h -d '2020-01-01' "$1/image" "$1/dangling" 2>/dev/null || :
	if [ "$(id -u)" = 0 ]; then
		chown 1:65534 "$1/sparse"
		rm "$1/p3"
	fi
}

make_tree source
mount_source source mnt
cp -a mnt/. was
describe mnt >was.txt
client control mnt snapshot one >out
assert_contains "$(cat out)" "snapshot one checkpoint 1 "
change_all mnt
cp -a mnt/. was-later
client control mnt snapshot two >out
assert_contains "$(cat out)" "snapshot two checkpoint 2 "
echo changed >mnt/image
rm -r mnt/moved

assert_same_trees was "$one"
assert_same_trees was-later "$two"
describe "$one" >one.txt
diff -u was.txt one.txt >&2 || fail "attributes differ"
assert_eq "$(find "$one/many" -type f | wc -l)" 250 "names in a large directory"
assert_same_trees was "$one" # from what the kernel has cached

# reachable by name, and listed nowhere else
assert_eq "$(ls -A "$snapshots")" "$(printf 'one\ntwo')" "listing of snapshots"
assert_eq "$(find mnt -name .mirrorfs)" "" "listing"
assert_fails ls "$one/.mirrorfs"
assert_fails ls "$snapshots/three"
assert_contains "$stderr" "No such file"
assert_fails client control mnt snapshot one
assert_contains "$stderr" "exists"
assert_fails client control mnt snapshot "not/a name"

# other files than the live ones, and the same for ever
[ ! mnt/image -ef "$one/image" ] && [ ! "$one/image" -ef "$two/image" ] || fail "same inode numbers"
[ "$one/image" -ef "$one/d/hard" ] || fail "other inode numbers"
assert_eq "$(find "$one" -printf '%i\n' | sort -u | wc -l)" \
	"$(find was -printf '%i\n' | sort -u | wc -l)" "number of inodes"

# nothing can be changed
refused() {
	assert_fails "$@"
	assert_contains "$stderr" "Read-only file system" "$*"
}
refused touch "$one/image"
refused touch "$one/new"
refused touch "$snapshots/new"
refused dd if=/dev/zero of="$one/image" count=1 conv=notrunc
refused truncate -s 1 "$one/image"
refused bash -c ": >>'$one/image'"
refused rm "$one/image"
refused rm -rf "$one/d"
refused rmdir "$one/empty"
refused rmdir "$one"
refused mv "$one/image" "$one/x"
refused mv "$one" "$snapshots/three"
refused mkdir "$one/x" "$snapshots/x"
refused ln "$one/image" "$one/x"
refused ln -s x "$one/x"
refused mkfifo "$one/x"
refused chmod 777 "$one/image"
refused chmod 777 "$one/p1"
refused touch -h "$one/link"
refused setfattr -n user.a -v x "$one/image"
refused setfattr -x user.a "$one/image"
refused setfacl -m u:1:r "$one/image"
refused fallocate -l 100M "$one/image"
refused cp mnt/image "$one/image"
refused mv mnt/image "$one/x"
if [ "$(id -u)" = 0 ]; then
	refused chown 1:1 "$one/image"
fi
assert_fails ln "$one/image" mnt/x
assert_contains "$stderr" "cross-device"
assert_fails ln mnt/image "$one/x"
assert_contains "$stderr" "cross-device"
assert_same_trees was "$one"

# for any tool
mkdir copy unpacked
cp -a --sparse=always "$one/." copy
assert_same_trees was copy
cp "$one/sparse" sparse
assert_same_file was/sparse sparse
[ "$(du -k sparse | cut -f 1)" -lt 3000 ] || fail "holes were lost"
tar -C "$one" -S -cf - . | tar -C unpacked -xf -
compare_content was unpacked >&2 || fail "tar's copy differs"
cp -p "$one/unread" mnt/unread # to the live tree, where the kernel copies by itself
assert_same_file was/unread mnt/unread
dd if="$one/image" of=direct bs=1M iflag=direct status=none
assert_same_file was/image direct
if command -v qemu-img >/dev/null; then
	qemu-img convert -f raw -O raw "$one/sparse" converted
	assert_same_file was/sparse converted
fi

# what mirrorctl asks of an image
assert_contains "$(client control "$one/sparse" image)" " block_shift 16 blocks 1600 size 104857600"
client control "$one/sparse" hostile-image
client control "$two/image" release 0 65536
for path in "$one" "$snapshots" "$one/d"; do
	assert_fails client control "$path" image
	assert_contains "$stderr" "Inappropriate ioctl"
done
assert_fails client control mnt/image image
assert_contains "$stderr" "Inappropriate ioctl"
assert_contains "$(client control mnt snapshot-info one)" "checkpoint 1 images 257 "
assert_eq "$(client control mnt snapshot-images one)" 257 "images that are listed"
if [ "$(id -u)" = 0 ]; then
	cp "$CLIENTS/control" control
	assert_fails as_user ./control "$one/image" image
	assert_contains "$stderr" "not permitted"
	as_user cmp "$one/sparse" was/sparse
	assert_fails as_user cat "$one/restored"
	assert_contains "$stderr" "Permission denied"
fi

# deleted while it is in use
held_snapshots() {
	find "/proc/${daemon_of[$work/mnt]}/fd" -lname '*memfd:mirrorfs-status*' | wc -l
}
is_held() { # NUMBER
	[ "$(held_snapshots)" = "$1" ]
}
exec 3<"$two/sparse" # nothing of it has been read by a page
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || :
cd "$two/d"
client control "$work/mnt" delete two
assert_fails ls
assert_contains "$stderr" "Stale file handle" "listing of what was deleted"
cd "$work"
assert_fails dd bs=64k skip=320 count=1 <&3
assert_contains "$stderr" "Stale file handle" "reading of what was deleted"
assert_fails ls "$two"
assert_contains "$stderr" "No such file"
is_held 2 || fail "a snapshot went though a file of it is open"
exec 3<&-
assert_fails client control mnt delete two
assert_same_trees was "$one"
client control mnt snapshot two >out
assert_same_trees mnt "$two" # of the same name, and not what was there before
# the kernel lets go of what nobody uses, and so does the daemon
held=$(held_snapshots)
client control mnt delete two
client control mnt delete one
wait_for 10 is_held $((held - 2)) || fail "snapshots held: $(held_snapshots) of $held"
client control mnt snapshot left-over >out
echo changed again >mnt/sparse
unmount mnt
assert_eq "$(ls -A source/.mirrorfs/preserve)" "" "what is left of snapshots"
