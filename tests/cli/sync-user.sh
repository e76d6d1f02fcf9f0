#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-user.sh - without root's rights: read-only files and directories, owners, devices
. "$(dirname "$0")/common.bash"
requires_root # to become somebody else
requires setpriv

# where he can reach it: the sources may lie in a directory that is only root's
cp "$MIRRORCTL" mirrorctl
MIRRORCTL=$work/mirrorctl
as_user test -x "$MIRRORCTL" || skip "another user can't reach $work"

mkdir w && chown 65534:65534 w
cd w
as_user mkdir -p s/dir/sub s/locked
as_user sh -c 'echo 1 >s/dir/image; echo 2 >s/locked/read-only; echo 3 >s/none'
as_user setfattr -n user.a -v b s/locked/read-only
as_user chmod 555 s/locked s/dir
mknod s/null c 1 3
chown 65534 s/null

run() {
	code=0
	as_user "$MIRRORCTL" "$@" >out 2>err || code=$?
}

run sync --json s d
assert_eq "$code" 0 "$(cat err)"
assert_eq "$(jq '.warnings | length' out)" 1 "warnings: $(jq -c .warnings out)"
assert_contains "$(jq -r '.warnings[0]' out)" null "warning"
[ ! -e d/null ] || fail "made a device"
rm s/null
as_user chmod 444 s/locked/read-only
run sync s d # chmod behind the mount
assert_eq "$code" 3 "$(cat err)"
run verify s d
assert_eq "$code" 0 "$(cat out err)"

# the replica's own read-only modes don't stand in the way of changes
as_user chmod 755 s/locked s/dir
as_user sh -c 'chmod 644 s/locked/read-only; echo longer >s/locked/read-only; mv s/dir/image s/locked/'
as_user setfattr -n user.a -v c s/locked/read-only
as_user chmod 400 s/locked/read-only
as_user chmod 500 s/locked s/dir
run sync s d
assert_eq "$code" 3 "$(cat err)"
run verify s d
assert_eq "$code" 0 "$(cat out err)"
assert_eq "$(stat -c %a d/locked d/locked/read-only | xargs)" "500 400" modes

# what can't be read is an error that names it
chown 0 s/none && chmod 600 s/none
run sync s d
assert_eq "$code" 1 "exit code"
assert_one_line "$(cat err)"

# nor is he told to move away what is only closed to him
mkdir s2
echo 1 >s2/image
"$MIRRORCTL" sync --quiet s2 d2
for args in "status d2" "scrub d2" "sync s d2" "sync s2 d" "status s2"; do
	# shellcheck disable=SC2086
	run $args
	assert_one_line "$(cat err)"
	assert_contains "$(cat err)" "permission denied; run as its owner, or as root" "$args"
done
