#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# verify.sh - each kind of difference is found, named, and told by the exit code
. "$(dirname "$0")/common.bash"

mkdir -p s/dir
random_file s/image 1000000
truncate -s 3M s/holes
echo 1 >s/small
ln s/small s/linked
ln -s target s/sym
mkfifo s/fifo
must_sync 0 s good
"$MIRRORCTL" verify s good >out
assert_contains "$(cat out)" same

# differs WORD TEXT COMMAND...: after COMMAND in a copy, only that is found
differs() {
	local word=$1 text=$2
	shift 2
	rm -rf d
	cp -a good d
	touch -r good d
	"$@"
	touch -r good/dir d/dir
	touch -r good d
	code=0
	"$MIRRORCTL" verify --json s d >verify.json 2>err || code=$?
	assert_eq "$code" 1 "$*: exit code"
	assert_eq "$(jq -r .same verify.json)" false same
	assert_eq "$(jq -r '[.differences[].what] | unique | join(" ")' verify.json)" "$word" "$*"
	assert_contains "$(jq -r '.differences[] | .path + ": " + .text' verify.json)" "$text" "$*"
	code=0
	"$MIRRORCTL" verify s d >out || code=$?
	assert_eq "$code" 1 "$*: exit code"
	assert_contains "$(cat out)" "$text"
	code=0
	"$MIRRORCTL" verify --quiet s d >out 2>&1 || code=$?
	assert_eq "$code" 1 "$*: exit code"
	[ ! -s out ] || fail "quiet says: $(cat out)"
}

# without a change of its times
stealthily() {
	local file=$1
	shift
	cp --preserve=timestamps --attributes-only "$file" times 2>/dev/null || touch -r "$file" times
	"$@"
	touch -r times "$file"
}
# poke FILE OFFSET: what is there becomes something else, for certain, and perhaps the byte after it
poke() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b\001' "\\0$(printf %o $((255 - byte)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
grow() {
	truncate -s +1 "$1"
}

differs content "image: content differs at offset 700000 (1 block)" \
	stealthily d/image poke d/image 700000
differs content "holes: content differs at offset 2097152 (1 block)" \
	stealthily d/holes poke d/holes 2097152
differs content "(2 blocks)" stealthily d/holes poke d/holes 131071
differs size "linked: size 2 != 3" stealthily d/small grow d/small
differs mode "image: mode 0644 != 0640" chmod 640 d/image
differs mtime "image: mtime" touch -d '2001-02-03 04:05:06.789' d/image
differs xattr "user.extra" setfattr -n user.extra -v 1 d/image
differs xattr "system.posix_acl_access" stealthily d/image setfacl -m u:1:rw -m m::r d/image
differs only-in-source "small: only in source" rm d/small
differs only-in-replica "dir/extra: only in replica" touch d/dir/extra
differs links "" sh -c 'cp -p d/small t && rm d/linked && mv t d/linked'
differs links "" sh -c 'ln -f d/image d/linked2 && rm d/linked && cp -p d/small d/linked && rm d/linked2'
differs target "sym: symlink targets differ" sh -c 'rm d/sym && ln -s other d/sym && touch -h -r s/sym d/sym'
differs type "fifo: fifo != regular file" sh -c 'rm d/fifo && touch d/fifo'

# .mirrorfs and our xattrs don't count, and neither side has to be a source or a replica
mkdir p q
echo 1 >p/x && cp -a p/x q/x && touch -r p q
setfattr -n user.mirrorfs.id -v whatever q/x
"$MIRRORCTL" verify p q || fail "verify of plain directories"
[ ! -e p/.mirrorfs ] || fail "verify made a state directory"

# bytes: of the last verify, by digest and byte by byte
bytes() {
	jq -c '[.bytes_by_digest, .bytes_compared]' verify.json
}
# verify WANTED_CODE [OPTION...]: of good
verify() {
	local wanted=$1
	shift
	code=0
	"$MIRRORCTL" verify --json "$@" s good >verify.json 2>err || code=$?
	assert_eq "$code" "$wanted" "verify $*: exit code ($(cat err verify.json))"
}

# of a replica that nobody has touched the digests are enough, and its images aren't read
verify 0
assert_eq "$(bytes)" "[1000002,0]" "by digest"
verify 0 --deep
assert_eq "$(bytes)" "[0,1000002]" "--deep"
"$MIRRORCTL" verify s good >out
assert_contains "$(cat out)" "by digest 976.6 KiB, byte by byte 0 B"
unreadable() {
	code=0
	ASAN_OPTIONS=detect_leaks=0 strace -qq -o trace -P "$work/good/image" -e trace=pread64 \
		-e inject=pread64:error=EIO "$MIRRORCTL" verify "$@" s good >out 2>&1 || code=$?
}
if command -v strace >/dev/null; then
	unreadable --deep --threads 1
	assert_eq "$code" 2 "--deep of an image that can't be read: exit code"
	assert_contains "$(cat out)" "read 'good/image': "
	unreadable --threads 1
	assert_eq "$code" 0 "verify of an image that can't be read: exit code"
fi

# what differs is told by its bytes, of that block alone
stealthily s/image poke s/image 700000
verify 1
assert_eq "$(bytes)" "[934466,65536]" "by digest, but for a block"
assert_eq "$(jq -r '.differences[].text' verify.json)" \
	"content differs at offset 700000 (1 block)" "difference"
must_sync 3 s good
verify 0
assert_eq "$(bytes)" "[1000002,0]" "by digest, after a sync"

# a hole where data was, and data where a hole was
stealthily s/image fallocate -p -o 131072 -l 131072 s/image
verify 1
assert_eq "$(bytes)" "[868930,131072]" "by digest, but for a hole"
must_sync 3 s good
verify 0
assert_eq "$(bytes)" "[868930,0]" "by digest, with a hole on both sides"
stealthily s/image poke s/image 150000
verify 1
assert_eq "$(bytes)" "[868930,65536]" "by digest, but for data in a hole"
head -c 131072 /dev/urandom | dd of=s/image bs=131072 seek=1 conv=notrunc status=none
must_sync 3 s good

# unknown digests, and files that somebody has touched, are compared by their bytes
digests=good/.mirrorfs/digests/$(getfattr --only-values -n user.mirrorfs.id s/image)
cp "$digests" digests.good
printf xx | dd of="$digests" bs=1 seek=5000 conv=notrunc status=none
verify 0
assert_eq "$(bytes)" "[2,1000000]" "a damaged page"
printf xx | dd of="$digests" bs=1 seek=30 conv=notrunc status=none
verify 0
assert_eq "$(bytes)" "[2,1000000]" "a damaged header"
cp digests.good "$digests"
stealthily good/image poke good/image 5
verify 1
assert_eq "$(bytes)" "[2,1000000]" "a touched image"
assert_eq "$(jq -r '.differences[].text' verify.json)" \
	"content differs at offset 5 (1 block)" "difference"
must_sync 3 s good

# an update that isn't published yet is neither the one nor the other
touch good/.mirrorfs/journal
assert_fails "$MIRRORCTL" verify s good
assert_eq "$code" 2 "with a journal: exit code"
assert_contains "$stderr" "recover first"
rm good/.mirrorfs/journal

# errors are 2
for args in "nowhere d" "s nowhere" "s/image d" "s d/image"; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" verify $args
	assert_eq "$code" 2 "verify $args: exit code"
	assert_one_line "$stderr"
done
