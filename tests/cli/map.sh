#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# map.sh - which blocks are dirty, and in how many generations: in the terminal, as JSON, as pictures
. "$(dirname "$0")/common.bash"
requires_fuse
requires perl qemu-img script xmllint

B=65536

map() {
	"$MIRRORCTL" map "$@"
}

# mapped ARGUMENT...: its JSON in map.json
mapped() {
	map --json "$@" >map.json || fail "map --json $*"
}

# assert_extents LINE...: all of them, as "start length dirty generations last_generation data", in
# blocks and bytes: "3+0 1+0" begins with block 3 and is one block long
assert_extents() {
	jq -r --argjson b $B 'def u: "\(. / $b | floor)+\(. % $b)";
		.extents[] | "\(.start | u) \(.length | u) \(.dirty) \(.generations) " +
			"\(.last_generation) \(.data)"' map.json >extents
	printf '%s\n' "$@" | diff - extents || fail "extents (<: wanted)"
	# whatever they are: without gaps, and as many bytes as the head says
	jq -e '.size == ([.extents[].length] | add) and
		.dirty_bytes == ([.extents[] | select(.dirty).length] | add // 0) and
		all(.extents[]; .present and .depth == 0 and .zero == (.data | not) and
			.offset == .start and .dirty == (.generations > 0) and
			(.generations == 0) == (.last_generation == null)) and
		(reduce .extents[] as $e (0; if . == $e.start then $e.start + $e.length else -1 end)) == .size
		' map.json >/dev/null || fail "map.json contradicts itself: $(cat map.json)"
}

# refused PART WORD...: exit code 1, one line with PART in it
refused() {
	local part=$1
	shift
	assert_fails map "$@"
	assert_eq "$code" 1 "map $*: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "map $*"
}

# change FILE BLOCK...: with data
change() {
	local file=$1 block
	shift
	for block in "$@"; do
		dd if=/dev/urandom of="$file" bs=$B count=1 seek="$block" conv=notrunc status=none
	done
}

# ---- a directory that is no source, and arguments that are none
mkdir s m
truncate -s $((20 * B + 1000)) s/a
change s/a 0 1
refused "it is no source" s a
[ ! -e s/.mirrorfs ] || fail "map made a state directory"
for words in "s" "s a b" "--since 1 s" "--json --svg - s a" "--svg - --png - s a" "--svg"; do
	# shellcheck disable=SC2086
	assert_fails map $words
	assert_eq "$code" 2 "map $words: exit code"
	assert_one_line "$stderr"
done

# ---- nothing dirty: what is left is what qemu-img says
truncate -s $((4 * B)) s/q
change s/q 2
must_sync 0 s d
mapped s a
assert_extents "0+0 2+0 false 0 null true" "2+0 18+1000 false 0 null false"
assert_eq "$(json '"\(.path) \(.size) \(.block_size) \(.since.number) \(.generation) \(.generations) \(.dirty_runs)"' map.json)" \
	"a $((20 * B + 1000)) $B 1 1 1 0"
mapped s q
qemu-img map -f raw --output=json s/q | jq -c '.[]' >wanted
jq -c '.extents[] | del(.dirty, .generations, .last_generation)' map.json | diff wanted - ||
	fail "extents of qemu-img (<) and ours"
map s q >out
assert_contains "$(cat out)" "nothing of 256.0 KiB is dirty"

# ---- mounted: what was written a moment ago is in it; blocks are whole, but for the last
mount_source s m
change m/a 3
printf x | dd of=m/a bs=1 seek=$((7 * B - 1)) conv=notrunc status=none
printf x | dd of=m/a bs=1 seek=$((20 * B + 999)) conv=notrunc status=none
mapped --since d m a
page=$(jq '[.extents[] | select(.start >= 6 * 65536 and .data)][0] | .length' map.json)
assert_extents "0+0 2+0 false 0 null true" "2+0 1+0 false 0 null false" "3+0 1+0 true 1 1 true" \
	"4+0 2+0 false 0 null false" "6+0 0+$((B - page)) true 1 1 false" "6+$((B - page)) 0+$page true 1 1 true" \
	"7+0 13+0 false 0 null false" "20+0 0+1000 true 1 1 true"
# a sync would look at as much
must_sync 0 --dry-run m d
assert_eq "$(json .bytes_scanned)" "$(json .dirty_bytes map.json)" "bytes_scanned"

# ---- heat: how many generations a block has changed in. d is at 2, e at 3, f at 4
dd if=/dev/urandom of=m/a bs=$B count=20 conv=notrunc status=none # so that there are no holes
must_sync 0 m d
change m/a 4 5 6
must_sync 0 m e
change m/a 6 7 10
must_sync 0 m f
change m/a 6 4
mapped --since "$(realpath d)" m a
assert_eq "$(json '"\(.since.number) \(.generation) \(.generations)"' map.json)" "2 4 3"
assert_extents "0+0 4+0 false 0 null true" "4+0 1+0 true 2 4 true" "5+0 1+0 true 1 2 true" \
	"6+0 1+0 true 3 4 true" "7+0 1+0 true 1 3 true" "8+0 2+0 false 0 null true" \
	"10+0 1+0 true 1 3 true" "11+0 9+1000 false 0 null true"
cp map.json heat.json
uuid=$(json .since.uuid map.json)
for word in d 2 "$uuid" "${uuid:0:8}"; do
	mapped --since "$word" m a
	assert_same_file map.json heat.json
done
# without --since: as far back as there are bitmaps
mapped m a
assert_same_file map.json heat.json
mapped --since e m a
assert_extents "0+0 4+0 false 0 null true" "4+0 1+0 true 1 4 true" "5+0 1+0 false 0 null true" \
	"6+0 1+0 true 2 4 true" "7+0 1+0 true 1 3 true" "8+0 2+0 false 0 null true" \
	"10+0 1+0 true 1 3 true" "11+0 9+1000 false 0 null true"
refused "find checkpoint '99': no checkpoint" --since 99 m a
refused "there is 4, 3, 2" --since 99 m a

# ---- pictures: the colours of their cells are the heat of the blocks
# cells FILE: its width and height, and the palette's index in the middle of each cell
cells() {
	perl -MCompress::Zlib -e '
		local $/;
		my $png = <STDIN>;
		my ($at, $data, $w, $h, $above) = (8, "");
		substr($png, 0, 8) eq "\x89PNG\r\n\x1a\n" or die "signature";
		while ($at < length $png) {
			my ($n, $type) = unpack "N a4", substr $png, $at;
			my $body = substr $png, $at + 8, $n;
			crc32($type . $body) == unpack "N", substr $png, $at + 8 + $n, 4 or die "$type: CRC";
			($w, $h) = unpack "N N", $body if $type eq "IHDR";
			$data .= $body if $type eq "IDAT";
			print STDERR "$body\n" if $type eq "iTXt";
			$at += 12 + $n;
		}
		$data = uncompress $data or die "IDAT";
		length $data == ($w + 1) * $h or die "size";
		print "${w}x$h";
		for my $y (0 .. $h - 1) {
			my ($filter, @row) = unpack "C*", substr $data, $y * ($w + 1), $w + 1;
			$filter == 0 or $filter == 2 or die "filter";
			$row[$_] += $filter ? $$above[$_] : 0 for 0 .. $w - 1;
			$above = [@row];
			next unless $y % 16 == 8;
			print " ", join "", map { $row[16 * $_ + 8] } 0 .. $w / 16 - 1;
		}
		print "\n"' <"$1" 2>texts.raw || fail "$1: $(cat texts.raw)"
	tr '\0' '|' <texts.raw >texts
}
map --since d --svg a.svg --png a.png m a >out
# 1 is clean; of three heats the colours are the first, the third and the last of six
assert_eq "$(cells a.png)" "$((21 * 16))x16 111142721121111111111" "cells, $(cat texts)"
assert_contains "$(cat texts)" "Title|||||a"
assert_contains "$(cat texts)" "$(sed -n '1s/^a: //p' out), $(sed -n 2p out)"
# the same in SVG: x positions of the squares of each colour
squares() {
	awk -v class="<g class=\"h$1\">" '$0 == class { on = 1 } $0 == "</g>" { on = 0 }
		on && /^<rect/ { split($0, at, "\""); printf " %d", int(at[2] / 16) }' a.svg
}
xmllint --noout a.svg || fail "the SVG picture isn't well-formed"
assert_eq "$(squares 0),$(squares 2),$(squares 5)" " 5 7 10, 4, 6" "squares"
assert_contains "$(cat a.svg)" "<title>384 KiB: 1 of 1 block, last in generation 4</title>"
# to standard output, and nothing else there
map --since d --svg - m a | diff a.svg - || fail "--svg -"
map --since d --png - m a >b.png
assert_same_file a.png b.png
map --since d --json --png b.png m a | diff heat.json - || fail "--json --png"
assert_same_file a.png b.png

# ---- and they take the place of nothing but a picture
cp m/a a.before
for words in "--svg m/a" "--png s/a" "--svg a.png" "--png a.svg"; do
	# shellcheck disable=SC2086
	refused "it is there, and no such picture" $words m a
done
assert_same_file m/a a.before
printf '<?xml version="1.0" encoding="UTF-8"?>\n<domain/>\n' >guest.xml
refused "it is there, and no such picture" --svg guest.xml m a
assert_contains "$(cat guest.xml)" "<domain/>"
if mknod block b 7 255 2>/dev/null; then
	refused "it is a block device" --png block m a
fi
chmod 640 a.svg
echo garbage >>a.svg
ln a.svg linked.svg
map --svg a.svg m a >/dev/null
xmllint --noout a.svg || fail "the SVG picture wasn't replaced"
assert_eq "$(stat -c %a a.svg)" 640 "mode of a picture that was there"
assert_eq "$(tail -n 1 linked.svg)" garbage "was written into, not replaced"
(umask 027 && map --png new.png m a >/dev/null)
assert_eq "$(stat -c %a new.png)" 640 "mode of a new picture"
mkdir pictures
refused "write 'pictures'" --svg pictures m a
refused "write 'nowhere/a.svg'" --svg nowhere/a.svg m a
for words in "--svg /dev/full" "--png /dev/full"; do
	# shellcheck disable=SC2086
	refused "no space left" $words m a
done
for words in "" --json "--svg -" "--png -"; do
	code=0
	# shellcheck disable=SC2086
	map $words m a >/dev/full 2>err || code=$?
	assert_eq "$code" 1 "map $words >/dev/full: exit code"
	assert_one_line "$(cat err)"
done
if [ "$(id -u)" = 0 ]; then
	mount -t tmpfs -o size=16k none pictures
	cleanup_fn umount -l "$work/pictures"
	head -c 1M /dev/zero >pictures/full 2>/dev/null || :
	refused "no space left" --svg pictures/a.svg m a
	assert_eq "$(ls pictures)" full "what a full disk was left with"
fi

# ---- all of it dirty: made since, or without bitmaps that reach back
change m/new 0 1 2
mapped --since d m new
assert_extents "0+0 3+0 true 1 4 true"
assert_eq "$(json .reason map.json)" new reason
map --since d m new >out
assert_contains "$(cat out)" "all of 192.0 KiB counts as dirty: "
mapped m new
assert_eq "$(json '"\(.since) \(.reason)"' map.json)" "null new" "without any bitmap"
must_sync 0 m f
change m/new 1
mapped m new
assert_extents "0+0 1+0 false 0 null true" "1+0 1+0 true 1 5 true" "2+0 1+0 false 0 null true"
assert_eq "$(json '"\(.since.number) \(.reason)"' map.json)" "5 null"
mapped --since e m new
assert_eq "$(json '"\(.since.number) \(.reason) \(.dirty_bytes)"' map.json)" "3 new $((3 * B))"

# ---- which image is meant
mkdir m/sub
name=$'m/sub/\xff<&>"\n.img'
: >"$name"
printf x >m/sub/one
ln -s sub/one m/link
ln -s "$PWD/m/sub" elsewhere
touch outside
mkdir mXsub sXsub
touch mXsub/one sXsub/one
for path in sub/one m/sub/one s/sub/one "$PWD/m/sub/one" "$PWD/s/sub/one" m/link m/../m//sub/one \
	elsewhere/one ./sub/../sub//one; do
	mapped m "$path"
	assert_eq "$(json '"\(.path) \(.size)"' map.json)" "sub/one 1" "$path"
	assert_extents "0+0 0+1 true 1 5 true"
done
for path in mXsub/one sXsub/one nothing outside "$PWD/outside" ../outside /nothing sub/one/x; do
	refused "find image '$path': there is none of that name in the source" m "$path"
done
for path in sub m/sub . .. m "$PWD/s"; do
	refused "find image '$path': " m "$path"
done
mkfifo m/fifo
refused "not a regular file" m fifo
refused "not a regular file" m link
refused "is no image of it" m .mirrorfs/state
refused "is no image of it" m sub/../.mirrorfs/state
refused "is no image of it" m s/.mirrorfs/state
at=$("$MIRRORCTL" snapshot create m here)
refused "find image '$at/a': " m "$at/a"
"$MIRRORCTL" snapshot delete m here
refused "inside a mounted source" m/sub one
refused "it is mounted; use its mount point" s a
refused "open source 'nowhere'" nowhere a

# ---- the name may be anything, and there may be nothing in it
mapped m "$name"
assert_eq "$(json '"\(.path_escaped) \(.size) \(.extents)"' map.json)" "true 0 []"
map m "$name" >out
assert_contains "$(cat out)" 'sub/\xff<&>"\n.img: '
map --svg n.svg --png n.png m "$name" >/dev/null
xmllint --noout n.svg || fail "the SVG picture of a name isn't well-formed"


# ---- in the terminal: the width that there is, and what it can show
# drawn COLUMNS ENVIRONMENT... -- ARGUMENT...: in a terminal
drawn() {
	local columns=$1 environment=()
	shift
	while [ "$1" != -- ]; do
		environment+=("$1")
		shift
	done
	shift
	env -u NO_COLOR COLUMNS="$columns" TERM=xterm "${environment[@]}" \
		script -qec "$(printf '%q ' "$MIRRORCTL" map "$@")" /dev/null </dev/null | tr -d '\r'
}
rows() {
	sed -n 's/^ *[0-9]* [KMGT]iB  //p'
}
COLUMNS=80 map --since d m a >out
assert_eq "$(rows <out)" "....####..#.........." "row"
! LC_ALL=C grep -q '[^ -~]' out || fail "what isn't a terminal got more than ASCII: $(cat out)"
drawn 80 LC_ALL=C.UTF-8 -- --since d m a >out
assert_contains "$(cat out)" $'\033[38;5;' "no colour"
assert_eq "$(sed $'s/\033\\[[0-9;]*m//g' out | rows)" "····████··█··········" "row"
drawn 80 LC_ALL=C.UTF-8 NO_COLOR=1 -- --since d m a >out
assert_eq "$(rows <out)" "····████··█··········" "row without colour"
drawn 80 LC_ALL=C NO_COLOR=1 -- --since d m a >out
assert_eq "$(rows <out)" "....####..#.........." "row without UTF-8"
drawn 80 LC_ALL=C.UTF-8 TERM=dumb -- --since d m a >out
! LC_ALL=C grep -q '[^ -~]' out || fail "a dumb terminal got more than ASCII: $(cat out)"
drawn 30 LC_ALL=C NO_COLOR= -- --since d m a | sed $'s/\033\\[[0-9;]*m//g' | rows >out
assert_eq "$(cat out)" $'....####..#.....\n.....' "rows of 16"

# ---- a large one: as few blocks a cell as fit, each as much as it has; and a block far out
huge=$((8 << 40))
truncate -s $huge m/huge 2>/dev/null || truncate -s $((huge = 1 << 40)) m/huge
must_sync 0 m f
printf x | dd of=m/huge bs=1 seek=$((huge - 1)) conv=notrunc status=none
change m/huge 0 1
mapped m huge
assert_eq "$(json '"\(.dirty_bytes) \(.dirty_runs)"' map.json)" "$((3 * B)) 2"
COLUMNS=80 map --svg a.svg --png a.png m huge >out
assert_eq "$(rows <out | wc -l) $(rows <out | tr -d '.\n')" "16 --"
assert_contains "$(cat out)" "$((huge / 1024 / B)) blocks each, $((huge >> 40)).0 GiB"
assert_eq "$(cells a.png | cut -d " " -f 2- | tr -cd 3-9)" 55 "the least squares can be seen"
xmllint --noout a.svg

# ---- a copy of what d has is brought up to date by other means: the example of the page
cp d/a copy
change m/a 2 8
must_sync 0 m e
truncate -s $((17 * B + 5)) m/a
truncate -s $((18 * B + 7)) m/a
at=$("$MIRRORCTL" snapshot create m copying)
change m/a 1 # too late for the copy
map --json --since d m a |
	jq -r '.extents[] | select(.dirty) | "\(.start) \(.length)"' |
	while read -r start length; do
		dd if="$at/a" of=copy bs=1M conv=notrunc iflag=skip_bytes,count_bytes \
			oflag=seek_bytes skip="$start" seek="$start" count="$length" status=none
	done
truncate --reference="$at/a" copy
assert_same_file "$at/a" copy
"$MIRRORCTL" snapshot delete m copying

# ---- a replica that is forgotten, and the source unmounted
map --json --since f m a >before.json
"$MIRRORCTL" replica forget m d >/dev/null
refused "find checkpoint 'd': no checkpoint" --since d m a
unmount m
map --json --since f s a >map.json
assert_same_file map.json before.json

# ---- after a crash what was armed is dirty, and a map changes nothing of that
mount_source s m
change m/a 12
kill -9 "${daemon_of[$work/m]}"
wait "${daemon_of[$work/m]}" 2>/dev/null || :
fusermount3 -u -z m
cp s/.mirrorfs/state state
mapped --since f s a
jq -e '.dirty_bytes == .size and (has("reason") | not)' map.json >/dev/null ||
	fail "a region that was armed isn't dirty: $(cat map.json)"
assert_same_file s/.mirrorfs/state state
"$MIRRORCTL" status --json s >status.json
wanted=$(jq --arg f "$(realpath f)" '(.source.replicas | map(.label) | index($f)) as $i |
	.source.images[] | select(.path == "a").dirty_bytes[$i]' status.json)
assert_eq "$(json .dirty_bytes map.json)" "$wanted" "dirty bytes of a map, and of status"
