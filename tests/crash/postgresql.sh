#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PostgreSQL works, with its data and its log on two filesystems in two images on the mount, and
# a sync is made every few seconds.  A copy of each replica's images is mounted, and a server
# started on it: it recovers as after a power cut, every commit that was acknowledged before the
# sync was asked for is there, and all of the database is whole and adds up.
#
# ROUNDS: how many syncs.
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"

requires_fuse
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done # Debian's
requires_strace
requires initdb pg_ctl psql pgbench pg_amcheck pg_dump mkfs.ext4 e2fsck losetup

own_mounts

rounds=${ROUNDS:-3}
committers=3
export PGHOST=$work/run PGUSER=postgres PGDATABASE=postgres PGOPTIONS=--client-min-messages=warning
port_of_live=5432 port_of_replica=5433

# --- servers, as a user who is nobody; DIR has tables/ and log/, a filesystem each

mount_images() { # IMAGES DIR
	local what
	for what in log tables; do
		mkdir -p "$2/$what"
		mount -o loop "$1/$what.raw" "$2/$what"
	done
}

# A server that has stopped may be there for a moment more.
unmount_images() { # DIR
	wait_for 10 umount "$1/tables" 2>/dev/null || umount "$1/tables"
	umount "$1/log"
}

start_server() { # DIR PORT [OPTION]
	as_user pg_ctl start -w -t 120 -s -D "$1/tables/pg" -l "run/log.$2" \
		-o "-p $2 -k $PGHOST -c listen_addresses= ${3-}" >start.out 2>&1 ||
		fail "a server on $1 does not start: $(tail -n 30 "run/log.$2")"
}

stop_server() { # DIR MODE
	as_user pg_ctl stop -w -s -m "$2" -D "$1/tables/pg"
}

# The log is found from wherever the two are mounted.
make_cluster() { # DIR
	mkdir "$1/tables/pg" "$1/log/pg_wal"
	chown 65534:65534 "$1/tables/pg" "$1/log/pg_wal"
	as_user initdb -D "$1/tables/pg" -X "$work/$1/log/pg_wal" -U postgres -A trust --locale=C \
		--wal-segsize=1 --data-checksums --no-sync --no-instructions >initdb.out 2>&1 || fail "$(cat initdb.out)"
	ln -sfn ../../log/pg_wal "$1/tables/pg/pg_wal"
	# little memory and a short log: all of it is overwritten all the time
	cat >>"$1/tables/pg/postgresql.conf" <<-end
		shared_buffers = 4MB
		min_wal_size = 8MB
		max_wal_size = 8MB
		bgwriter_delay = 10ms
		checkpoint_timeout = 30s
		checkpoint_completion_target = 0.5
		autovacuum_naptime = 1s
	end
	sync -f "$1/tables"
	sync -f "$1/log"
}

drop_server() { # DIR
	[ ! -e "$work/$1/tables/pg/postmaster.pid" ] || stop_server "$work/$1" immediate
	umount -l "$work/$1/tables" "$work/$1/log" 2>/dev/null
}

# --- clients

# One transaction after the other, each with its number; what was acknowledged is noted outside.
commit_forever() { # CLIENT
	trap - ERR EXIT
	set +eE
	local n=0 got
	coproc psql { exec psql -qAtX -v ON_ERROR_STOP=1 -p $port_of_live; }
	while [ ! -e enough ]; do
		n=$((n + 1))
		echo "insert into committed values ($1, $n); select $n;" >&"${psql[1]}"
		read -r got <&"${psql[0]}"
		[ "$got" = $n ] || exit 1
		echo $n >>"acknowledged.$1"
	done
}

# Moves the point where recovery begins, and removes the log before it.
checkpoint_forever() {
	trap - ERR EXIT
	set +eE
	while [ ! -e enough ] && psql -qX -p $port_of_live -c checkpoint; do sleep 0.1; done
}

acknowledged() { # CLIENT
	tail -n 1 "acknowledged.$1" 2>/dev/null || echo 0
}

ask_replica() { # SQL
	psql -qAtX -p $port_of_replica -c "$1"
}

# --- a replica

# It writes as to a slow disk, so that much is overwritten meanwhile; and it comes to the log
# first and to the tables, which then are newer if it was not of one instant, after that.
slow_sync() { # SOURCE REPLICA
	local code=0
	strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:delay_enter=20000 \
		"$MIRRORCTL" sync --json "$1" "$2" >sync.json 2>sync.err || code=$?
	[ $code = 0 ] || fail "sync $1 $2: exit code $code: $(cat sync.err sync.json)"
}

assert_commits() {
	local client count last
	for ((client = 1; client <= committers; client++)); do
		IFS='|' read -r count last < <(ask_replica \
			"select count(*), coalesce(max(n), 0) from committed where client = $client")
		assert_eq "$count" "$last" "commits of client $client that are there, and the last one"
		[ "$last" -ge "${before[client]}" ] ||
			fail "client $client: ${before[client]} were acknowledged, $last are there"
		commits=$((commits + last))
	done
}

assert_adds_up() {
	local sums
	sums=$(ask_replica "select
		(select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
		(select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history)")
	[ "$(tr '|' '\n' <<<"$sums" | sort -u | grep -c '[0-9]')" = 1 ] ||
		fail "balances don't add up: $sums"
}

assert_whole() {
	pg_amcheck -p $port_of_replica --all --install-missing --heapallindexed >amcheck.out 2>&1 ||
		fail "pg_amcheck: $(tail -n 30 amcheck.out)"
	pg_dump -p $port_of_replica >/dev/null
}

# Of the copy: mounting an image changes it.
look_at_replica() {
	local what
	rm -rf copy
	cp -r --sparse=always replica copy
	mount_images copy restored
	rm restored/tables/pg/postmaster.pid # of the server that is alive
	start_server restored $port_of_replica "-F"
	commits=0
	assert_commits
	assert_adds_up
	assert_whole
	rows=$(ask_replica "select count(*) from pgbench_history")
	stop_server restored fast
	unmount_images restored
	for what in log tables; do
		e2fsck -fn "copy/$what.raw" >fsck.out 2>&1 || fail "e2fsck $what.raw: $(cat fsck.out)"
	done
}

mkdir run images
chown 65534:65534 run
mount_source images
for what in log tables; do
	truncate -s 256M "images/$what.raw"
	mkfs.ext4 -q "images/$what.raw"
done
cleanup_fn drop_server live
mount_images images live
make_cluster live
start_server live $port_of_live
pgbench -i -q -s 2 -p $port_of_live >pgbench.out 2>&1 || fail "$(cat pgbench.out)"
psql -qX -p $port_of_live -c 'create table committed (client int, n int, primary key (client, n))'

pids=()
for ((client = 1; client <= committers; client++)); do
	commit_forever $client &
	pids+=($!)
done
checkpoint_forever &
pids+=($!)
pgbench -c 4 -T 3600 -p $port_of_live >pgbench.out 2>&1 &
pgbench=$!
cleanup_fn touch "$work/enough"
cleanup_fn stop_process $pgbench
cleanup_fn drop_server restored

before=()
for ((round = 1; round <= rounds; round++)); do
	sleep 1
	for ((client = 1; client <= committers; client++)); do
		before[client]=$(acknowledged $client)
	done
	slow_sync images replica
	look_at_replica
	echo "round $round: copied $(synced bytes_copied) bytes; $commits commits and $rows rows are there"
done

kill -0 $pgbench || fail "pgbench: $(cat pgbench.out)"
stop_process $pgbench
touch enough
for pid in "${pids[@]}"; do wait "$pid" || fail "a client failed"; done
stop_server live fast
unmount_images live
unmount images
