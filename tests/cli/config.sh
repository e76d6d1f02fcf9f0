#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# config.sh - sync --config: arguments and options from a file; the command line wins
. "$(dirname "$0")/common.bash"

mkdir s other
echo 1 >s/a
echo 2 >other/b

# config LINE...: makes the file
config() {
	printf '%s\n' "$@" >c.conf
}
# refuses TEXT: the file, and says so in one line
refuses() {
	assert_fails "$MIRRORCTL" sync --config c.conf
	assert_eq "$code" 2 "exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$1"
	[ ! -e d ] || fail "something was done"
}

config '# nightly' '' "source = $work/s" "	dest=$work/with space  " 'in-place = no' \
	"pre-hook = echo pre: \$MIRRORFS_SOURCE >hook; echo a=b >>hook"
"$MIRRORCTL" sync --config c.conf >out
assert_equal_trees s "with space"
assert_eq "$(cat hook)" "pre: $work/s
a=b" "pre-hook"

# the command line wins, and may have all of it but the arguments, or all of them
"$MIRRORCTL" sync --config=c.conf --pre-hook 'echo mine >hook' >out
assert_eq "$(cat hook)" mine "pre-hook of the command line"
"$MIRRORCTL" sync --config c.conf other e >out
assert_equal_trees other e
[ "$(cat hook)" != mine ] || fail "the file's hook wasn't run"
assert_fails "$MIRRORCTL" sync --config c.conf other
assert_eq "$code" 2 "one argument: exit code"
assert_contains "$stderr" "all arguments, or none"
config "source = $work/s" 'json = yes' 'dry-run = yes'
"$MIRRORCTL" sync --config c.conf other f | jq -e '.dry_run and .images_changed == 1' >out ||
	fail "yes is no"
[ ! -e f ] || fail "dry-run = yes is no dry run"

# what makes no sense is refused before anything is done
config "source = $work/s"
refuses "arguments are missing"
dest=("source = $work/s" "dest = $work/d")
config "${dest[@]}" 'speed = fast'
refuses "c.conf' line 3: 'speed': there is no such option; see mirrorfs.conf(5)"
config "${dest[@]}" 'deep = yes' # of another verb
refuses "line 3: 'deep'"
config "${dest[@]}" 'config = c.conf'
refuses "line 3: 'config'"
for key in Source sOURCE SOURCE; do
	config "${dest[@]}" "$key = x"
	refuses "line 3: '$key'"
done
config "${dest[@]}" 'in-place = 1'
refuses "line 3: 'in-place': it takes yes or no"
config "${dest[@]}" 'keep = many'
refuses "--keep takes a number"
config "${dest[@]}" 'nonsense'
refuses "line 3: it is not 'key = value'"
for line in '= x' 'keep =' '='; do
	config "${dest[@]}" "$line"
	refuses "line 3: key or value is missing"
done
config "${dest[@]}" "dest = $work/d"
refuses "line 3: 'dest': the key was there before"
printf 'source = s\0\ndest = d\n' >c.conf
refuses "read 'c.conf': invalid argument"
head -c 2000000 /dev/zero | tr '\0' '\n' >c.conf
refuses "read 'c.conf': file too large"
rm c.conf
refuses "read 'c.conf': no such file or directory"
mkdir c.conf
refuses "read 'c.conf': is a directory"
