#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kill -9 in every phase, while several processes change the tree: of the daemon when it mounts,
# works, rests, saves a sidecar, makes a checkpoint, serves a sync, unmounts; of a sync that asks,
# plans, stages its update or publishes it.  Then it is mounted again, or synced
# without that, and the replica is what the source is: not a block was missed (I1).  Nor was an
# image copied in full that a bitmap should have covered (I4): every sync that is let
# finish ends with 0.
#
# DURATION: how many seconds to go on, 60 unless said; each phase comes once in any case.
# The last line of output has the totals.
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires getfattr getfacl diff fallocate flock

duration=${DURATION:-60}
RANDOM=$((SEED % 32768))
dir=$work/images
replica=$work/replica
client_pid=''
sync_pid=''
daemon_pid=''
state='' # .mirrorfs of the source, below the mount
declare -A kills=()
half_state=0
half_sidecar=0
checks=0
blocks=0

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

# wait_until SECONDS CONDITION...: without a sleep, for what is over in a moment; or until then
wait_until() {
	local until=$((SECONDS + $1))
	shift
	while [ $SECONDS -le $until ] && ! "$@"; do :; done
}

count() { # PHASE
	kills[$1]=$((${kills[$1]-0} + 1))
}

# --- clients

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
	flock -w 60 "$work/running" true || fail "client: it does not end"
}

# --- syncs

start_sync() {
	"$MIRRORCTL" sync --json "$dir" "$replica" >"$work/other.json" 2>"$work/other.err" &
	sync_pid=$!
}

sync_is_over() {
	! kill -0 "$sync_pid" 2>/dev/null
}

# It spends much of its time before that, with asking for a checkpoint and planning.
sync_stages() {
	[ -e "$replica/.mirrorfs/journal.tmp" ] || sync_publishes
}

sync_publishes() {
	[ -e "$replica/.mirrorfs/journal" ] || sync_is_over
}

kill_sync() { # PHASE
	local code=0
	kill -9 "$sync_pid" 2>/dev/null || true
	wait "$sync_pid" 2>/dev/null || code=$?
	sync_pid=''
	case $code in
	0) ;;
	137) count "syncs killed $1" ;;
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

sync_killed() {
	[ -z "${1-}" ] || { start_client && pause 300; }
	start_sync
	case $((RANDOM % 3)) in
	0)
		pause 150
		kill_sync "anywhere"
		;;
	1)
		wait_until 10 sync_stages
		pause 80
		kill_sync "staging"
		;;
	2)
		wait_until 10 sync_publishes
		pause 20
		kill_sync "publishing"
		;;
	esac
	kill_client
}

# --- daemons

# Regions are small, so that not all of an image is in doubt after each crash.
options="save_interval=1,region_size=1M"

mount_again() {
	local fd
	touch "$work/mounted"
	mount_source "$dir" "$dir" "$options"
	daemon_pid=${daemon_of[$dir]}
	for fd in "/proc/$daemon_pid/fd"/*; do
		[ ! -e "$fd/.mirrorfs/state" ] || state=$fd/.mirrorfs
	done
	[ -e "$state/state" ] || fail "can't see below the mount"
}

saves_state() {
	[ -e "$state/state.tmp" ]
}

saves_sidecar() {
	local files=("$state"/bitmaps/*.tmp)
	[ -e "${files[0]}" ]
}

not_mounted() {
	! is_mounted "$dir"
}

# What it was in the middle of.
look_at_corpse() {
	local file
	for file in "$dir/.mirrorfs"/*.tmp "$dir/.mirrorfs/bitmaps"/*.tmp; do
		case $file in
		*\**) ;;
		*/state.tmp) [ "$file" -ot "$work/mounted" ] || half_state=$((half_state + 1)) ;;
		*) [ "$file" -ot "$work/mounted" ] || half_sidecar=$((half_sidecar + 1)) ;;
		esac
	done
}

# kill_daemon PHASE: its mount is dead then, and so are the files that are open there
kill_daemon() {
	kill -9 "$daemon_pid" || fail "daemon: ended by itself: $(cat "${log_of[$dir]}")"
	wait "$daemon_pid" 2>/dev/null || true
	count "daemons killed $1"
	unset 'cleanups[-1]' # of mount_source: the process id may be another's soon
	cleanup_fn fusermount3 -q -u -z "$dir"
	[ -z "$client_pid" ] || wait_for_client
	[ -z "$sync_pid" ] || wait_for_sync
	if cat_complaints "$dir"; then
		fail "daemon: complaints"
	fi
	not_mounted || fusermount3 -q -u "$dir" || fusermount3 -u -z "$dir" || fail "can't unmount"
	wait_for 10 not_mounted || fail "still mounted"
	unset 'cleanups[-1]'
	look_at_corpse
}

# --- what a round may begin with; the daemon runs at first, and is dead afterwards

at_work() {
	start_client
	pause $((RANDOM % 3 ? 400 : 2500))
	kill_daemon "at work"
}

# Nothing is open, regions have been let go, and some of the sidecars cleaned: what is
# known of them is what was saved.  Perhaps a little has happened since.
at_rest() {
	start_client
	pause 400
	kill_client
	sleep 1
	pause 2500
	[ $((RANDOM % 2)) = 0 ] || client oracle "$dir" $((SEED * 1000 + RANDOM)) 1 5
	kill_daemon "at rest"
}

in_sync() {
	start_client
	pause 300
	[ $((RANDOM % 2)) = 0 ] || kill_client
	start_sync
	pause 150
	kill_daemon "in a sync"
}

# The state, and then the sidecars, are saved with the guest going on.
in_commit() {
	start_client
	pause 400
	start_sync
	wait_until 5 saves_state
	if [ $((RANDOM % 2)) = 0 ]; then
		wait_until 1 saves_sidecar
	fi
	kill_daemon "making a checkpoint"
}

in_save() {
	start_client
	pause 1500
	[ $((RANDOM % 2)) = 0 ] || kill_client
	wait_until 3 saves_sidecar
	kill_daemon "saving a sidecar"
}

in_unmount() {
	start_client
	pause 600
	kill_client
	# its processes have let go of their files, but perhaps not of their working directory
	wait_for 10 fusermount3 -u "$dir" 2>/dev/null || fail "unmount: $(fusermount3 -u "$dir" 2>&1)"
	case $((RANDOM % 3)) in
	0) wait_until 0 saves_sidecar ;;
	1) pause 20 ;;
	esac
	# it may have come to its end by now
	if kill -0 "$daemon_pid" 2>/dev/null; then
		kill_daemon "unmounting"
	else
		wait "$daemon_pid" || fail "daemon: exit code $? at the end: $(cat "${log_of[$dir]}")"
		unset 'cleanups[-1]'
	fi
}

# After another crash, so that there is something to recover from.
in_mount() {
	local log
	at_work
	touch "$work/mounted"
	log=$(mktemp "$work/log.XXXXXX")
	"$MIRRORFS" -f "$dir" "$dir" -o "$options" 2>"$log" &
	daemon_pid=$!
	log_of[$dir]=$log
	cleanup_fn drop_mount "$dir" "$daemon_pid"
	pause 30
	kill_daemon "mounting"
}

# --- rounds

check() {
	sync_trees "$dir" "$replica"
	assert_same_trees "$dir" "$replica"
	assert_verified "$dir" "$replica"
	checks=$((checks + 1))
	blocks=$((blocks + $(synced bytes_total) / 65536))
}

end_round() {
	case $((RANDOM % 4)) in
	0)
		echo "  then mounted again with nothing checked" >&2
		mount_again
		;;
	1)
		echo "  then synced through the mount, one sync killed before" >&2
		mount_again
		sync_killed with_client
		check
		;;
	*)
		echo "  then synced without a mount, perhaps one sync killed before" >&2
		[ $((RANDOM % 2)) = 0 ] || sync_killed
		check
		mount_again
		;;
	esac
}

echo "seed $SEED"
mkdir "$dir"
for i in 0 1 2; do
	random_file "$dir/image$i" $((10 << 20))
	fallocate -p -o $((4 << 20)) -l $((3 << 20)) "$dir/image$i"
done
mount_again
sync_trees "$dir" "$replica"

phases=(in_mount at_work at_rest in_save in_commit in_sync in_unmount)
began=$SECONDS
round=0
while [ $((SECONDS - began)) -lt "$duration" ] || [ $round -lt ${#phases[@]} ]; do
	# each before any comes again
	[ $((round % ${#phases[@]})) != 0 ] || left=("${phases[@]}")
	i=$((RANDOM % ${#left[@]}))
	phase=${left[i]}
	unset "left[$i]"
	left=("${left[@]}")
	round=$((round + 1))
	echo "round $round: killed $phase" >&2
	$phase
	end_round
done
check
unmount "$dir"
check

totals="$round rounds"
while IFS= read -r phase; do
	totals+=", ${kills[$phase]} $phase"
done < <(printf '%s\n' "${!kills[@]}" | sort)
echo "kill9: $totals, $half_state half-written states, $half_sidecar half-written sidecars," \
	"$checks comparisons, $blocks blocks compared"
