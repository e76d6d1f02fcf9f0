#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# what can't work is refused with one line that names the thing and the way out
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt source/inner outer outer/source
touch file

# refused CODE TEXT ARGUMENT...: exits with CODE and says TEXT, on one line
refused() {
	local wanted=$1 text=$2
	shift 2
	assert_fails "$MIRRORFS" "$@"
	assert_eq "$code" "$wanted" "exit code of: $*"
	assert_one_line "$stderr"
	assert_contains "$stderr" "mirrorfs: "
	assert_contains "$stderr" "$text"
}

refused 2 "--help"
refused 2 "no mount point" source
refused 2 "'extra'" source mnt extra
refused 2 "read option 'nonsense': unknown, see mirrorfs --help" source mnt -o nonsense
refused 2 "read option 'nonsense=3': unknown, see" source mnt -o rw,nonsense=3
refused 2 "read option '-x': unknown, see" source mnt -x
refused 2 "read option 'max_read=131072': not supported" source mnt -o max_read=131072
refused 2 "region_size must be at least block_size" source mnt -o block_size=2M,region_size=1M
for size in 0 1 3K 2K 4M 64k64 -4096 4096.0 abc "" 99999999999999999999; do
	refused 2 "block_size=$size" source mnt -o "block_size=$size"
done
refused 2 "region_size=5M" source mnt -o region_size=5M
refused 2 "region_size=512K" source mnt -o region_size=512K
for interval in 0 -1 x 1x 3601; do
	refused 2 "save_interval=$interval" source mnt -o "save_interval=$interval"
done

refused 1 "open source 'nosuch': no such file or directory; make it first, or" nosuch mnt
refused 1 "mount 'nosuch': no such file or directory; make it first, or" source nosuch
refused 1 "open source 'file': not a directory" file mnt
refused 1 "mount 'file': not a directory" source file
refused 1 "inside the source" source source/inner
refused 1 "lies inside it" outer/source outer
ln -s source/inner link
refused 1 "inside the source" source link
assert_eq "$(ls -A source)" inner "left by those that were refused"

# a state directory is neither a source nor a mount point, by any name
mkdir -p state/.mirrorfs/bitmaps near/.mirrorfs.old
ln -s state/.mirrorfs alias
for dir in state/.mirrorfs state/.mirrorfs/. alias; do
	refused 1 "it is the state directory of a source or replica; give the directory above it" "$dir" mnt
	refused 1 "mount '$work/state/.mirrorfs': it is the state directory" source "$dir"
done
refused 1 "in '$work/state/.mirrorfs', the state directory" state/.mirrorfs/bitmaps mnt
refused 1 "in '$work/state/.mirrorfs', the state directory" source alias/bitmaps
refused 1 "it is the state directory" state state/.mirrorfs
assert_eq "$(find state)" "$(printf 'state\nstate/.mirrorfs\nstate/.mirrorfs/bitmaps')"
mount_source near/.mirrorfs.old mnt
unmount mnt

if [ "$(id -u)" = 0 ]; then
	mkdir full
	mount -t tmpfs -o nr_inodes=2,size=64k none full
	cleanup_fn umount "$work/full"
	touch full/file
	refused 1 "no space left on device; make room on that filesystem" full mnt

	# a filesystem without user xattrs
	mkdir noxattr
	mount -t ramfs none noxattr
	cleanup_fn umount "$work/noxattr"
	refused 1 "xattr" noxattr mnt
fi

mount_source source mnt
refused 1 "mounted there already" source mnt
refused 1 "fusermount3 -u" outer mnt
refused 1 "mirrorfs on '$work/mnt'" source outer
refused 1 "; unmount it first: fusermount3 -u '$work/mnt'" source outer
mkdir mnt/below
refused 1 "lies in a mirrorfs mount" mnt/below outer
refused 1 "lies in a mirrorfs mount" mnt outer
unmount mnt
mount_source source
refused 1 "mounted there already" source source
unmount source

# sizes that are right, in every spelling
for size in 4096 4K 4k 2M 2048K; do
	mount_source source mnt "block_size=$size"
	unmount mnt
done
assert_eq "$("$MIRRORFS" --help | head -1)" "usage: mirrorfs SOURCE MOUNTPOINT [options]"
assert_contains "$("$MIRRORFS" -V)" "mirrorfs "
[ ! -w /dev/full ] || assert_fails sh -c "'$MIRRORFS' --help >/dev/full"
