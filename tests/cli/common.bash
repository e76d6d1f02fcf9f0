# SPDX-License-Identifier: GPL-2.0-or-later
# common.bash - what the tests of mirrorctl share, on top of tests/lib.sh; sourced

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

requires jq setfattr getfattr setfacl

# sync_to SOURCE DEST [OPTION...]: its exit code in $code, its JSON in sync.json
sync_to() {
	code=0
	"$MIRRORCTL" sync --json "$@" >sync.json 2>sync.err || code=$?
	[ "$code" -lt 126 ] || fail "sync $*: exit code $code: $(cat sync.err)"
}

# must_sync WANTED_CODE SOURCE DEST [OPTION...]
must_sync() {
	local wanted=$1
	shift
	sync_to "$@"
	[ "$code" = "$wanted" ] ||
		fail "sync $*: exit code $code, wanted $wanted: $(cat sync.err sync.json)"
}

# json FILTER [FILE]: of the last sync, unless FILE is given
json() {
	jq -r "$1" "${2:-sync.json}"
}

# list_tree DIR: all that a replica must have, by other means than mirrorctl's own
list_tree() {
	(
		cd "$1"
		find . -path ./.mirrorfs -prune -o -path ./lost+found -prune -o \
			-printf '%p\0%y %m %U:%G %TY%Tm%Td%TT %l\n' | sed 's/\x0/ /' | LC_ALL=C sort
		# sizes and contents
		find . -path ./.mirrorfs -prune -o -type f -printf '%p %s ' \
			-exec sh -c 'sha256sum <"$1"' - {} \; | LC_ALL=C sort
		# which names are one file
		find . -path ./.mirrorfs -prune -o ! -type d -links +1 -printf '%i %p\n' |
			LC_ALL=C sort -k 2 | awk '{ if (!($1 in n)) n[$1] = ++k; $1 = n[$1] } 1'
		find . -path ./.mirrorfs -prune -o -print0 | LC_ALL=C sort -z |
			xargs -0 getfattr -h -d -m - -e hex 2>/dev/null |
			awk -v RS= '{ n = split($0, line, "\n"); found = ""
				for (i = 2; i <= n; i++)
					if (line[i] !~ /^user\.mirrorfs\./) found = found "\n" line[i]
				if (found) print line[1] found }'
	)
}

# assert_equal_trees SOURCE DEST: by list_tree and by verify, both of which read all of both
assert_equal_trees() {
	list_tree "$1" >trees.a
	list_tree "$2" >trees.b
	diff trees.a trees.b >&2 || fail "$1 and $2 differ"
	"$MIRRORCTL" verify --deep "$1" "$2" >verify.out 2>&1 ||
		fail "verify $1 $2: exit code $?: $(cat verify.out)"
}

# complete DEST: is the replica complete?
complete() {
	[ "$("$MIRRORCTL" status --json "$1" | jq .replica.complete)" = true ]
}

# assert_proved DEST: by its digests, all of it
assert_proved() {
	"$MIRRORCTL" scrub "$1" >scrub.out 2>&1 || fail "scrub $1: exit code $?: $(cat scrub.out)"
}

# slow_fsyncs PID MICROSECONDS: each fsync of that process takes so long, until $tracer is stopped
slow_fsyncs() {
	strace -f -qq -o trace -e trace=fsync -e inject=fsync:delay_enter="$2" -p "$1" &
	tracer=$!
	cleanup_fn stop_process "$tracer"
	wait_for 20 traced "$1" || skip "can't trace"
}

traced() {
	! grep -q '^TracerPid:[[:space:]]0$' "/proc/$1/status"
}

# catches PID NUMBER: does it catch that signal by now, or is it gone?  The shell that it still is before exec(2)
# may have a trap for it, and loses it.
catches() {
	local mask
	[ ! "/proc/$1/exe" -ef "/proc/$$/exe" ] || return 1
	mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) || return 0
	[ -z "$mask" ] || [ $((0x$mask >> ($2 - 1) & 1)) = 1 ]
}

# kill_sync SIGNAL SECONDS SOURCE DEST: begins a sync and sends it a signal; its code in $code.
# One that it catches is not sent before it does: on a busy machine it may take long to start.
kill_sync() {
	local signal=$1 seconds=$2 pid
	shift 2
	"$MIRRORCTL" sync --quiet "$@" 2>sync.err &
	pid=$!
	sleep "$seconds"
	[ "$signal" = KILL ] || wait_for 30 catches "$pid" "$(kill -l "$signal")"
	kill -"$signal" "$pid" 2>/dev/null || :
	code=0
	wait "$pid" 2>/dev/null || code=$?
}
