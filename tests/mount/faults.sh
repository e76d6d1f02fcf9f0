#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# System calls of a running mirrorfs fail: at mount, while a client writes, in the keeper, at
# a sync's checkpoint, at unmount.  What the client was told is written is in the source,
# whatever failed was told, and the next sync without faults makes the replica what the
# source is.
#
# FAULTS: how many faults, chosen at random; or "all": every call, until there are none left
# that could fail (that takes an hour).
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
requires_fuse
requires_strace
requires jq getfattr getfacl diff

echo "SEED=$SEED"
RANDOM=$((SEED % 32768))

calls=(pwrite64 pwritev2 fsync openat renameat unlinkat getxattr pread64 getdents64 newfstatat
	mkdirat fcntl)
block=65536
faulty_pid=''
faults=0
runs=0
refused=0
failed_mounts=0
failed_syncs=0
failed_ends=0

end_faulty() {
	fusermount3 -u -z -q "$work/m" 2>/dev/null
	[ -z "$faulty_pid" ] || stop_process "$faulty_pid"
}
cleanup_fn end_faulty

# put IMAGE BLOCK: as a client.  Where it fails nothing is known of that block.
put() {
	n=$((n + 1))
	random_file "block$((n % 50))" $block
	printf '%08d' "$n" | dd of="block$((n % 50))" conv=notrunc status=none
	if dd if="block$((n % 50))" of="m/$1" bs=$block seek="$2" conv=notrunc status=none \
		2>>client.err; then
		dd if="block$((n % 50))" of="shadow/$1" bs=$block seek="$2" conv=notrunc status=none
	else
		refused=$((refused + 1))
		unknown+=("$1 $2")
	fi
}
n=0

fired() {
	grep -q INJECTED "$work/trace"
}

# start_faulty CALL ERROR WHEN: 1 if there is no mount then
start_faulty() {
	: >trace
	# the tracer is a child of its own, so that this is mirrorfs's process id
	strace -D -f -qq -o trace -e trace="$1" -e inject="$1:error=$2:when=$3" \
		"$MIRRORFS" -f "$work/s" "$work/m" -o save_interval=1,region_size=1M 2>log &
	faulty_pid=$!
	wait_for 60 mounted_or_dead "$work/m" "$faulty_pid" || fail "mount takes too long: $(cat log)"
	is_mounted "$work/m" && kill -0 "$faulty_pid" 2>/dev/null
}

wait_for_end() {
	local code=0
	wait "$faulty_pid" || code=$?
	faulty_pid=''
	[ $code -lt 124 ] || [ $code = 127 ] || fail "mirrorfs: exit code $code: $(cat log)"
	[ $code = 0 ] || [ -s log ] || fail "mirrorfs: exit code $code, and not a word"
	return $code
}

# The client's part, and a sync in the middle of it.
use_it() {
	local code=0
	put a 3
	put a 60
	put b 10
	put a 3
	sleep 1.2
	put a 5
	timeout 100 "$MIRRORCTL" sync --quiet m d 2>sync.err || code=$?
	case $code in
	0 | 3) ;;
	1) [ -s sync.err ] || fail "a sync failed without a word"
		failed_syncs=$((failed_syncs + 1)) ;;
	*) fail "sync: exit code $code: $(cat sync.err)" ;;
	esac
	put b 70
	put a 5
}

# What is known of the source by its clients is there.
check_source() {
	local it
	for it in "${unknown[@]}"; do
		# shellcheck disable=SC2086
		set -- $it
		dd if="s/$1" of="shadow/$1" bs=$block skip="$2" seek="$2" count=1 conv=notrunc \
			status=none
	done
	assert_same_file s/a shadow/a
	assert_same_file s/b shadow/b
}

# run CALL ERROR WHEN: 1 if nothing failed, for there is no such call
run() {
	local code=0
	unknown=()
	runs=$((runs + 1))
	if start_faulty "$@"; then
		use_it
		wait_for 20 fusermount3 -u m 2>/dev/null || fail "unmount: $(fusermount3 -u m 2>&1)"
		wait_for_end || failed_ends=$((failed_ends + 1))
	else
		wait_for_end && fail "no mount, and exit code 0"
		! is_mounted "$work/m" || fail "a mount without a daemon: $(cat log)"
		failed_mounts=$((failed_mounts + 1))
	fi
	check_source
	fired && code=0 || code=1
	[ $code != 0 ] || faults=$((faults + $(grep -c INJECTED trace)))

	# without faults all is well again, and a lost history has its reason
	mount_source s m save_interval=1
	put a 7
	[ "${#unknown[@]}" = 0 ] || unknown=()
	"$MIRRORCTL" sync --json m d >sync.json 2>sync.err || [ $? = 3 ] ||
		fail "sync after a fault: $(cat sync.err)"
	[ "$(jq '[.full_copies[] | select(.reason == null)] | length' sync.json)" = 0 ] ||
		fail "a full copy without a reason: $(cat sync.json)"
	put a 9
	unmount m
	"$MIRRORCTL" sync --json s d >sync.json 2>sync.err || fail "sync, 2nd after a fault: $(cat sync.err)"
	[ "$(jq .bytes_copied sync.json)" -le $((2 * block)) ] ||
		fail "not incremental again: $(cat sync.json)"
	assert_same_trees s d
	check_source
	return $code
}

say() {
	[ "$1" = 0 ] || printf '%s %s when=%s: no such call\n' "$2" "$3" "$4"
}

mkdir s m shadow
random_file s/a $((8 << 20))
random_file s/b $((5 << 20))
cp s/a s/b shadow/
mount_source s m
"$MIRRORCTL" sync --quiet m d
unmount m

errors=(EIO ENOSPC EIO ENOMEM)
if [ "${FAULTS-}" = all ]; then
	for call in "${calls[@]}"; do
		for error in EIO ENOSPC; do
			for ((when = 1; when < 1000; when++)); do
				run "$call" $error $when || break
				run "$call" $error $when+ || break
			done
			echo "$call $error: $((when - 1))"
		done
	done
else
	for ((i = 0; i < ${FAULTS:-14}; i++)); do
		call=${calls[RANDOM % ${#calls[@]}]}
		error=${errors[RANDOM % ${#errors[@]}]}
		when=$((1 + RANDOM % (RANDOM % 2 ? 3 : 9)))
		[ "$call" != openat ] || when=$((when + 30)) # not the dynamic linker's
		[ $((RANDOM % 3)) != 0 ] || when=$when+
		code=0
		run "$call" "$error" "$when" || code=1
		say $code "$call" "$error" "$when"
		[ $code != 0 ] || echo "$call $error when=$when: $(grep -c INJECTED trace)"
	done
fi
echo "$runs runs, $faults faults: $refused writes refused, $failed_mounts mounts," \
	"$failed_syncs syncs and $failed_ends ends failed"
[ "$faults" -gt 0 ] || fail "nothing ever failed"
