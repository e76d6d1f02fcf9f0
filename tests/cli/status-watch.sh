#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status-watch.sh - status again and again: through mounts, errors and signals, on a terminal and elsewhere
. "$(dirname "$0")/common.bash"
requires_fuse
requires script

for words in "--interval 1 s" "--watch --interval 0 s" "--watch --interval x s" "--watch --interval 90000 s"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" status $words
	assert_eq "$code" 2 "exit code of status $words"
	assert_one_line "$stderr"
done

# the first look must succeed, or a mistyped name would be looked for in vain
assert_fails timeout 20 "$MIRRORCTL" status --watch nowhere
assert_eq "$code" 1 "exit code"
assert_one_line "$stderr"

mkdir s
truncate -s 10M s/a
must_sync 0 s d

# watch FILE OPTION...: in the background, where a shell would let it ignore SIGINT, as process $watcher, until
# end_watch
watch() {
	local file=$1
	shift
	env --default-signal=INT "$MIRRORCTL" status --watch --interval 1 "$@" s >"$file" 2>"$file.err" &
	watcher=$!
	cleanup_fn stop_process "$watcher"
}

end_watch() { # SIGNAL
	wait_for 30 catches "$watcher" "$(kill -l "$1")"
	kill -"$1" "$watcher"
	code=0
	wait "$watcher" || code=$?
	assert_eq "$code" $((128 + $(kill -l "$1"))) "exit code after SIG$1"
}

says() { # FILE PATTERN [TIMES]
	[ "$(grep -Ec "$2" "$1")" -ge "${3:-1}" ]
}

# blocks with a blank line between them, and a lag that grows
watch text
wait_for 60 says text '^\[1\] +1 +([3-9]|[0-9]{2}) s ' || fail "the lag doesn't grow: $(cat text)"
end_watch TERM
assert_eq "$(sed -n 1p text | sed 's/[0-9]/N/g')" "NNNN-NN-NNTNN:NN:NNZ" "first line"
awk 'NR > 1 && /^20[0-9-]*T[0-9:]*Z$/ && before != "" { exit 1 } { before = $0 }' text ||
	fail "no blank line between blocks: $(cat text)"
! grep -q $'\e' text || fail "escape sequences in a file"
[ ! -s text.err ] || fail "stderr: $(cat text.err)"

# One document a line; mounts come and go, and so does an error: it is said, and tried again
watch json --json
wait_for 60 says json '"mounted":false' || fail "not mounted: $(cat json)"
mount_source s
wait_for 60 says json '"mounted":true' || fail "mounted: $(cat json)"
unmount s
lines=$(wc -l <json)
wait_for 60 says json '"mounted":false' $((lines - $(grep -c '"mounted":true' json) + 1)) ||
	fail "unmounted: $(cat json)"
cp -p s/.mirrorfs/state state
printf x >damaged
mv damaged s/.mirrorfs/state
wait_for 60 says json.err 'state' 2 || fail "no error: $(cat json json.err)"
mv state s/.mirrorfs/state
lines=$(wc -l <json)
more_than() {
	[ "$(wc -l <json)" -gt "$lines" ]
}
wait_for 60 more_than || fail "it doesn't go on after an error: $(cat json json.err)"
end_watch INT
while IFS= read -r line; do
	jq -e '.source.images[0].path == "a"' <<<"$line" >/dev/null || fail "not a document: $line"
done <json

# who has stopped to read ends it, as an error
code=0
{ timeout 60 "$MIRRORCTL" status --watch --interval 1 s 2>pipe.err || echo $? >code.txt; } | head -n 1 >/dev/null
assert_eq "$(cat code.txt)" 1 "exit code without a reader"
assert_one_line "$(cat pipe.err)"

# In place on a terminal: from its top left corner, never longer or wider than it is, and what it was told of
# wrapping is taken back with each frame
(cd s && seq -f %03g 100 | xargs touch)
echo 1 >s/a # behind the mount
mkfifo keys
exec 3<>keys

# on_terminal ROWS COLUMNS TERM: until it has shown two frames, then Ctrl-C; the first is in the file frame
on_terminal() {
	local all
	: >terminal
	TERM=$3 env --default-signal=INT script -qefc "stty rows $1 cols $2; exec '$MIRRORCTL' status --watch --interval 1 s" terminal \
		<keys >/dev/null 2>&1 &
	watcher=$!
	cleanup_fn stop_process "$watcher"
	wait_for 60 says terminal '^.{0,20}20[-0-9]*T[0-9:]*Z' 2 || fail "TERM=$3: $(cat -v terminal)"
	printf '\003' >&3
	code=0
	wait "$watcher" || code=$?
	assert_eq "$code" 130 "exit code after Ctrl-C"
	all=$(tr -d '\r' <terminal)
	all=${all#*$'\e[?7l\e[H'}
	printf '%s' "${all%%$'\e[J\e[?7h'*}" >frame
}

on_terminal 24 100 xterm
assert_eq "$(grep -c $'\e\\[K$' frame)" 23 "lines of a frame: $(cat -v frame)"
grep -q ' (101 images)' frame || fail "no sum: $(cat -v frame)"
grep -Eq '^and [0-9]+ more images, none with more' frame || fail "nothing of the others: $(cat -v frame)"
grep -q ' a (changed-behind-mount)' frame || fail "not those with the most to copy: $(cat -v frame)"
grep -q "^warning: 'a': changed" frame || fail "no warning: $(cat -v frame)"
assert_eq "$(grep -c $'\e\\[?7l' terminal)" "$(grep -c $'\e\\[?7h' terminal)" "frames that begin and end"
on_terminal 6 40 xterm
assert_eq "$(grep -c $'\e\\[K$' frame)" 5 "lines of a small frame: $(cat -v frame)"
on_terminal 24 80 dumb
! grep -q $'\e' terminal || fail "escape sequences on a dumb terminal: $(cat -v terminal)"
