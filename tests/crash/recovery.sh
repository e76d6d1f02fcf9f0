#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 with very many images in use: a mount after it does not look at them, status and the
# first sync do a bounded number of things for each, and what the sync has to look at is what
# status had said a crash would cost (armed_bytes), and no more.  Times are told, not judged.
#
# IMAGES: how many.
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
requires_fuse
requires_strace
requires jq getfattr getfacl diff

images=${IMAGES:-1000}
ulimit -Sn $((images + 200)) || skip "so many files can't be open"
region=$((1 << 20))
traced=openat,fsync,fdatasync,pread64,pwrite64,pwritev2,renameat

# calls NAME: how many of those the traced mirrorfs has begun since the last mark
calls() {
	tail -c +"$mark" trace | grep -c "$1(" || true
}

mark_here() {
	mark=$(($(stat -c %s trace) + 1))
}

# at_most GOT LIMIT WHAT
at_most() {
	[ "$1" -le "$2" ] || fail "$3: $1, more than $2"
}

seconds() {
	local began=${EPOCHREALTIME/[.,]/} what=$1
	shift
	"$@"
	printf '%s: %d ms\n' "$what" $(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}

armed_bytes() {
	jq '[.source.images[].armed_bytes] | add' "$1"
}

read_status() {
	"$MIRRORCTL" status --json s >status.json
}

mkdir s
for ((i = 0; i < images; i++)); do
	truncate -s 2M "s/image$i"
done
mount_source s s region_size=1M,save_interval=3600
seconds "sync of $images images" "$MIRRORCTL" sync --quiet s d
read_status
assert_eq "$(armed_bytes status.json)" 0 "armed bytes at rest"

fds=()
for ((i = 0; i < images; i++)); do
	exec {fd}<>"s/image$i"
	fds+=("$fd")
	printf 'written %d' "$i" >&"$fd"
done
read_status
armed=$(armed_bytes status.json)
assert_eq "$armed" $((images * region)) "armed bytes"
assert_eq "$("$MIRRORCTL" sync --dry-run --json s d | jq .armed_bytes)" "$armed" "armed bytes, by sync"

kill -KILL "${daemon_of[$work/s]}"
wait "${daemon_of[$work/s]}" 2>/dev/null || true
for fd in "${fds[@]}"; do
	exec {fd}>&- || true
done
fusermount3 -u -z s

# nobody there: it is known from the sidecars
seconds "status, unmounted" read_status
assert_eq "$(armed_bytes status.json)" "$armed" "armed bytes after the crash"
assert_eq "$(jq '.source.replicas[0].dirty_bytes' status.json)" "$armed" "dirty bytes"
"$MIRRORCTL" sync --dry-run --json s d >sync.json
assert_eq "$(jq .armed_bytes sync.json)" "$armed" "armed bytes, by a dry run"
assert_eq "$(jq .bytes_scanned sync.json)" "$armed" "bytes that a sync would look at"

: >trace
mark_here
began=${EPOCHREALTIME/[.,]/}
strace -D -f -qq -o trace -e trace=$traced "$MIRRORFS" -f "$work/s" "$work/s" \
	-o region_size=1M,save_interval=3600 2>log &
pid=$!
cleanup_fn drop_mount "$work/s" "$pid"
log_of[$work/s]=$work/log
wait_for 60 mounted_or_dead "$work/s" "$pid" || fail "mount takes too long"
is_mounted "$work/s" || fail "mount: $(cat log)"
[ -d s/. ]
printf 'mount: %d ms, %d calls\n' $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) "$(wc -l <trace)"
at_most "$(wc -l <trace)" 250 "calls of a mount, whatever the number of images"

mark_here
seconds "first status" read_status
assert_eq "$(jq '.source.replicas[0].dirty_bytes' status.json)" "$armed" "dirty bytes, mounted"
seconds "first sync" sync_trees s d
assert_eq "$(synced bytes_scanned)" "$armed" "bytes that the sync looked at"
# all of it but the block in each image that was written to and saved before the crash
[ "$(synced crash_bytes)" -ge $((armed - images * 65536)) ] || fail "crash_bytes: $(synced crash_bytes)"
at_most "$(synced crash_bytes)" "$armed" "crash_bytes"
at_most "$(synced bytes_copied)" $((images * 65536)) "bytes that the sync copied"
for call in openat fsync fdatasync pread64 pwrite64 pwritev2 renameat; do
	printf '%s: %d\n' $call "$(calls $call)"
done
at_most "$(calls fsync)" $((4 * images + 100)) "fsyncs"
at_most "$(calls openat)" $((14 * images + 500)) "opens"
at_most "$(calls pread64)" $((12 * images + 500)) "reads"
at_most "$(calls renameat)" $((2 * images + 50)) "renames"

mark_here
seconds "second sync" sync_trees s d
at_most "$(synced bytes_copied)" 0 "bytes copied for nothing"
at_most "$(synced bytes_scanned)" 0 "bytes looked at for nothing"
at_most "$(synced crash_bytes)" 0 "bytes of a crash that is past"
at_most "$(calls fsync)" 50 "fsyncs for nothing"

fusermount3 -u s
code=0
wait "$pid" || code=$?
assert_eq "$code" 0 "exit code"
assert_same_trees s d
