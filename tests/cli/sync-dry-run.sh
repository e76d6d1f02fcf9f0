#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-dry-run.sh - says what a sync would do, and changes nothing
. "$(dirname "$0")/common.bash"
requires_fuse

# all that can be seen, but for access times and who held the lock last
everything() {
	find "$@" -name lock -prune -o -printf '%p %i %y %m %n %s %T@ %C@\n' | LC_ALL=C sort
	find "$@" -name lock -prune -o -type f -exec sha256sum {} + | LC_ALL=C sort
}

# dry_then_real SOURCE: both say the same numbers
dry_then_real() {
	local code_dry
	everything s d state 2>/dev/null >before || :
	sync_to "$1" d --dry-run
	code_dry=$code
	cp sync.json dry.json
	everything s d state 2>/dev/null >after || :
	diff before after >&2 || fail "a dry run changed something"
	assert_eq "$(json .dry_run)" true dry_run
	sync_to "$1" d
	assert_eq "$code_dry" "$code" "exit codes of dry and real"
	filter='del(.seconds, .gate_ms, .names_ms, .dry_run, .checkpoint.uuid, .armed_bytes, .warnings)'
	if [ "$(json '[.full_copies[].by_digest] | any')" = true ]; then
		# how much differs isn't known before it is compared
		[ "$(json .bytes_copied dry.json)" -ge "$(json .bytes_copied)" ] || fail "copied more"
		filter+='| del(.bytes_copied, .bytes_zeroed, .full_copies[].bytes_differing)'
	fi
	diff <(jq "$filter" dry.json) <(jq "$filter" sync.json) >&2 ||
		fail "what the dry run said is not what happened"
	assert_equal_trees "$1" d
}

mkdir s
random_file s/a 3000000
truncate -s 10M s/holes
random_file piece 100000
dd if=piece of=s/holes bs=64k seek=20 conv=notrunc status=none
dry_then_real s
[ -d s/.mirrorfs ] || fail "no state directory"

# changed behind the mount
dd if=piece of=s/a bs=64k seek=3 conv=notrunc status=none
fallocate -p -o 0 -l 65536 s/a
dry_then_real s
assert_eq "$code" 3 "exit code"

mount_source s
dd if=piece of=s/a bs=64k seek=6 conv=notrunc status=none
fallocate -p -o 1048576 -l 131072 s/a
mv s/holes s/renamed
echo new >s/new
mkdir s/dir
chmod 600 s/a
dry_then_real s
rm s/new
dry_then_real s
dry_then_real s
unmount s
dry_then_real s
