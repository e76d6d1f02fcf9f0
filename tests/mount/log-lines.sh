#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# log-lines.sh - whatever names there are, an event is one line of the daemon's log, with its reason
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires jq iconv

source=$'sou\nrce\xff\e[31m\\'
quoted='sou\nrce\xff\x1b[31m'$'\\\\'
image=$'im\nage\xff'

# log_has N PATTERN: these are the lines of that mount's log, each one an event; the last is what it is about
log_has() {
	local log=${log_of[$work/mnt]}
	[ "$(wc -l <"$log")" = "$1" ] || fail "wanted $1 lines, got: $(cat -v "$log")"
	[ "$(grep -c '^mirrorfs: [a-z].*' "$log")" = "$1" ] || fail "not each is a message: $(cat -v "$log")"
	iconv -f UTF-8 -t UTF-8 "$log" >/dev/null || fail "not UTF-8: $(cat -v "$log")"
	! grep -q '[[:cntrl:]]' "$log" || fail "control characters: $(cat -v "$log")"
	assert_contains "$(tail -n 1 "$log")" "$2"
}

mkdir "$source" mnt
random_file data 4000000
cp data "$source/$image"
"$MIRRORCTL" sync --quiet "$source" d
printf x | dd of="$source/$image" conv=notrunc status=none # behind the mount

# a start, an image of which there is something to be said, and a snapshot that breaks
mount_source "$source" mnt preserve_limit=1M
log_has 1 "mount '$work/mnt': serving '$work/$quoted'"
printf x | dd of="mnt/$image" conv=notrunc status=none
log_has 2 "image '$work/$quoted/im\\nage\\xff': changed behind the mount, all of it counts as changed"
"$MIRRORCTL" snapshot create mnt x >/dev/null
random_file piece 4000000
dd if=piece of="mnt/$image" bs=1M conv=notrunc status=none
broken() {
	"$MIRRORCTL" snapshot list --json mnt | jq -e '.snapshots[0].broken' >/dev/null
}
wait_for 30 broken || fail "the snapshot doesn't break"
log_has 3 "keep snapshot 'x': "
unmount mnt
log_has 3 "keep snapshot 'x': "

# what ends a start is one line, too, and its reason comes after the name
for words in $'no\nwhere mnt' $'d/no\nwhere mnt'; do
	assert_fails "$MIRRORFS" "${words% *}" mnt
	assert_one_line "$stderr"
	assert_contains "$stderr" "no\\nwhere': no such file or directory"
done
assert_fails "$MIRRORFS" "$source" $'mn\nt'
assert_one_line "$stderr"
assert_contains "$stderr" "mn\\nt': no such file or directory"
mount_source "$source" mnt
mkdir other
assert_fails "$MIRRORFS" "$source" other
assert_one_line "$stderr"
assert_contains "$stderr" "unmount it first: fusermount3 -u '$work/mnt'"
unmount mnt
