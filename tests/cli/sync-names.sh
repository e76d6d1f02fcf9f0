#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-names.sh - renames, swaps, cycles, kinds that change, links, odd names
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir -p s/x/y s/keep
for i in 1 2 3 4 5; do
	random_file "s/i$i" 100000
done
random_file s/x/y/deep 200000
ln s/i4 s/x/i4-link
ln -s i1 s/sym
ln -s nowhere s/x/dangling
mkfifo s/fifo
mount_source s
must_sync 0 s d
assert_equal_trees s d

# step WHAT: after changes to names only
step() {
	must_sync 0 s d
	assert_eq "$(json .bytes_copied)" 0 "$1: bytes_copied"
	assert_equal_trees s d
	[ ! -e d/.mirrorfs/moving ] || fail "$1: moving is left over"
}

mv s/i1 s/t && mv s/i2 s/i1 && mv s/t s/i2
step swap
mv s/i1 s/t && mv s/i2 s/i1 && mv s/i3 s/i2 && mv s/t s/i3
step cycle
mkdir -p s/p/q/r && mv s/x/y/deep s/p/q/r/ && rmdir s/x/y
step "deep move"
mv s/i5 s/t && mkdir s/i5 && mv s/t s/i5/inside
step "file becomes directory"
mv s/i5/inside s/t && rmdir s/i5 && mv s/t s/i5
step "directory becomes file"
mv s/p s/p2
step "directory renamed"
ln s/i1 s/keep/one && ln s/i1 s/keep/two
step "links made"
rm s/i1 && mv s/keep/one s/i1b
step "links moved"
rm s/x/i4-link
step "link removed"
ln -sfn i2 s/sym && rm s/x/dangling && mkdir s/x/dangling
step "symlink changed"
rm s/fifo && ln -s i2 s/fifo
step "fifo becomes symlink"
mv s/i2 s/t2 && mv s/sym s/i2
step "symlink in the place of an image"
rm -r s/x s/p2/q/r/deep
step removed
rm -rf s/* && touch -d @1700000000 s
step "all removed"

# names that are hard to print, to pass on, or to sort
for name in $'new\nline' $'tab\tbed' $'bytes\xff\xfe' -dash '--json' ' ' "quote'\"" 'back\slash' \
	'a' 'a-b' 'a.b' $'esc\e[31m' 'tröt' "$(printf 'n%.0s' {1..255})"; do
	printf '%s' "$name" >"s/$name"
done
mkdir s/a-dir s/a-dir/b s/a-dir-b && echo 1 >s/a-dir/b/c
must_sync 0 s d
assert_equal_trees s d
assert_eq "$(json '.full_copies | length')" 15 full_copies
assert_eq "$(json '[.full_copies[] | select(.path_escaped)] | length')" 1 "escaped paths"
assert_eq "$(json '.full_copies[] | select(.path_escaped).path')" 'bytes\xff\xfe' "escaped path"
json '.full_copies[].path' | grep -qx 'back\\slash' || fail "a name in UTF-8 is given as it is"

# paths that are longer than what one system call takes
(
	cd s
	for ((i = 0; i < 30; i++)); do
		mkdir "$(printf 'l%.0s' {1..200})"
		cd "$(printf 'l%.0s' {1..200})"
	done
	echo deep >bottom
)
must_sync 0 s d
must_sync 0 s d
assert_eq "$(json .names_changed)" 0 names_changed
"$MIRRORCTL" verify s d || fail verify
unmount s
