#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 at random moments, while several processes change the tree: of the daemon, of
# a running sync, of the daemon under a running sync, of a daemon that has nothing to do
# any more.  Then it is mounted again, or synced without that, and the replica is what
# the source is: not a block was missed (I1).  Nor was an image copied in full that a bitmap
# should have covered (I4): every sync that is let finish ends with 0.
#
# ROUNDS: the number of kills of a daemon, and about as many of a sync.
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires getfattr getfacl diff fallocate flock

rounds=${ROUNDS:-16}
RANDOM=$((SEED % 32768))
dir=$work/images
replica=$work/replica
client_pid=''
sync_pid=''
daemon_kills=0
sync_kills=0
syncs_killed=0
checks=0

end_processes() {
	[ -z "$client_pid" ] || stop_process "$client_pid"
	[ -z "$sync_pid" ] || stop_process "$sync_pid"
}
cleanup_fn end_processes

# pause MILLISECONDS: up to that
pause() {
	local ms=$((RANDOM % $1))
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# All of its processes share the lock, which ends with the last of them.
start_client() {
	flock -F -s "$work/running" "$CLIENTS/oracle" "$dir" $((SEED * 1000 + RANDOM)) 3 0 >"$work/client.out" 2>&1 &
	client_pid=$!
}

# The client must have noticed nothing but that the filesystem went away.
wait_for_client() {
	local code=0
	wait "$client_pid" 2>/dev/null || code=$?
	client_pid=''
	[ $code = 75 ] || fail "client: exit code $code: $(cat "$work/client.out")"
}

# Its children die with it, each in the middle of something.
kill_client() {
	[ -n "$client_pid" ] || return 0
	kill -9 "$client_pid" || fail "client: ended by itself: $(cat "$work/client.out")"
	wait "$client_pid" 2>/dev/null || true
	client_pid=''
	flock -w 20 "$work/running" true || fail "client: it does not end"
}

# It spends much of its time before that, with asking for a checkpoint and planning.
sync_writes() {
	[ -n "$(find "$replica" -newer "$work/other.json" -print -quit)" ] ||
		! kill -0 "$sync_pid" 2>/dev/null
}

start_sync() {
	"$MIRRORCTL" sync --json "$dir" "$replica" >"$work/other.json" 2>"$work/other.err" &
	sync_pid=$!
}

kill_sync() {
	local code=0
	kill -9 "$sync_pid" 2>/dev/null || true
	wait "$sync_pid" 2>/dev/null || code=$?
	sync_pid=''
	sync_kills=$((sync_kills + 1))
	[ $code != 137 ] || syncs_killed=$((syncs_killed + 1))
	case $code in
	0 | 137) ;;
	*) fail "sync under way: exit code $code: $(cat "$work/other.err")" ;;
	esac
}

# It has lost the daemon, and may say so or have come through.  A signal may not end it.
wait_for_sync() {
	local code=0
	wait "$sync_pid" 2>/dev/null || code=$?
	sync_pid=''
	[ $code -lt 2 ] || fail "sync without a daemon: exit code $code: $(cat "$work/other.err" "$work/other.json")"
}

# Regions are small, so that not all of an image is in doubt after each crash.
mount_again() {
	mount_source "$dir" "$dir" "save_interval=1,region_size=1M"
}

# Its mount is dead then, and so are the files that are open there.
kill_daemon() {
	local pid=${daemon_of[$dir]}
	kill -9 "$pid" || fail "daemon: ended by itself: $(cat "${log_of[$dir]}")"
	wait "$pid" 2>/dev/null || true
	daemon_kills=$((daemon_kills + 1))
	unset 'cleanups[-1]' # of mount_source: the process id may be another's soon
	cleanup_fn fusermount3 -q -u -z "$dir"
	[ -z "$client_pid" ] || wait_for_client
	[ -z "$sync_pid" ] || wait_for_sync
	if cat_complaints "$dir"; then
		fail "daemon: complaints"
	fi
	fusermount3 -q -u "$dir" || fusermount3 -u -z "$dir" || fail "can't unmount"
	wait_for 10 not_mounted || fail "still mounted"
	unset 'cleanups[-1]'
}

not_mounted() {
	! is_mounted "$dir"
}

check() {
	sync_trees "$dir" "$replica"
	assert_same_trees "$dir" "$replica"
	assert_verified "$dir" "$replica"
	checks=$((checks + 1))
}

# --- what a round may begin with; the daemon runs at first, and is dead afterwards

daemon_killed_at_work() {
	start_client
	pause $((RANDOM % 3 ? 400 : 2500))
	kill_daemon
}

# Nothing is open, regions have been let go, and some of the sidecars cleaned: what is
# known of them is what was saved.  Perhaps a little has happened since.
daemon_killed_at_rest() {
	start_client
	pause 400
	kill_client
	sleep 1
	pause 2500
	[ $((RANDOM % 2)) = 0 ] || client oracle "$dir" $((SEED * 1000 + RANDOM)) 1 5
	kill_daemon
}

daemon_killed_in_sync() {
	start_client
	pause 300
	[ $((RANDOM % 2)) = 0 ] || kill_client
	start_sync
	pause 150
	kill_daemon
}

# --- and in between, with the daemon running or not

sync_killed() {
	[ -z "${1-}" ] || { start_client && pause 300; }
	start_sync
	if [ $((RANDOM % 3)) = 0 ]; then
		pause 150
	else
		wait_for 10 sync_writes
		pause 80
	fi
	kill_sync
	kill_client
}

describe_round() {
	echo "round $round: $1, then $2" >&2
}

echo "seed $SEED"
mkdir "$dir"
for i in 0 1 2; do
	random_file "$dir/image$i" $((10 << 20))
	fallocate -p -o $((4 << 20)) -l $((3 << 20)) "$dir/image$i"
done
mount_again
sync_trees "$dir" "$replica"

for ((round = 1; round <= rounds; round++)); do
	case $((RANDOM % 6)) in
	0 | 3) begin=daemon_killed_at_rest ;;
	1 | 2) begin=daemon_killed_in_sync ;;
	*) begin=daemon_killed_at_work ;;
	esac
	case $((round % 4)) in
	0)
		describe_round $begin "mounted again with nothing checked"
		$begin
		mount_again
		;;
	2)
		describe_round $begin "synced through the mount, one sync killed before"
		$begin
		mount_again
		sync_killed with_client
		check
		;;
	*)
		describe_round $begin "synced without a mount, one sync killed before"
		$begin
		[ $((RANDOM % 2)) = 0 ] || sync_killed
		check
		mount_again
		;;
	esac
done
check
unmount "$dir"
check

echo "$daemon_kills daemons killed; $syncs_killed of $sync_kills syncs killed in time;" \
	"$checks times compared"
[ "$daemon_kills" = "$rounds" ] || fail "not every round has killed a daemon"
[ $syncs_killed -gt 0 ] || [ $sync_kills -lt 5 ] || fail "no sync was ever killed in time"
