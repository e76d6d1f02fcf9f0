#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many processes change several images at once, while snapshots and syncs are made at random
# moments.  Each snapshot and each replica is all images at one instant, which lies between the beginning
# and the end of the request for it: instantcheck, which has the log of all that the writers did.  A
# snapshot is still the same, byte by byte, when much has been overwritten since, and several
# are alive at a time; a sync that is killed leaves none behind.  With the writers at rest for a
# moment, a snapshot and a replica are made of the same instant, and are equal in everything,
# also when all write again.
#
# DURATION: how many seconds that goes on.
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
requires getfattr getfacl diff

duration=${DURATION:-18}
RANDOM=$((SEED % 32768))
snapshots=s/.mirrorfs/snapshot
declare -A when=() digest_of=() # by name, of the snapshots that are alive
created=0 looks=0 syncs=0 killed=0 equal=0 units=0

stamp() {
	client instantwriter stamp log
}

# check_tree DIR "FROM TO": leaves its digest in $digest
check_tree() {
	local out
	# shellcheck disable=SC2086
	out=$(client instantcheck "$1" log $2) || fail "$1 is not all images at one instant"
	digest=${out#* }
	units=$((units + ${out% *}))
}

any_of() {
	shift $((RANDOM % $#))
	echo "$1"
}

# look_again NAME
look_again() {
	check_tree "$snapshots/$1" "${when[$1]}"
	assert_eq "$digest" "${digest_of[$1]}" "digest of snapshot $1, later"
	looks=$((looks + 1))
}

create_snapshot() {
	local from
	created=$((created + 1))
	name=at-$created
	from=$(stamp)
	"$MIRRORCTL" snapshot create s "$name" >/dev/null
	when[$name]="$from $(stamp)"
	check_tree "$snapshots/$name" "${when[$name]}"
	digest_of[$name]=$digest
}

delete_snapshot() { # NAME
	look_again "$1"
	"$MIRRORCTL" snapshot delete s "$1"
	[ ! -e "$snapshots/$1" ] || fail "snapshot $1 was deleted, and is still there"
	unset "when[$1]" "digest_of[$1]"
}

sync_to() { # REPLICA
	local from
	from=$(stamp)
	sync_trees s "$1"
	check_tree "$1" "$from $(stamp)"
	syncs=$((syncs + 1))
}

kill_sync() { # REPLICA
	local pid
	"$MIRRORCTL" sync --quiet s "$1" 2>/dev/null &
	pid=$!
	sleep "0.0$((RANDOM % 10))"
	kill -KILL $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	killed=$((killed + 1))
}

# Of the same instant, as nobody writes; looked at when everybody does.
compare_with_snapshot() { # REPLICA
	client instantwriter pause log
	create_snapshot
	sync_to "$1"
	client instantwriter resume log
	assert_eq "$digest" "${digest_of[$name]}" "digest of replica $1"
	sleep 0.5
	assert_same_trees "$snapshots/$name" "$1"
	"$MIRRORCTL" verify --deep "$snapshots/$name" "$1" || fail "replica $1 is not of snapshot $name"
	delete_snapshot "$name"
	equal=$((equal + 1))
}

# No others, as those of killed syncs go by themselves.
names_are_right() {
	[ "$(cd "$snapshots" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)" = \
		"$(printf '%s\n' "${!when[@]}" | sort)" ]
}

do_something() {
	local what=$((RANDOM % 100)) replica=d$((RANDOM % 2))
	if [ $what -lt 8 ]; then
		compare_with_snapshot $replica
	elif [ $what -lt 14 ]; then
		kill_sync $replica
	elif [ $what -lt 45 ]; then
		sync_to $replica
	elif [ ${#when[@]} = 0 ] || { [ $what -lt 75 ] && [ ${#when[@]} -lt 4 ]; }; then
		create_snapshot
	elif [ $what -lt 90 ]; then
		look_again "$(any_of "${!when[@]}")"
	else
		delete_snapshot "$(any_of "${!when[@]}")"
	fi
}

stop_writers() {
	client instantwriter stop log
	wait $writers || fail "a writer failed"
}

mkdir s
block=$(any_of 4K 16K 64K)
echo "SEED=$SEED, blocks of $block"
mount_source s s "block_size=$block,save_interval=1"
client instantwriter make s log
client instantwriter run s log "$SEED" 6 >operations &
writers=$!
cleanup_fn stop_process $writers

while [ $SECONDS -lt "$duration" ]; do
	do_something
	kill -0 $writers 2>/dev/null || fail "the writers ended"
done
compare_with_snapshot d0
for name in "${!when[@]}"; do look_again "$name"; done
wait_for 10 names_are_right || fail "these snapshots are there: $(ls -A $snapshots)"
stop_writers

for name in "${!when[@]}"; do delete_snapshot "$name"; done
sync_to d0
assert_same_trees s d0
echo "instant: $(cat operations) operations of writers, $created snapshots, $looks later looks," \
	"$syncs syncs, $killed killed syncs, $equal replicas equal to snapshots, $units units checked"
unmount s
