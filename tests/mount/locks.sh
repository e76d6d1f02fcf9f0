#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# two programs that lock one file collide, as they do without mirrorfs
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse

mkdir source mnt
touch source/image
mount_source source mnt

try() {
	local code=0
	client locker "$1" "$2" try || code=$?
	echo "$code"
}

for kind in flock ofd posix; do
	coproc HOLDER { client locker "$kind" mnt/image hold; }
	read -r line <&"${HOLDER[0]}"
	assert_eq "$line" held "$kind"
	assert_eq "$(try "$kind" mnt/image)" 3 "$kind while held"
	pid=$HOLDER_PID
	eval "exec ${HOLDER[1]}>&-"
	wait "$pid"
	assert_eq "$(try "$kind" mnt/image)" 0 "$kind when free again"
done

# OFD and POSIX locks exclude each other, flock is another world; so they are everywhere.
coproc HOLDER { client locker ofd mnt/image hold; }
pid=$HOLDER_PID
read -r line <&"${HOLDER[0]}"
assert_eq "$(try posix mnt/image)" 3 "posix against ofd"
assert_eq "$(try flock mnt/image)" 0 "flock against ofd"
# a holder that is killed lets go
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
wait_for 10 client locker ofd mnt/image try || fail "the lock of a killed process stays"
unmount mnt
