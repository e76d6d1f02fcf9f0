#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# output.sh - stdout's errors are noticed; help, man page and options agree
. "$(dirname "$0")/common.bash"

mkdir s
echo 1 >s/a
must_sync 0 s d

for words in "help" "help sync" "--version" "status s" "status --json s" "status d" "sync s d" \
	"sync --json s d" "map s a" "map --json s a" "replica list s" "replica list --json s" \
	"checkpoint list s" "checkpoint list --json s" "verify s d" "verify --json s d" \
	"scrub d" "scrub --json d"; do
	code=0
	# shellcheck disable=SC2086
	"$MIRRORCTL" $words >/dev/full 2>err || code=$?
	case $words in
	verify* | scrub*) assert_eq "$code" 2 "$words >/dev/full: exit code" ;;
	*) assert_eq "$code" 1 "$words >/dev/full: exit code" ;;
	esac
	assert_one_line "$(cat err)"
	# a reader that leaves early
	code=0
	# shellcheck disable=SC2086
	{ "$MIRRORCTL" $words 2>err || echo "$?" >code.txt; } | :
done
# that its summary can't be written doesn't undo a sync
echo 2 >s/b
"$MIRRORCTL" sync s d >/dev/full 2>&1 || :
assert_equal_trees s d

echo 3 >s/c
assert_eq "$("$MIRRORCTL" sync --quiet s d 2>&1)" "" "sync --quiet"
assert_eq "$("$MIRRORCTL" verify --quiet s d 2>&1)" "" "verify --quiet"
# no progress line where nobody looks at it
"$MIRRORCTL" sync s d >out 2>err
[ ! -s err ] || fail "stderr: $(cat err)"
assert_eq "$(wc -l <out)" 1 "lines of a summary"
grep -Eq '^checkpoint [0-9]+: 0 of 3 images changed, copied 0 B of 6 B \(0\.00%\), zeroed 0 B, [0-9.]+ s$' out ||
	fail "summary: $(cat out)"

# options come before and after arguments; -- ends them
mkdir ./-d
echo 1 >./-d/x
"$MIRRORCTL" sync --quiet -- -d e
"$MIRRORCTL" sync -- -d e >/dev/null
"$MIRRORCTL" sync s --json d | jq -e .checkpoint >/dev/null

# The example of a nightly sync mails nothing when all is as it should be, else the reason
mail_example() { # PAGE SOURCE DEST: what it mails
	sed -n '/^out=/,/^esac/p' "$TOP/man/$1" |
		sed "s/\\\\-/-/g; s/\\\\(aq/'/g; s/\\\\e/\\\\/g; s|/srv/images|$2|; s|/backup/images|$3|" >example
	grep -q '^out=.*sync' example || fail "no example with a mail in $1"
	{
		echo "mirrorctl() { '$MIRRORCTL' \"\$@\"; }"
		echo "mail() { echo \"subject: \$2\"; cat; }"
		cat example
	} >example.sh
	sh example.sh
}
mkdir nightly
echo 1 >nightly/a
for page in mirrorctl.8 mirrorctl-sync.8; do
	assert_eq "$(mail_example $page nightly mailed-$page)" "" "the example of $page, nothing to tell"
	echo 2 >>nightly/a
	mail_example $page nightly mailed-$page >mail
	grep -q '^subject: bitmaps' mail && grep -q "'a'.*changed behind" mail ||
		fail "$page, an image changed behind the mount: $(cat mail)"
	mail_example $page absent mailed-$page >mail
	grep -q '^subject: no backup' mail && grep -q "'absent': no such" mail || fail "$page, an error: $(cat mail)"
done

# Every verb has a page, with the options that help knows, both in its synopsis and explained; and the
# other way round
options_in() {
	grep -Eo 'Fl \\-[a-z]+(\\-[a-z]+)*' | sed 's/Fl /-/; s/\\//g' | sort -u
}
"$MIRRORCTL" help | awk '/^  [a-z]/ && $1 != "help" { print $1 }' >verbs
while read -r verb; do
	page=$TOP/man/mirrorctl-$verb.8
	"$MIRRORCTL" help "$verb" | awk '/^  --/ { print $1 }' | sort >help-options
	for part in '/^\.Sh SYNOPSIS/,/^\.Sh EX/' '/^\.Sh OPTIONS/,/^\.Sh [^O]/'; do
		sed -n "${part}p" "$page" | options_in | diff help-options - ||
			fail "options of help $verb (<) and its page, $part (>)"
	done
	grep -q "^\.It Xr mirrorctl.-$verb 8\$" "$TOP/man/mirrorctl.8" || fail "mirrorctl.8 has no $verb"
done <verbs
for page in "$TOP"/man/mirrorctl-*.8; do
	page=${page##*/mirrorctl-}
	echo "${page%.8}"
done | diff <(sort verbs) - || fail "verbs (<) and pages (>)"

# and every field of the JSON document that it prints
fields_of() { # VERB [JQ-PROGRAM]: of standard input
	jq -r "${2:-keys[]}" >fields
	[ -s fields ] || fail "$1: prints no fields"
	sed -n '/^\.Sh JSON/,/^\.Sh EXIT/p' "$TOP/man/mirrorctl-$1.8" | sed 's/\\//g' >page
	while read -r field; do
		grep -qw -- "$field" page || fail "JSON field $field is not in the page of $1"
	done <fields
}
"$MIRRORCTL" sync --json s d | fields_of sync
"$MIRRORCTL" verify --json s d | fields_of verify
"$MIRRORCTL" scrub --repair s --json d | fields_of scrub
"$MIRRORCTL" recover --json d | fields_of recover
"$MIRRORCTL" restore --json d restored | fields_of restore
"$MIRRORCTL" status --json s | fields_of status 'keys[], (.source | keys[]),
	(.source.images[0] | keys[]), (.source.checkpoints[0] | keys[])'
"$MIRRORCTL" status --json s | fields_of replica '.source.replicas[0] | keys[]'
"$MIRRORCTL" status --json d | fields_of status '.replica | keys[]'
"$MIRRORCTL" replica list --json s | fields_of replica 'keys[], (.replicas[0] | keys[])'
"$MIRRORCTL" checkpoint create --json s named | fields_of checkpoint
"$MIRRORCTL" checkpoint list --json s | fields_of checkpoint 'keys[], (.checkpoints[0] | keys[])'
if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	mount_source s
	"$MIRRORCTL" snapshot create --json s | fields_of snapshot
	"$MIRRORCTL" snapshot list --json s | fields_of snapshot 'keys[], (.snapshots[0] | keys[])'
	unmount s
fi
"$MIRRORCTL" map --json s a | fields_of map 'keys[], (.since | keys[]), (.extents[0] | keys[])'
"$MIRRORCTL" switchover --json s switched | fields_of switchover
"$MIRRORCTL" status --json s | fields_of status '.source.sealed | keys[]'
"$MIRRORCTL" switchover --undo --json s | fields_of switchover
"$MIRRORCTL" adopt --json d | fields_of adopt
