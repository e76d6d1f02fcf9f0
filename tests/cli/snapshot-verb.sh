#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# snapshot-verb.sh - snapshots are made, shown and deleted, and are what the source was
. "$(dirname "$0")/common.bash"
requires_fuse

snapshot() {
	"$MIRRORCTL" snapshot "$@"
}

# refused PART WORD...: exit code 1, one line with PART in it
refused() {
	local part=$1
	shift
	assert_fails snapshot "$@"
	assert_eq "$code" 1 "snapshot $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "snapshot $*"
}

mkdir -p s/dir mnt
random_file s/a 1000000
random_file s/dir/b 300000
truncate -s 5M s/holes
ln s/a s/dir/link
ln -s ../a s/dir/symlink
setfattr -n user.x -v y s/a
chmod 640 s/dir/b
mkfifo s/fifo

# not mounted, never a source, inside, by its wrong name
refused "no mirrorfs is mounted there" create s
refused "no mirrorfs is mounted there" list s/dir
must_sync 0 s d
refused "no mirrorfs is mounted there" delete s x
refused "'nowhere': no such file" list nowhere
mount_source s mnt
refused "'$(realpath mnt)'" create s
refused "inside a mounted source" create mnt/dir

# usage
for words in "create" "create mnt a b" "list mnt a" "delete mnt" "other mnt" "list mnt --pre-hook x" \
	"delete mnt x --pre-hook y" "create mnt --pre-hook" "create mnt --pre-hook="; do
	# shellcheck disable=SC2086
	assert_fails snapshot $words
	assert_eq "$code" 2 "snapshot $words: exit code"
	assert_one_line "$stderr"
done

assert_eq "$(snapshot list mnt)" "" "a list of none"
assert_eq "$(snapshot list --json mnt | jq -c .snapshots)" "[]" "a list of none"

list_tree mnt >before
at=$(snapshot create mnt one)
assert_eq "$at" "$(realpath mnt)/.mirrorfs/snapshot/one" "where it is found"
[ -z "$(find mnt -maxdepth 1 -name .mirrorfs)" ] || fail ".mirrorfs is listed"
refused "there is one named 'one'" create mnt one
for name in .x a/b "a b" "$(printf 'x%.0s' {1..64})"; do
	refused "letters, digits" create mnt "$name"
done

# what happens afterwards is not in it
random_file mnt/other 500000
dd if=mnt/other of=mnt/a bs=64k seek=1 count=5 conv=notrunc status=none
truncate -s 1000 mnt/dir/b
mv mnt/holes mnt/moved
rm mnt/dir/link mnt/fifo
chmod 600 mnt/a
setfattr -x user.x mnt/a
list_tree "$at" >after
diff before after >&2 || fail "the snapshot isn't what the source was"
! touch "$at/new" 2>/dev/null || fail "something was made in a snapshot"

# all of them are listed, in order
must_sync 0 mnt d
assert_equal_trees mnt d

# compared with a replica: one of the same instant, and one of a later one
snapshot create mnt same >/dev/null
"$MIRRORCTL" verify mnt/.mirrorfs/snapshot/same d >verify.out || fail "verify: $(cat verify.out)"
random_file mnt/a 900000
"$MIRRORCTL" verify mnt/.mirrorfs/snapshot/same d >verify.out || fail "verify: $(cat verify.out)"
(cd mnt/.mirrorfs/snapshot/same && "$MIRRORCTL" verify . "$work/d") >verify.out ||
	fail "verify: $(cat verify.out)"
code=0
"$MIRRORCTL" verify --json "$at" d >verify.json || code=$?
assert_eq "$code" 1 "verify of another instant: exit code"
assert_eq "$(jq -r '[.differences[].path] | index("a") != null' verify.json)" true "differences"
for verb in sync verify; do
	assert_fails "$MIRRORCTL" $verb mnt/dir d
	assert_contains "$stderr" "inside a mounted source"
done
assert_fails "$MIRRORCTL" sync "$at" d
assert_contains "$stderr" "inside a mounted source"
must_sync 0 mnt d
snapshot delete mnt same
snapshot create --json mnt >made.json
name=$(json .name made.json)
[[ $name =~ ^20[0-9-]{8}T[0-9:]{8}Z(\.[0-9]+)?$ ]] || fail "name: $name"
again=$(snapshot create mnt)
[ -d "$again" ] || fail "not made: $again"
snapshot list --json mnt >list.json
assert_eq "$(json '[.snapshots[].name] | join(" ")' list.json)" "one $name $(basename "$again")" names
assert_eq "$(json '[.snapshots[].checkpoint.number] | . == sort' list.json)" true "in order"
assert_eq "$(json '.snapshots[1].checkpoint == input.checkpoint' list.json made.json 2>/dev/null ||
	jq -n 'input.snapshots[1].checkpoint == input.checkpoint' list.json made.json)" true checkpoint
assert_eq "$(json '.snapshots[1].path' list.json)" "$(json .path made.json)" path
assert_eq "$(json '.snapshots[1].images' list.json)" "$(json .images made.json)" images
assert_eq "$(json '.snapshots[0].preserved_bytes >= 5 * 65536' list.json)" true "preserved bytes"
assert_eq "$(json '[.snapshots[] | .broken, .in_sync] | any' list.json)" false "broken or in a sync"
assert_eq "$(snapshot list mnt | wc -l)" 4 "lines"
snapshot list mnt | grep -Eq '^ +[0-9]+  20[0-9T:-]+Z +[0-9]+ +[0-9.]+ [KM]iB  one$' ||
	fail "list: $(snapshot list mnt)"

# deleted
snapshot delete mnt "$name"
[ ! -e "mnt/.mirrorfs/snapshot/$name" ] || fail "still there"
refused "none of that name" delete mnt "$name"
refused "none of that name" delete mnt "$(printf 'x%.0s' {1..100})"
list_tree "$at" >after
diff before after >&2 || fail "another's end was noticed"
assert_eq "$(snapshot delete --json mnt one | jq -c .)" '{"name":"one"}' "delete --json"
snapshot delete mnt "$(basename "$again")"
assert_eq "$(snapshot list mnt)" "" "all deleted"

# by a user who may not
if [ "$(id -u)" = 0 ]; then
	chmod 755 . mnt
	assert_fails as_user "$MIRRORCTL" snapshot create "$PWD/mnt"
	assert_contains "$stderr" "only the user that runs mirrorfs there, and root, may"
fi
unmount mnt
