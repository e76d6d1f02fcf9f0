#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# checkpoint-verb.sh - named checkpoints are made whole or not at all, listed, and let go of
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

checkpoint() {
	"$MIRRORCTL" checkpoint "$@"
}

# refused PART WORD...: exit code 1, one line with PART in it
refused() {
	local part=$1
	shift
	assert_fails checkpoint "$@"
	assert_eq "$code" 1 "checkpoint $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "checkpoint $*"
}

# listed NAME FILTER: of what the list says of it; $at is where the source is found
listed() {
	checkpoint list --json "$at" >list.json
	json ".checkpoints[] | select(.name == \"$1\") | $2" list.json
}

# names: all that there are, the oldest first
names() {
	checkpoint list --json "$at" | jq -r '.checkpoints | map(.name // "-") | join(" ")'
}

lists() {
	find s/.mirrorfs/named -type f 2>/dev/null | wc -l
}

# no usage, no source, nothing made of what isn't one
for words in "create" "create s" "list" "delete s" "other s" "list s x" "create s x y" \
	"delete s x --quiet" "list s --quiet"; do
	# shellcheck disable=SC2086
	assert_fails checkpoint $words
	assert_eq "$code" 2 "checkpoint $words: exit code"
	assert_one_line "$stderr"
done
mkdir s m
refused "it is no source" list s
refused "it is no source" delete s x
refused "'nowhere': no such file" create nowhere x
for name in 12 deadbeef 12345678-12 .a a/b 'a b' $'a\nb' "$(printf 'n%.0s' {1..64})"; do
	refused "a name has letters" create s "$name"
done
[ ! -e s/.mirrorfs ] || fail "a state directory was made"

random_file s/a 1000000
random_file s/$'new\nline' 300000
mkdir s/dir
ln s/a s/dir/link
at=s
assert_eq "$(checkpoint create s one 2>err)" "checkpoint 1 is 'one'" "output"
assert_eq "$(cat err)" "mirrorctl: warning: 's' was no source before, and is one now" "of a new source"
refused "there is one named 'one'" create s one
assert_eq "$(checkpoint create s two --quiet 2>&1)" "" "output of --quiet"
mkdir new
assert_eq "$(checkpoint create new one --quiet 2>&1)" "" "output of --quiet, of a new source"
assert_eq "$(checkpoint create new two 2>&1)" "checkpoint 2 is 'two'" "output of one that was made before"
assert_eq "$(names)" "one two" "names"
assert_eq "$(lists)" 2 "lists of images"
assert_eq "$("$MIRRORCTL" status --json s | jq -r '.source.checkpoints[0].name')" one "name in status"

# It is kept, and what has changed since, over any number of syncs.  What is kept only for it goes
# with it.
at=m
mount_source s m
for i in 1 2 3; do
	client flip m/a $((i * 65536))
	must_sync 0 m d
done
client flip m/a 0
assert_eq "$(listed one .dirty_bytes)" $((4 * 65536)) "dirty since one"
assert_eq "$(listed two .number)" 2 "number of two"
assert_eq "$(names)" "one two -" "names after syncs"
checkpoint list --json m >list.json
assert_eq "$(json '.checkpoints[2].replicas' list.json)" 1 "replicas at the newest"
checkpoint create m three --json >made.json
assert_eq "$(json '[.name, .checkpoint.number, .images] | @text' made.json)" '["three",6,3]' "made"
assert_eq "$(listed three '[.number, .dirty_bytes] | @text')" '[6,0]' "three"
# one after the other: each alone holds what lies up to the next
held=$(listed one .held_generations)
assert_eq "$held" 1 "checkpoints held by one"
checkpoint delete m one --json >deleted.json
assert_eq "$(json .name deleted.json)" one "what was deleted"
refused "there is none of that name" delete m one
refused "there is none of that name" delete m 2 # a number is no name
assert_eq "$(listed two .held_generations)" 1 "checkpoints held by two"
client flip m/a 70000
"$MIRRORCTL" status m >/dev/null # it has the sidecars written
before=$(cat s/.mirrorfs/bitmaps/* | wc -c)
held=$(listed two .held_bytes)
[ "$held" -gt 0 ] || fail "two holds nothing"
checkpoint delete m two
client flip m/a 70000
"$MIRRORCTL" status m >/dev/null
assert_eq $((before - $(cat s/.mirrorfs/bitmaps/* | wc -c))) "$held" "bytes that went with two"
assert_eq "$(names)" "- three" "names after two were deleted"
assert_eq "$(lists)" 1 "lists of images after two were deleted"
must_sync 0 m d
assert_equal_trees m d

# hooks, around the instant
# shellcheck disable=SC2016
checkpoint create m hooked --quiet --pre-hook 'echo "pre $MIRRORFS_CHECKPOINT" >hooks' \
	--post-hook 'echo "post $MIRRORFS_RESULT" >>hooks'
assert_eq "$(xargs <hooks)" "pre $(listed hooked .number) post ok" "hooks"
refused "pre-hook" create m none --pre-hook false
refused "there is one named" create m hooked --pre-hook 'echo again >hooks'
assert_eq "$(head -n 1 hooks)" "pre $(listed hooked .number)" "a hook of a name that is taken"
assert_fails checkpoint create m posted --post-hook false
assert_eq "$(names | grep -c posted)" 1 "made though the post-hook failed"

# Others make one at the same moment, so that ours is gone before it has its name: it is made again.
cat >crowd <<'END'
[ -e crowded ] && [ ! -e always ] && exit 0
touch crowded
exec "$MIRRORCTL" sync --quiet m d
END
export MIRRORCTL
checkpoint create m crowded --post-hook 'sh ./crowd'
[ -e crowded ] || fail "nobody made another"
assert_eq "$(names | grep -c crowded)" 1 "made though another came in between"
touch always
refused "others were made at the same moment" create m never --post-hook 'sh ./crowd'
[[ " $(names) " != *" never "* ]] || fail "made, and refused: $(names)"
assert_fails "$MIRRORCTL" snapshot create --checkpoint m never --post-hook 'sh ./crowd'
assert_contains "$stderr" "others were made at the same moment"
assert_eq "$("$MIRRORCTL" snapshot list m)" "" "snapshots when its checkpoint has no name"

# as a snapshot, which may go before it
at_snapshot=$("$MIRRORCTL" snapshot create --checkpoint m snap)
assert_same_file "$at_snapshot/a" s/a
assert_eq "$("$MIRRORCTL" snapshot list --json m | jq '.snapshots[0].checkpoint.number')" \
	"$(listed snap .number)" "checkpoint of the snapshot"
assert_fails "$MIRRORCTL" snapshot create --checkpoint m hooked
assert_contains "$stderr" "there is one named 'hooked'"
assert_fails "$MIRRORCTL" snapshot create --checkpoint m 17
assert_fails "$MIRRORCTL" snapshot create --checkpoint m deadbeef
assert_eq "$("$MIRRORCTL" snapshot list --json m | jq -r '[.snapshots[].name] | join(" ")')" snap \
	"snapshots"
"$MIRRORCTL" snapshot delete m snap
assert_eq "$(listed snap .dirty_bytes)" 0 "of a snapshot that is gone"
"$MIRRORCTL" snapshot create --checkpoint --json m >made.json # named after the time
assert_eq "$(listed "$(json .name made.json)" .number)" "$(json .checkpoint.number made.json)" \
	"a checkpoint that is named after the time"
if [ "$(id -u)" = 0 ]; then
	assert_fails as_user "$MIRRORCTL" checkpoint create "$PWD/m" mine
	assert_contains "$stderr" "only the user that runs mirrorfs there, and root, may"
fi
unmount m
at=s
for name in $(names); do
	[ "$name" = - ] || checkpoint delete s "$name"
done
assert_eq "$(lists)" 0 "lists of images when no name is left"

# Killed at any call that changes something: there is all of it, or no name; and what is left of one
# that isn't there goes with the next.
calls=mkdirat,renameat,renameat2,unlinkat,fsync,fdatasync,pwrite64
strace -f -qq -o trace -e trace=$calls "$MIRRORCTL" checkpoint create --quiet s whole
sed -n -E 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/p' trace | sort | uniq -c >counts
# each image, as it is in the cache, is on its disk before the name is
[ "$(grep -c 'fdatasync(' trace)" -ge 2 ] || fail "images were not flushed: $(cat trace)"
[ "$(grep -n 'fdatasync(' trace | tail -n 1 | cut -d : -f 1)" -lt \
	"$(grep -n 'rename.*"state.tmp"' trace | tail -n 1 | cut -d : -f 1)" ] ||
	fail "images were not flushed before the name: $(cat trace)"
checkpoint delete s whole
made=0 killed=0
while read -r n call <&3; do
	for i in $(seq "$n"); do
		code=0
		strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:signal=KILL:when=$i" \
			"$MIRRORCTL" checkpoint create --quiet s kill 2>/dev/null || code=$?
		[ "$code" = 137 ] || continue
		killed=$((killed + 1))
		if [ "$(listed kill .name)" = kill ]; then
			made=$((made + 1))
			[ -e "s/.mirrorfs/named/$(listed kill .uuid)" ] ||
				fail "killed at $call $i: it has a name, and no list of images"
			checkpoint delete s kill
		fi
	done
done 3<counts 2>/dev/null
[ "$killed" -gt 10 ] || fail "only $killed kills"
checkpoint create --quiet s after
assert_eq "$(names)" "- after" "names after kills, and what d is at"
assert_eq "$(find s/.mirrorfs/named -type f)" "s/.mirrorfs/named/$(listed after .uuid)" \
	"lists of images after kills"
echo "$killed kills, $made with a name"

# What root does for a source that is another's, its owner can go on with.
if [ "$(id -u)" = 0 ]; then
	chown 65534:65534 s/.mirrorfs
	checkpoint create --quiet s by-root
	assert_eq "$(stat -c %u:%g s/.mirrorfs/named "s/.mirrorfs/named/$(listed by-root .uuid)" | xargs)" \
		"65534:65534 65534:65534" "owners"
	checkpoint delete s by-root
	chown 0:0 s/.mirrorfs
fi

# An image that can't be flushed: no name, and its content is in doubt, as if its guest's own fsync
# had failed.
code=0
strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when=1 \
	"$MIRRORCTL" checkpoint create s doubtful 2>err || code=$?
assert_eq "$code" 1 "create when an image can't be flushed: exit code"
assert_contains "$(cat err)" "flush 's/"
assert_eq "$(names)" "- after -" "names when an image couldn't be flushed"
must_sync 3 s d
assert_eq "$(json '[.full_copies[].reason] | unique | join(" ")')" fsync-failed "reason"
assert_equal_trees s d
