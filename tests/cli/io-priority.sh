#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# io-priority.sh - sync --io-priority: all that works for it has that priority, and hooks don't
. "$(dirname "$0")/common.bash"
requires ionice

mkdir s
random_file s/a 2000000
mine=$(ionice -p $$)

# at PRIORITY OPTION...: a sync that copies slowly, all of whose threads have it; and its hook mine
at() {
	local wanted=$1 pid task
	shift
	rm -rf d err hook
	"$MIRRORCTL" sync --bwlimit 64K --progress=json "$@" --pre-hook "ionice -p \$\$ >hook" s d >out 2>err &
	pid=$!
	wait_for 30 grep -qs '"event":"progress","phase":"copying"' err || fail "$*: doesn't copy: $(cat err)"
	for task in "/proc/$pid/task/"*; do
		assert_eq "$(ionice -p "${task##*/}")" "$wanted" "$*: a thread of it"
	done
	assert_eq "$(cat hook)" "$mine" "$*: the hook"
	kill "$pid"
	wait "$pid" 2>/dev/null || :
}
at "$mine"
at idle --io-priority idle
at "best-effort: prio 7" --io-priority=best-effort:7
at "best-effort: prio 4" --io-priority best-effort --threads 64
if ionice -c realtime true 2>/dev/null; then
	at "realtime: prio 1" --io-priority realtime:1
fi
# other verbs take it, too
for verb in "verify --deep s e" "scrub e" "restore e f" "recover e"; do
	[ -e e ] || must_sync 0 s e --io-priority idle
	# shellcheck disable=SC2086
	"$MIRRORCTL" $verb --io-priority idle >/dev/null
done

for value in "" best best-effort:8 best-effort:-1 best-effort: best-effort:77 idle:0 none 3 Idle; do
	assert_fails "$MIRRORCTL" sync --io-priority="$value" s d
	assert_eq "$code" 2 "'$value': exit code"
	assert_one_line "$stderr"
done
if [ "$(id -u)" = 0 ]; then
	rm -rf d
	assert_fails as_user "$MIRRORCTL" sync --io-priority realtime s d
	assert_eq "$code" 2 "realtime as a user: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "--io-priority realtime: operation not permitted; run as root"
	[ ! -e d ] || fail "went on without it"
fi
