#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bwlimit.sh - no faster than --bwlimit says, by whatever means; and stopped at once while it waits
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s
random_file s/a 4000000

# no_faster SECONDS VERB ARGUMENT...: what a limit of 2 MiB/s is for, with its exit code in $code.  A busy
# machine takes longer; nothing but the limit keeps it from being faster.
no_faster() {
	local least=$1
	shift
	code=0
	"$MIRRORCTL" "$@" --bwlimit 2M --json >sync.json 2>err || code=$?
	[ "$code" -lt 126 ] || fail "$*: exit code $code: $(cat err)"
	if [ "$1" != restore ] && [ "$1" != recover ]; then
		jq -e ".seconds >= $least" sync.json >/dev/null ||
			fail "$*: took $(json .seconds) s, for which it needs $least"
	fi
}

# 4,000,000 bytes at 2 MiB/s are 1.9 s, but for the last piece and the first moment
for options in "" "--in-place" "--threads 1" "--threads 64"; do
	rm -rf d
	# shellcheck disable=SC2086
	no_faster 1.6 sync $options s d
	assert_eq "$code" 0 "$options: exit code"
	assert_equal_trees s d
done
no_faster 1.6 scrub d
no_faster 1.6 verify s d
no_faster 3.4 verify --deep s d # both sides
# a journal is written, proved, and read to be published: three times what a sync in place takes
mount_source s
must_sync 0 s d
dd if=/dev/urandom of=s/a bs=64K count=15 seek=1 conv=notrunc status=none
no_faster 1.0 sync s d
assert_eq "$(json .bytes_copied)" 983040 "bytes copied"
assert_equal_trees s d
unmount s

# 0 is no limit, also of a file's
printf '%s\n' "source = $work/s" "dest = $work/e" 'bwlimit = 1K' >c.conf
"$MIRRORCTL" sync --config c.conf --bwlimit 0 --quiet
assert_equal_trees s e
for value in 1000 1023 fast 10X -1 1KK; do
	assert_fails "$MIRRORCTL" sync --bwlimit="$value" s d
	assert_eq "$code" 2 "--bwlimit=$value: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "1K at least"
done

# While it waits for its turn, for minutes here, it tells how far it is, and hears signals.
copying() {
	jq -es 'any(.phase == "copying" and .event == "progress" and .bytes_total == 4000000
		and .image == "a")' <err >/dev/null 2>&1
}
gone() {
	! kill -0 "$pid" 2>/dev/null
}
for options in "" "--in-place" "--threads 1"; do
	for signal in INT TERM; do
		rm -rf f err
		set -m
		# shellcheck disable=SC2086
		"$MIRRORCTL" sync $options --bwlimit 1K --progress=json s f >out 2>err &
		pid=$!
		set +m
		wait_for 30 copying || fail "$options: no progress: $(cat err)"
		kill -"$signal" "$pid"
		wait_for 30 gone || fail "$options: SIG$signal isn't heard"
		code=0
		wait "$pid" || code=$?
		assert_eq "$code" $((128 + $(kill -l "$signal"))) "$options: exit code"
	done
done
must_sync 0 s f
assert_equal_trees s f
