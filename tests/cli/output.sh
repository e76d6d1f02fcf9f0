#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# output.sh - stdout's errors are noticed; help, man page and options agree
. "$(dirname "$0")/common.bash"

mkdir s
echo 1 >s/a
must_sync 0 s d

for words in "help" "help sync" "--version" "status s" "status --json s" "status d" "sync s d" \
	"sync --json s d" "replica list s" "replica list --json s" "verify s d" "verify --json s d" \
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

# every option and verb that help knows is in the man page, and the other way round
page=$TOP/man/mirrorctl.8
"$MIRRORCTL" help | awk '/^  [a-z]/ { print $1 }' >verbs
while read -r verb; do
	"$MIRRORCTL" help "$verb" | awk '/^  --/ { print $1 }'
done <verbs | sort -u >help-options
grep -Eo 'Fl \\-[a-z]+(\\-[a-z]+)*' "$page" | sed 's/Fl /-/; s/\\//g' | sort -u >page-options
diff <(printf -- '--help\n--version\n' | sort -u - help-options) page-options ||
	fail "options of help (<) and man page (>)"
while read -r verb; do
	grep -q "^\.Ss mirrorctl $verb\$" "$page" || fail "$verb is not in the man page"
done <verbs
# and every field of the JSON documents
{
	"$MIRRORCTL" sync --json s d | jq -r 'keys[]'
	"$MIRRORCTL" verify --json s d | jq -r 'keys[]'
	"$MIRRORCTL" scrub --repair s --json d | jq -r 'keys[]'
	"$MIRRORCTL" status --json s | jq -r 'keys[], (.source | keys[]),
		(.source.images[0] | keys[]), (.source.replicas[0] | keys[]),
		(.source.checkpoints[0] | keys[])'
	"$MIRRORCTL" status --json d | jq -r '.replica | keys[]'
	"$MIRRORCTL" replica list --json s | jq -r 'keys[], (.replicas[0] | keys[])'
	if [ -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
		mount_source s
		"$MIRRORCTL" snapshot create --json s | jq -r 'keys[]'
		"$MIRRORCTL" snapshot list --json s | jq -r 'keys[], (.snapshots[0] | keys[])'
		unmount s
	fi
} >fields
sed 's/\\//g' "$page" >page
while read -r field; do
	grep -qw -- "$field" page || fail "JSON field $field is not in the man page"
done < <(sort -u fields)
