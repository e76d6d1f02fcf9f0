#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two QEMUs on one image collide, just as they do without mirrorfs: the same commands are
# run on images beside the mount, and say the same.
#
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires qemu-img qemu-io getfattr getfacl

mkdir images plain
mount_source images

# Each has a fifo for its commands, so that it stays until it is told to quit.
openers=()
end_openers() {
	local pid
	for pid in "${openers[@]}"; do
		stop_process "$pid"
	done
}
cleanup_fn end_openers

# open_image DIR FORMAT: a qemu-io that has it open for writing, as $opener, on $to
open_image() {
	rm -f commands opened
	mkfifo commands
	qemu-io -f "$2" "$1/disk.$2" <commands >opened 2>&1 &
	opener=$!
	openers+=("$opener")
	exec {to}>commands
	echo 'write -P 7 0 64k' >&"$to"
	wait_for 20 grep -q 'wrote 65536' opened || fail "qemu-io: $(cat opened)"
}

close_image() {
	echo quit >&"$to"
	exec {to}>&-
	wait "$opener" || fail "qemu-io: $(cat opened)"
	openers=()
}

# second_user DIR FORMAT: how a number of commands fare, that would use it as well
second_user() {
	local dir=$1 format=$2 command code
	local commands=(
		"qemu-io -f $format -c quit $dir/disk.$format"
		"qemu-io -f $format -c quit $dir/linked.$format"
		"qemu-io -t none -f $format -c quit $dir/disk.$format"
		"qemu-img resize -q -f $format $dir/linked.$format +1M"
		"qemu-img check -q -f qcow2 -r all $dir/disk.$format"
		"qemu-img convert -q -f $format -O raw $dir/disk.$format $dir/converted"
		"qemu-img convert -q -n -f raw -O $format $dir/other $dir/disk.$format"
		"qemu-img info $dir/disk.$format"
		"qemu-img info -U $dir/disk.$format"
		"qemu-io -U -r -f $format -c quit $dir/disk.$format"
	)
	for command in "${commands[@]}"; do
		code=0
		# shellcheck disable=SC2086
		$command >out 2>err || code=$?
		echo "${command//$dir\//}: exit code $code"
		sed "s|$dir/||g" err
	done
}

for format in raw qcow2; do
	for dir in images plain; do
		qemu-img create -q -f $format $dir/disk.$format 64M
		qemu-img create -q -f raw $dir/other 1M
		ln $dir/disk.$format $dir/linked.$format
		open_image $dir $format
		second_user $dir $format >"$dir.$format"
		close_image
		# free again
		qemu-io -f $format -c 'write -q -P 8 1M 64k' $dir/linked.$format >/dev/null
	done
	diff -u plain.$format images.$format >&2 || fail "$format: not as without mirrorfs"
	cat images.$format
done
collisions=$(grep -c 'Failed to get "write" lock' images.qcow2) || true
[ "$collisions" -ge 3 ] || fail "only $collisions collisions"

echo "a sync minds nobody's lock"
open_image images qcow2
sync_trees images replica
close_image
sync_trees images replica
assert_same_trees images replica
unmount images
