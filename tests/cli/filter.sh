#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# filter.sh - --include and --exclude: what isn't taken is to a replica what the source hasn't
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir -p s/vm/old s/iso s/empty
for name in vm/a.img vm/b.img vm/old/c.img iso/d.iso e.tmp; do
	random_file "s/$name" 300000
done
ln s/vm/a.img s/vm/a.tmp
ln -s a.img s/vm/link
mkfifo s/fifo
mount_source s

# holds DIR NAME...: of all but directories
holds() {
	assert_eq "$(cd "$1" && find . -path ./.mirrorfs -prune -o ! -type d -printf '%P\n' | LC_ALL=C sort | xargs)" \
		"${*:2}" "what is in $1"
}
directories() {
	(cd "$1" && find . -mindepth 1 -path ./.mirrorfs -prune -o -type d -printf '%P\n' | LC_ALL=C sort | xargs)
}

# --- what is taken

must_sync 0 s d --exclude '*.tmp' --exclude /iso/
holds d fifo vm/a.img vm/b.img vm/link vm/old/c.img
assert_eq "$(directories d)" "empty vm vm/old" directories
assert_eq "$(stat -c %h d/vm/a.img)" 1 "links of an image one of whose names is out"
assert_eq "$(json '[.images_total, .images_changed, .bytes_total] | join(" ")')" "3 3 900000" "what is counted"
must_sync 0 s e --include '*.img' --include=iso --exclude old
holds e iso/d.iso vm/a.img vm/b.img
assert_eq "$(directories e)" "iso vm" "directories, as needed"
must_sync 0 s f --include fifo --include vm/link --include 'b.*' --in-place
holds f fifo vm/b.img vm/link

# --- verify takes the same; what isn't taken must not be there
assert_verified() { # EXIT_CODE DEST OPTION...
	local wanted=$1 code=0
	shift
	"$MIRRORCTL" verify s "$@" >verify.out 2>&1 || code=$?
	assert_eq "$code" "$wanted" "verify s $*: exit code ($(cat verify.out))"
}
for deep in "" --deep; do
	# shellcheck disable=SC2086
	assert_verified 0 d $deep --exclude '*.tmp' --exclude iso
	# shellcheck disable=SC2086
	assert_verified 0 e $deep --include '*.img' --include iso --exclude old
done
assert_verified 1 d
assert_contains "$(cat verify.out)" "iso: only in source"
assert_verified 1 d --exclude '*.tmp' --exclude iso --exclude b.img
assert_contains "$(cat verify.out)" "vm/b.img: only in replica"
assert_proved d

# --- what a replica has from before, and isn't taken any more (I2)

random_file s/vm/b.img 200000
random_file s/vm/a.img 300001
must_sync 0 s d --exclude '*.tmp' --exclude iso --exclude b.img --dry-run
assert_eq "$(json .names_removed)" 1 "names that would be removed"
"$MIRRORCTL" sync s d --exclude '*.tmp' --exclude iso --exclude b.img >out
assert_contains "$(cat out)" "removed 1 name that the source hasn't, or that aren't included, such as 'vm/b.img'"
holds d fifo vm/a.img vm/link vm/old/c.img
assert_same_file s/vm/a.img d/vm/a.img
assert_verified 0 d --deep --exclude '*.tmp' --exclude iso --exclude b.img
for way in "" --in-place; do
	# back again: as new, in full; then by its bits like any other
	# shellcheck disable=SC2086
	must_sync 0 s d $way --exclude '*.tmp' --exclude iso
	assert_eq "$(json '[.full_copies[] | .path + " " + .reason] | join(", ")')" "vm/b.img new" "copied in full"
	dd if=/dev/urandom of=s/vm/b.img bs=1000 count=1 conv=notrunc status=none
	# shellcheck disable=SC2086
	must_sync 0 s d $way --exclude '*.tmp' --exclude iso
	assert_eq "$(json .bytes_scanned)" 65536 "bytes looked at"
	assert_verified 0 d --deep --exclude '*.tmp' --exclude iso
	# changed while it was out
	# shellcheck disable=SC2086
	must_sync 0 s d $way --exclude '*.tmp' --exclude iso --exclude b.img
	holds d fifo vm/a.img vm/link vm/old/c.img
	dd if=/dev/urandom of=s/vm/b.img bs=1000 count=1 seek=100 conv=notrunc status=none
done
must_sync 0 s d --exclude '*.tmp' --exclude iso

# across the line by a rename
mv s/iso/d.iso s/vm/d.iso
must_sync 0 s d --exclude '*.tmp' --exclude iso
assert_eq "$(json '[.full_copies[] | .path + " " + .reason] | join(", ")')" "vm/d.iso new" "renamed into it"
mv s/vm/d.iso s/iso/d.iso
mv s/vm/b.img s/vm/b.tmp
must_sync 0 s d --exclude '*.tmp' --exclude iso
holds d fifo vm/a.img vm/link vm/old/c.img
# an image whose first name is out by now
mv s/vm/a.tmp s/vm/0.img
must_sync 0 s d --exclude '*.tmp' --exclude iso
assert_eq "$(json .bytes_copied)" 0 "bytes copied for a name"
assert_eq "$(stat -c %h d/vm/a.img)" 2 "its links"
must_sync 0 s d --exclude '*.tmp' --exclude iso --exclude a.img
holds d fifo vm/0.img vm/link vm/old/c.img
assert_eq "$(json .bytes_copied)" 0 "bytes copied for a name that goes"
# names with all kinds of bytes
echo 1 >s/$'new\nline'
echo 1 >s/$'caf\xe9'
must_sync 0 s d --exclude $'new\n*' --exclude $'*\xe9' --exclude iso --exclude '*.tmp'
assert_verified 0 d --exclude $'new\n*' --exclude $'*\xe9' --exclude iso --exclude '*.tmp'
rm s/$'new\nline' s/$'caf\xe9'
# and all of it again
must_sync 0 s d
assert_equal_trees s d

# --- mistakes

# one that would leave no image is one
list_tree d >before
for options in "--include *.qcow2" "--exclude *" "--include vm --exclude *.img --exclude *.tmp" "--include empty"; do
	for way in "" --in-place --dry-run; do
		set -f
		# shellcheck disable=SC2086
		assert_fails "$MIRRORCTL" sync s d $way $options
		set +f
		assert_eq "$code" 2 "$options: exit code"
		assert_one_line "$stderr"
		assert_contains "$stderr" "none of its images is left by --include and --exclude"
	done
done
list_tree d | diff before - || fail "the replica isn't what it was"
# nothing was done: there is no checkpoint more, nor a replica that waits for its first sync for ever
"$MIRRORCTL" status --json s | jq '.source.generation, (.source.replicas | length)' >state.before
for way in "" --in-place; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" sync s fresh $way --include '*.qcow2'
	assert_eq "$code" 2 "a new replica: exit code"
	[ ! -e fresh ] || fail "a refused sync $way made its destination"
done
mkdir plain && echo 1 >plain/image
assert_fails "$MIRRORCTL" sync plain fresh --exclude '*'
assert_eq "$code" 2 "a new source: exit code"
[ ! -e plain/.mirrorfs ] || fail "a refused sync made a source"
"$MIRRORCTL" status --json s | jq '.source.generation, (.source.replicas | length)' |
	diff state.before - || fail "a refused sync left something in the source"
complete d || fail "the replica isn't complete any more"
must_sync 0 s d
assert_eq "$(json .names_removed)" 0 "names removed"
# of several, one
must_sync 0 s f --include vm --include '*.qcow2'
assert_eq "$(json '.warnings[]')" "--include '*.qcow2' matches nothing" "warnings"
# warned DEST OPTION...: how often
warned() {
	"$MIRRORCTL" sync s "$@" 2>&1 >/dev/null | grep -c '^mirrorctl: warning: ' || :
}
# an absolute path, one that isn't closed, and names as they are in no tree: everything is copied
for dry in "" --dry-run; do
	# shellcheck disable=SC2086
	must_sync 0 s d $dry --exclude "$work/s/vm/a.img" --exclude '[a' --exclude e.tmp --exclude vm/ --exclude a.img \
		--exclude $'new\nline' --include iso --include '/*.vmdk'
	assert_eq "$(json '.warnings[]')" "--include '/*.vmdk' matches nothing: '/' is the top of the source
--exclude '$work/s/vm/a.img' matches nothing: '/' is the top of the source
--exclude '[a' matches nothing
--exclude 'new\\nline' matches nothing" "warnings"
done
assert_eq "$(warned d --exclude nosuch --exclude '*.tmp')" 1 "warnings"
assert_eq "$(warned d --exclude '*.none' --exclude 'none?')" 0 "warnings of what may come"
assert_eq "$(warned d --exclude nosuch --quiet)" 0 "warnings of a quiet one"
printf '%s\n' "source = $work/s" "dest = $work/d" 'exclude = x.tmp' 'include = vm' >c.conf
assert_contains "$("$MIRRORCTL" sync --config c.conf 2>&1 >/dev/null)" "warning: --exclude 'x.tmp' matches nothing"
must_sync 0 s d
assert_eq "$(json '.warnings | length')" 0 "warnings"
for value in / // "" "a\\" "a\\/" ./a ../a a/./b . ..; do
	assert_fails "$MIRRORCTL" sync s d --exclude "$value"
	assert_eq "$code" 2 "'$value': exit code"
	assert_one_line "$stderr"
	assert_fails "$MIRRORCTL" verify s d --include "$value"
	assert_eq "$code" 2 "'$value': exit code"
done

# --- in a file, as often; the command line's instead of all of them

printf '%s\n' "source = $work/s" "dest = $work/g" 'exclude = *.tmp' 'exclude = iso' 'include = vm' 'include = *.iso' >c.conf
"$MIRRORCTL" sync --quiet --config c.conf
holds g vm/0.img vm/a.img vm/link vm/old/c.img
"$MIRRORCTL" sync --quiet --config c.conf --exclude old
holds g iso/d.iso vm/0.img vm/a.img vm/b.tmp vm/link
unmount s

# not mounted, it's the same
must_sync 0 s g --include vm --exclude '*.tmp'
holds g vm/0.img vm/a.img vm/link vm/old/c.img
assert_verified 0 g --include vm --exclude '*.tmp'
