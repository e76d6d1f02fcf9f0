#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# progress.sh - how far it is: a line on a terminal, events for programs, an answer to SIGUSR1
. "$(dirname "$0")/common.bash"
requires script

mkdir s
random_file s/a 300000
random_file "s/b c" 300000

# events VERB [OPTION...] ARGUMENT...: of that verb, in events; its exit code in $code
events() {
	code=0
	"$MIRRORCTL" "$@" --progress=json >out 2>err || code=$?
	grep '^{' err >events || :
	jq -es 'all(type == "object" and (.event | type) == "string")' <events >/dev/null ||
		fail "$*: no events: $(cat events)"
	assert_eq "$(jq -r '.event' events | sed -n '1p;$p' | xargs)" "begin end" "$* begins and ends"
	assert_eq "$(jq -rs '.[0].verb + " " + .[-1].verb' events)" "$1 $1" "verb"
	assert_eq "$(jq -s '.[-1].exit_code' events)" "$code" "$*: exit code"
	jq -es '.[-1].seconds >= 0' events >/dev/null || fail "$*: how long?"
}

# phases: of these events
phases() {
	jq -r 'select(.event == "phase").phase' events | xargs
}

events sync s d --pre-hook true --post-hook true
assert_eq "$(phases)" "hook checkpoint planning copying committing publishing" phases
assert_eq "$(wc -l <out)" 2 "lines of the summary"
events sync --json --in-place s in-place
assert_eq "$(phases)" "checkpoint planning copying committing" "phases in place"
jq -e .checkpoint out >/dev/null || fail "the result is no JSON"
events verify s d
assert_eq "$(phases)" comparing "phases of verify"
echo x >>d/a
events verify s d
assert_eq "$code" 1 "verify of what differs"
events scrub --repair s d
assert_eq "$(phases)" "proving repairing" "phases of scrub"
events restore in-place out-dir
assert_eq "$(phases)" "restoring proving restoring" "phases of restore"
events recover d
events adopt d
events sync nowhere d
assert_eq "$code" 1 "no source"
assert_one_line "$(grep -v '^{' err)"
rm -r d

# what isn't asked for isn't told
for how in none auto; do
	"$MIRRORCTL" sync --progress "$how" s d >out 2>err
	[ ! -s err ] || fail "--progress $how: $(cat err)"
done
assert_fails "$MIRRORCTL" sync --progress=often s d
assert_eq "$code" 2 "exit code"
assert_one_line "$stderr"
assert_contains "$stderr" "--progress takes auto, json or none, not 'often'"

# --- SIGUSR1

# What a hook does: says that it has begun, and waits until it may go on.
hold='touch held; while [ ! -e go ]; do sleep 0.05; done'

# begin_held COMMAND...: in the background, up to its hook; its process id in $pid
begin_held() {
	rm -f held go
	"$@" >out 2>err &
	pid=$!
	wait_for 30 test -e held || fail "no hook: $(cat err)"
}
end_held() {
	touch go
	wait "$pid" || fail "exit code $?: $(cat err)"
}
says() { # TEXT: by now, on stderr?
	grep -qF -- "$1" err
}

# at once, also while nothing goes on, and whoever looks
for options in "" --quiet --progress=none; do
	# shellcheck disable=SC2086
	begin_held "$MIRRORCTL" sync $options --pre-hook "$hold" s d
	[ ! -s err ] || fail "unasked: $(cat err)"
	kill -USR1 "$pid"
	wait_for 30 says "mirrorctl: sync: running a hook, " || fail "no answer: $(cat err)"
	assert_one_line "$(cat err)"
	kill -USR1 "$pid"
	twice() { [ "$(wc -l <err)" = 2 ]; }
	wait_for 30 twice || fail "no second answer: $(cat err)"
	end_held
done
begin_held "$MIRRORCTL" sync --progress=json --pre-hook "$hold" s d
kill -USR1 "$pid"
wait_for 30 says '"event":"progress","phase":"hook"' || fail "no event: $(cat err)"
end_held

# Nobody dies of it who has nothing to tell yet, or never has.  Here one that reads its options.
mkfifo options
"$MIRRORCTL" sync --config options >out 2>err &
pid=$!
blocks_it() {
	grep -q '^SigBlk:.*[2367abef]..$' "/proc/$pid/status"
}
wait_for 30 blocks_it || fail "doesn't block SIGUSR1: $(cat "/proc/$pid/status")"
kill -USR1 "$pid"
printf '%s\n' "source = $work/s" "dest = $work/d" >options
wait "$pid" || fail "exit code $?: $(cat err)"

# --- a terminal

# on_terminal OPTION...: a sync there, held until its line is shown, or not to be; what it shows in
# shown
on_terminal() {
	rm -f held go shown
	printf '%s\n' "$hold" >hold.sh
	TERM=xterm script -qfec "stty cols 60; '$MIRRORCTL' sync $* --pre-hook 'sh hold.sh' s d" shown \
		>script.out </dev/null &
	pid=$!
	wait_for 30 test -e held || fail "no hook: $(cat shown)"
}
on_terminal ""
wait_for 30 grep -q 'running a hook, 0.[1-9] s' shown || fail "no line: $(cat shown)"
touch go
wait "$pid"
# erased, and then the summary
tr '\r' '\n' <shown >lines
grep -q "^$(printf '\033')\[Kcheckpoint" lines || fail "not erased: $(od -c shown | tail -20)"
for options in --quiet --progress=none; do
	on_terminal "$options"
	sleep 0.5 # in which a line would have come twice
	touch go
	wait "$pid"
	! grep -q 'a hook' shown || fail "$options: $(cat shown)"
done
