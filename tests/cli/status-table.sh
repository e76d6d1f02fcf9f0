#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status-table.sh - what people read of a status: any number of replicas and images, any names
. "$(dirname "$0")/common.bash"
requires script

status() {
	"$MIRRORCTL" status "$@" >out 2>err || fail "status $*: exit code $?: $(cat err)"
	[ ! -s err ] || fail "status $*: $(cat err)"
}

# on_terminal COLUMNS ARGUMENT...: status as it is on one so wide
on_terminal() {
	local columns=$1
	shift
	TERM=xterm script -qec "stty cols $columns rows 24; '$MIRRORCTL' status $*" /dev/null </dev/null |
		tr -d '\r' >out
}

# assert_last_column FIRST LAST: in the table with these titles, all that is in the last column begins below
# its title
assert_last_column() {
	local header at line inside=''
	header=$(grep -m 1 "^ *$1" out) || fail "no line with $1: $(cat out)"
	at=${header%%"$2"*}
	at=${#at}
	while IFS= read -r line; do
		[ "$line" != "$header" ] || inside=yes
		[ -n "$line" ] || inside=''
		[ -n "$inside" ] || continue
		case "${line:at-2:3}" in
		'  '[!\ ]) ;;
		*) fail "$2 isn't where it should be: '$line'" ;;
		esac
	done <out
}

mkdir s
truncate -s 10M s/a
echo 1 >s/b
must_sync 0 s d1
"$MIRRORCTL" replica forget s d1
status s
assert_contains "$(cat out)" "no replica; mirrorctl sync makes one"
assert_last_column SIZE IMAGE
grep -q '^ *10.0 MiB  a$' out || fail "no row of a: $(cat out)"
grep -q '^ *10.0 MiB  (2 images)$' out || fail "no sum: $(cat out)"
assert_contains "$(sed -n 1p out)" "source 's' ($("$MIRRORCTL" status --json s | jq -r .source.uuid))" "head"
assert_contains "$(sed -n 2p out)" "not mounted, generation 1, block size 64.0 KiB, 2 images, 10.0 MiB"

# names are as long, and as strange, as they like
long=$(printf 'x%.0s' {1..200})
echo 1 >"s/$long"
echo 1 >s/$'new\nline'
echo 1 >s/$'b\xff'
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	must_sync 0 s "d$i"
done
echo 2 >s/b # a sidecar is in its way: changed behind the mount
status s
assert_eq "$(grep -c '^\[[0-9]*\] ' out)" 12 "rows of replicas"
assert_last_column REPLICA WHERE
assert_last_column SIZE IMAGE
assert_contains "$(grep -m 1 '^ *SIZE' out)" '[12] DIRTY        %  IMAGE'
grep -qF '  new\nline' out || fail "a name with a newline: $(cat out)"
grep -qF '  b\xff' out || fail "a name that isn't UTF-8: $(cat out)"
grep -q "  $long\$" out || fail "a long name: $(cat out)"
grep -q '  b (changed-behind-mount)$' out || fail "why b has no bitmaps: $(cat out)"
assert_contains "$(tail -n 1 out)" "warning: 'b': changed behind the mount; the next sync goes through all of it"
assert_contains "$(sed -n 2p out)" ", 1 warning"
# what the one of them lacks, of all and of b: the sum is that of its rows
number=$(grep -F "$(realpath d3)" out | sed 's/^\[\([0-9]*\)\].*/\1/')
assert_eq "$("$MIRRORCTL" status --json s | jq ".source.replicas[$number - 1].dirty_bytes")" 2 "dirty"
grep -Eq "^\[$number\] +[0-9]+ +[0-9]+ (s|min.*)  20[-0-9T:]+Z +2 B +<0\.01%  $(realpath d3)\$" out ||
	fail "row of d3: $(cat out)"

# a terminal that is too narrow has less of each image, and all of them; a pipe has no width
on_terminal 400 s
assert_contains "$(grep -m 1 '^ *SIZE' out)" '[12] DIRTY        %  IMAGE'
on_terminal 200 s
assert_contains "$(grep -m 1 '^ *SIZE' out)" '[12] DIRTY  IMAGE'
on_terminal 80 s
assert_eq "$(grep -m 1 '^ *SIZE' out)" '    SIZE  MOST DIRTY        %  FOR  IMAGE'
grep -Eq '^ +2 B +2 B  100.00%  \[1\] +b \(changed-behind-mount\)$' out || fail "row of b: $(cat out)"
grep -Eq '^10\.0 MiB +2 B +<0\.01%  \[1\]  \(5 images\)$' out || fail "sum: $(cat out)"
assert_last_column SIZE IMAGE

# a thousand images, and as many with trouble: as many rows, and one warning
mkdir t
(cd t && seq -f %04g 1000 | xargs touch)
must_sync 0 t u
find t -path t/.mirrorfs -prune -o -type f -exec sh -c 'for f; do echo 1 >"$f"; done' - {} +
status t
assert_eq "$(grep -c '^ *2 B .* [0-9]\{4\} (changed-behind-mount)$' out)" 1000 "rows of images"
assert_eq "$(grep -c ^warning: out)" 1 "lines of warnings"
assert_contains "$(cat out)" \
	"warning: changed behind the mount: 1000 file(s), such as '0001'; the next sync goes through all of them"
assert_eq "$("$MIRRORCTL" status --json t | jq '.warnings | length')" 1000 "warnings in JSON"

# of a replica: how long ago, and what it keeps
echo 3 >s/c
must_sync 3 s d1 --keep 2
status d1
assert_contains "$(sed -n 1p out)" "replica 'd1' ("
grep -Eq '^complete at checkpoint [0-9]+ \(.*\) since .*Z, [0-9]+ s ago; 6 images, 10.0 MiB$' out ||
	fail "replica: $(cat out)"
grep -Eq '^CHECKPOINT +MADE +KEPT AS +SIZE +UUID$' out || fail "kept: $(cat out)"
