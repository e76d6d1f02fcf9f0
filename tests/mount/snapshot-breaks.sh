#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a snapshot needs can't be preserved: the limit is reached, the disk is full, it gives errors,
# it hangs.  The guest notices nothing: all of its writes succeed.  The snapshot breaks, its
# readers get EIO, the list has the reason, and others can be made.  A sync that meets it says so
# with an exit code of its own, its replica stays at the checkpoint where it was, and the next sync
# copies no more than what has changed.
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
requires_fuse
requires_strace
requires mkfs.ext4 fsfreeze jq getfattr getfacl diff
own_mounts

snapshots=m/.mirrorfs/snapshot
mib=$((1 << 20))
pieces=0

# --- the guest, who has one image, and what he knows of it

# new_piece N: what so many MiB of it are to be overwritten with
new_piece() {
	pieces=$((pieces + 1))
	random_file piece$pieces $(($1 * mib))
	mv piece$pieces piece
}

# Every single write must succeed.
cat >overwrite <<-'end'
	dd if=piece of=m/a bs=64K conv=notrunc status=none &&
		dd if=piece of=shadow bs=1M conv=notrunc status=none
end

overwrite() { # N
	new_piece "$1"
	sh ./overwrite || fail "a write of the guest"
	assert_same_file m/a shadow
}

# in_source NMIB [OPTIONS]: mounts the source s, with an image that has a replica, on m
in_source() {
	random_file s/a $(($1 * mib))
	cp s/a shadow
	mount_source s m "${2-}"
	sync_trees m d
}

out_of_source() {
	unmount m
	rm -rf d
}

# --- what is seen of a snapshot that breaks

info() { # NAME FIELD
	"$MIRRORCTL" snapshot list --json m |
		jq -r --arg name "$1" '.snapshots[] | select(.name == $name) | .'"$2"
}

is_broken() {
	[ "$(info "$1" broken)" = true ]
}

# Soon after it broke.
is_given_back() {
	[ "$(info "$1" preserved_bytes)" = 0 ]
}

# assert_broken NAME REASON: where writing fails, that may come after the guest's own write
assert_broken() {
	wait_for 10 is_broken "$1" || fail "snapshot $1 doesn't break"
	# what is in the page cache is as true as ever
	assert_fails dd if="$snapshots/$1/a" iflag=direct bs=1M status=none
	assert_contains "$stderr" "Input/output error" "reader of a broken snapshot"
	assert_contains "$(info "$1" reason)" "$2" "reason"
}

# assert_kept N: another snapshot keeps what it was while so many MiB are overwritten
assert_kept() {
	cp shadow before
	"$MIRRORCTL" snapshot create m kept >/dev/null
	overwrite "$1"
	assert_same_file "$snapshots/kept/a" before
	"$MIRRORCTL" snapshot delete m kept
}

# snapshot_breaks REASON N: when so many MiB are overwritten; leaves it there, as "x"
snapshot_breaks() {
	"$MIRRORCTL" snapshot create m x >/dev/null
	assert_same_file "$snapshots/x/a" shadow
	overwrite "$2"
	assert_broken x "$1"
	wait_for 60 is_given_back x || fail "a broken snapshot still has $(info x preserved_bytes) bytes"
	overwrite "$2"
	"$MIRRORCTL" snapshot create m y >/dev/null
	assert_same_file "$snapshots/y/a" shadow
	"$MIRRORCTL" snapshot delete m y
	info x reason
}

checkpoint_of_replica() {
	"$MIRRORCTL" status --json d | jq -c .replica.checkpoint
}

# sync_breaks REASON N: when the guest overwrites all of the delta before it is read
sync_breaks() {
	local before code=0
	overwrite "$2"
	new_piece "$2"
	before=$(checkpoint_of_replica)
	"$MIRRORCTL" sync --json --post-hook "cd '$work' && sh ./overwrite" m d >sync.json \
		2>sync.err || code=$?
	assert_eq "$code" 4 "exit code of a sync whose snapshot breaks: $(cat sync.err)"
	assert_contains "$(cat sync.err)" "$1"
	assert_eq "$(checkpoint_of_replica)" "$before" "the replica's checkpoint"
	assert_same_file m/a shadow
}

# sync_mends N: incremental, as all is well again
sync_mends() {
	sync_trees m d
	[ "$(synced bytes_copied)" -le $((($1 + 1) * mib)) ] || fail "not incremental: $(cat sync.json)"
	assert_same_trees m d
	assert_verified m d
}

# --- disks

drop_disk() { # MOUNTPOINT
	umount -l "$1" 2>/dev/null
}

thaw() { # MOUNTPOINT
	fsfreeze -u "$1" 2>/dev/null
}

# mount_disk MOUNTPOINT SIZE
mount_disk() {
	local disk=$work/${1##*/}.disk
	truncate -s "$2" "$disk"
	mkfs.ext4 -q -m 0 -b 4096 -I 256 "$disk"
	cleanup_fn drop_disk "$work/$1"
	mount -o loop "$disk" "$1"
}

available() { # DIR
	df -B 1 --output=avail "$1" | tail -n 1
}

has_available() { # DIR NBYTES
	[ "$(available "$1")" -ge "$2" ]
}

# --- tracing the daemon

tracer=''

# begin_tracing PID OPTION...: a thread, or with -f all of a process
begin_tracing() {
	local pid=$1
	shift
	: >trace
	strace -qq -o trace "$@" -p "$pid" &
	tracer=$!
	wait_for 30 grep -q 'TracerPid:.*[1-9]' "/proc/$pid/status" || fail "strace can't trace"
}

end_tracing() {
	[ -z "$tracer" ] || stop_process "$tracer"
	tracer=''
}

# The thread that preserves: nobody else removes anything here.
find_thread() {
	begin_tracing "${daemon_of[$work/m]}" -f -e trace=unlinkat
	assert_kept 1
	end_tracing
	thread=$(sed -n 's/^\([0-9]*\) *unlinkat(.*/\1/p' trace | sort -u)
	assert_one_line "$thread"
}

mkdir s m

limit() {
	in_source 12 preserve_limit=2M
	snapshot_breaks preserve_limit 6
	assert_kept 1
	"$MIRRORCTL" snapshot delete m x
	sync_breaks preserve_limit 6
	sync_mends 6
	assert_kept 2
	out_of_source
}

# Guests have all of the space that there is, but for what is preserved, and for that there is
# less than all: so much is free that some can be preserved and not all.
full_disk() {
	local reserve room
	mount_disk s 64M
	in_source 16 save_interval=15
	reserve=$(($(df -B 1 --output=size s | tail -n 1) / 20))
	room=$((reserve + 3 * mib))
	fallocate -l $(($(available s) - room)) s/filler
	# at once, before what was preserved is given back
	"$MIRRORCTL" snapshot create m x >/dev/null
	overwrite 12
	head -c $((reserve - mib)) /dev/zero >m/more || fail "a write into space that is kept for guests"
	rm m/more
	assert_broken x "kept for guests"
	"$MIRRORCTL" snapshot delete m x

	snapshot_breaks "kept for guests" 12
	"$MIRRORCTL" snapshot delete m x
	sync_breaks "kept for guests" 12
	sync_mends 12

	# what was preserved is given back; then the disk is full, and all goes on in place
	wait_for 30 has_available s $((room - mib)) || fail "$(available s) of $room bytes are free"
	"$MIRRORCTL" snapshot create m x >/dev/null
	overwrite 1
	head -c $((room - 3 * mib)) /dev/zero >m/more || fail "a write into free space"
	assert_fails dd if=/dev/zero of=m/more bs=64K oflag=append conv=notrunc status=none
	assert_contains "$stderr" "No space left"
	has_available s $mib && fail "$(available s) bytes are free, and a guest can't have them"
	overwrite 12
	assert_broken x "kept for guests"
	rm m/more
	"$MIRRORCTL" snapshot delete m x
	assert_kept 1
	out_of_source
	umount s
}

errors() {
	in_source 12
	find_thread
	cleanup_fn end_tracing
	begin_tracing "$thread" -e trace=pwrite64 -e inject=pwrite64:error=EIO
	snapshot_breaks "input/output error" 6
	sync_breaks "input/output error" 6
	end_tracing
	sync_mends 6
	assert_kept 6
	"$MIRRORCTL" snapshot delete m x
	out_of_source
}

is_free() {
	"$MIRRORCTL" status s >/dev/null 2>&1
}

# The end doesn't wait for it: bitmaps are saved, and the source is free for others.
stall_at_the_end() {
	mount_disk s/.mirrorfs/preserve 200M
	in_source 80 preserve_timeout=1
	cleanup_fn thaw "$work/s/.mirrorfs/preserve"
	fsfreeze -f s/.mirrorfs/preserve
	"$MIRRORCTL" snapshot create m x >/dev/null
	overwrite 2
	wait_for 10 fusermount3 -u m 2>/dev/null || fail "unmount: $(fusermount3 -u m 2>&1)"
	wait_for 30 is_free || fail "not free: $("$MIRRORCTL" status s 2>&1)"
	fsfreeze -u s/.mirrorfs/preserve
	wait "${daemon_of[$work/m]}" || fail "daemon: exit code $?"
	umount s/.mirrorfs/preserve
	mount_source s m
	sync_mends 2
	out_of_source
}

# More is overwritten than fits in memory, and nothing can be written.
stall() {
	mount_disk s/.mirrorfs/preserve 200M
	in_source 80 preserve_timeout=1
	cleanup_fn thaw "$work/s/.mirrorfs/preserve"
	fsfreeze -f s/.mirrorfs/preserve
	snapshot_breaks preserve_timeout 76
	sync_breaks preserve_timeout 76
	fsfreeze -u s/.mirrorfs/preserve
	sync_mends 76
	"$MIRRORCTL" snapshot delete m x
	assert_kept 6
	out_of_source
	umount s/.mirrorfs/preserve
}

for condition in limit errors full_disk stall stall_at_the_end; do
	echo "--- $condition"
	$condition
done
