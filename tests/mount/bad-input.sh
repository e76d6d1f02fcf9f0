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
refused 2 "nonsense" source mnt -o nonsense
refused 2 "nonsense" source mnt -o rw,nonsense=3
refused 2 "-x" source mnt -x
for size in 0 1 3K 2K 4M 64k64 -4096 4096.0 abc "" 99999999999999999999; do
	refused 2 "block_size=$size" source mnt -o "block_size=$size"
done
refused 2 "region_size=5M" source mnt -o region_size=5M
refused 2 "region_size=512K" source mnt -o region_size=512K
for interval in 0 -1 x 1x 3601; do
	refused 2 "save_interval=$interval" source mnt -o "save_interval=$interval"
done

refused 1 "open source 'nosuch': No such file" nosuch mnt
refused 1 "mount 'nosuch': No such file" source nosuch
refused 1 "open source 'file': Not a directory" file mnt
refused 1 "mount 'file': Not a directory" source file
refused 1 "inside the source" source source/inner
refused 1 "lies inside it" outer/source outer
ln -s source/inner link
refused 1 "inside the source" source link
assert_eq "$(ls -A source)" inner "left by those that were refused"

# a filesystem without user xattrs
if [ "$(id -u)" = 0 ]; then
	mkdir noxattr
	mount -t ramfs none noxattr
	cleanup_fn umount "$work/noxattr"
	refused 1 "xattr" noxattr mnt
fi

mount_source source mnt
refused 1 "mounted there already" source mnt
refused 1 "fusermount3 -u" outer mnt
refused 1 "mirrorfs on '$work/mnt'" source outer
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
