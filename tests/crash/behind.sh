#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300
# behind.sh - what is done to images behind the mount's back is noticed, and said
#
# While nothing is mounted images are written to, replaced, truncated, restored, copied with
# their ids, hard-linked and renamed: after a clean end, and after a crash with all of them
# open for writing.  Each is noticed by the next sync, with or without a mount before it;
# images that nobody touched stay incremental.
. "$(dirname "$0")/../cli/common.bash"
requires_fuse

images=(written same-times shorter longer replaced restored copied linked renamed alone)
mib=$((1 << 20))
mkdir s
for i in "${images[@]}"; do
	random_file "s/$i" $((20 * mib))
done
cp -a --preserve=xattr s/restored backup

# guests: every image is open for writing, one block of it written to
open_all() {
	local fd=20 i
	for i in "${images[@]}"; do
		eval "exec $fd<>'s/$i'"
		printf 'guest %s' $RANDOM >&$fd
		fd=$((fd + 1))
	done
}

close_all() {
	local fd
	for ((fd = 20; fd < 20 + ${#images[@]}; fd++)); do
		eval "exec $fd>&-"
	done
}

crash() {
	kill -KILL "${daemon_of[$work/s]}"
	wait "${daemon_of[$work/s]}" 2>/dev/null || true
	close_all 2>/dev/null || true
	fusermount3 -u -z s
}

write_at() { # FILE: one byte, far from where guests write
	printf '%s' "$RANDOM" | dd of="$1" bs=1 seek=15M oflag=seek_bytes conv=notrunc status=none
}

meddle() {
	write_at s/written
	# mtime can be put back, ctime can't
	touch -r s/same-times times
	write_at s/same-times
	touch -r times s/same-times
	truncate -s $((5 * mib)) s/shorter
	truncate -s $((25 * mib)) s/longer
	random_file new $((20 * mib))
	mv new s/replaced
	cp -a --preserve=xattr backup s/restored
	cp -a --preserve=xattr s/copied s/the-copy
	rm -f s/the-link && ln s/linked s/the-link
	mv s/renamed s/renamed.new && mv s/renamed.new s/renamed
}

# check REASON: of all that was meddled with; one more for what came by rename, cp or mv
check() {
	assert_eq "$(json '[.full_copies[] | select(.expected | not) | .path, .reason] | join(" ")')" \
		"$(for i in linked longer renamed restored same-times shorter written; do
			echo "$i $1"
		done | xargs)" "full copies"
	assert_eq "$(json '[.full_copies[] | select(.expected) | .path] | join(" ")')" \
		"${2-replaced the-copy}" "images that are new"
	assert_equal_trees s d
	must_sync 0 s d
	assert_eq "$(json '.full_copies | length')" 0 "full copies of the sync after"
	assert_eq "$(json '.bytes_copied')" 0 "bytes copied by the sync after"
}

mount_source s
must_sync 0 s d
open_all
close_all
must_sync 0 s d
unmount s
meddle
must_sync 3 s d
check changed-behind-mount
rm s/the-copy s/the-link
must_sync 3 s d # a link's going moves the ctime of the other

# a crash; and what vouches for open images has run out before anybody meddles
for mounted in no yes; do
	mount_source s
	open_all
	must_sync 0 s d
	for fd in 20 21 22 29; do
		printf 'again' >&$fd
	done
	crash
	"$MIRRORCTL" status --json s >status.json
	[ "$(json '[.source.images[].armed_bytes] | add' status.json)" -ge $((16 * mib)) ] ||
		fail "no armed bytes after a crash: $(cat status.json)"
	sleep 31
	meddle
	[ $mounted = no ] || mount_source s
	# what is said beforehand, is what it comes to
	"$MIRRORCTL" status --json s >status.json
	assert_eq "$(json '.source.images[] | select(.path == "written") | .reason' status.json)" \
		changed-after-crash "reason by status, mounted: $mounted"
	must_sync 3 s d --dry-run
	must_sync 3 s d
	[ "$(json .crash_bytes)" -gt 0 ] || fail "no crash_bytes"
	# the one that only its guest had written to
	[ "$(json '.full_copies[] | select(.path == "alone")')" = "" ] || fail "alone was copied in full"
	check changed-after-crash
	"$MIRRORCTL" status --json s >status.json
	assert_eq "$(json '[.source.images[].crash_bytes] | add' status.json)" 0 "crash bytes, synced"
	[ $mounted = no ] || unmount s
	rm s/the-copy s/the-link
	must_sync 3 s d
done
