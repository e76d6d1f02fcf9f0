#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-order.sh - in an update nothing happens before what it relies on is durable
#
# What mirrorfs-replica(5) says under AN UPDATE, held against the system calls of a sync.  That what
# is durable is enough is the business of the tests that kill and cut the power.
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

calls=write,pwrite64,ftruncate,fallocate,ioctl,fsync,fdatasync,syncfs,mkdirat,symlinkat,mknodat,openat
calls+=,renameat,renameat2,linkat,unlinkat,utimensat,fchmod,chmod,fchmodat,fchownat,setxattr,removexattr

# normalise TRACE: a call a line, as "write FILE", "meta", "name DIR NAME", "rename DIR NAME DIR NAME",
# "unlink DIR NAME", "fsync PATH", "syncfs"
normalise() {
	sed -n -E -e 's/^[0-9]+ +//' -e '/ = -1 /d' \
		-e 's/^(pwrite64|write|ftruncate|fallocate)\([0-9]+<([^>]*)>.*/write \2/p' \
		-e 's/^ioctl\([0-9]+<([^>]*)>, [^,]*FICLONE.*/write \1/p' \
		-e 's/^(fsync|fdatasync)\([0-9]+<([^>]*)>.*/fsync \2/p' \
		-e 's/^syncfs\([0-9]+<([^>]*)>.*/syncfs \1/p' \
		-e 's/^(mkdirat|symlinkat|mknodat)\(.*[0-9]+<([^>]*)>, "([^"]*)".*/name \2 \3/p' \
		-e 's/^openat\([0-9]+<([^>]*)>, "([^"]*)", [^ ]*O_CREAT.*/name \1 \2/p' \
		-e 's/^(renameat2?|linkat)\([0-9]+<([^>]*)>, "([^"]*)", [0-9]+<([^>]*)>, "([^"]*)".*/rename \2 \3 \4 \5/p' \
		-e 's/^unlinkat\([0-9]+<([^>]*)>, "([^"]*)".*/unlink \1 \2/p' \
		-e 's/^(utimensat|fchmod|chmod|fchmodat|fchownat|setxattr|removexattr)\(.*/meta/p' "$1"
}

# What is not durable is in files[] and names[]; what must be, before a step, is asked there.
cat >order.awk <<'EOF'
function bad(why) { print NR ": " $0 ": " why; failed = 1 }
function below(path, dir) { return path == dir || index(path, dir "/") == 1 }
function private(path) { return below(path, top "/.mirrorfs") && !below(path, top "/.mirrorfs/moving") }
function dirty(what, dir, except,    path) {
	for (path in what)
		if (below(path, dir) && path != except)
			return path
	return ""
}
# names in .mirrorfs itself become durable with the one that is about to change
function clean(dir, why,    path) {
	path = dirty(files, dir)
	if (path == "") path = dirty(names, dir, private_dir)
	if (path != "") bad(why ", and " path " is not durable")
}
# a change of what the replica is
function change(path) {
	if (!below(path, top) || private(path) && !(in_place && below(path, private_dir "/digests")))
		return
	if (complete)
		bad("a change after the manifest says complete")
	else if (!begun)
		bad("a change before the update is " (in_place ? "announced" : "committed"))
	else if (private_dir in names)
		bad("a change before that is durable")
}
function named(dir, name) {
	if (dir "/" name == private_dir "/moving") return # its being there means nothing
	change(dir "/" name)
	names[dir] = 1
}
BEGIN { private_dir = top "/.mirrorfs" }
$1 == "write" && below($2, top) && $2 != private_dir "/lock" { change($2); files[$2] = 1 }
$1 == "meta" { files[top "/metadata"] = 1 }
$1 == "name" && below($2, top) { named($2, $3) }
$1 == "fsync" { delete files[$2]; delete names[$2] }
$1 == "syncfs" && below($2, top) { delete files; delete names }
$1 == "rename" && $5 == "journal" {
	if (private_dir in names) bad("the update is committed, and its names are not durable")
	clean(private_dir, "the update is committed")
	names[private_dir] = 1
	begun = 1
	next
}
$1 == "rename" && below($4, private_dir) && $5 == "replica" {
	if (in_place && !begun) {
		clean(private_dir, "the update is announced")
		begun = 1
	} else {
		clean(top, "the manifest says complete")
		complete = 1
	}
	names[private_dir] = 1
	next
}
$1 == "rename" && below($4, top) {
	if ($2 "/" $3 in files) files[$4 "/" $5] = 1
	delete files[$2 "/" $3]
	named($2, $3)
	named($4, $5)
}
$1 == "unlink" && below($2, top) {
	if ($2 == private_dir && $3 == "journal") {
		if (!complete || private_dir in names) bad("the manifest is not durable")
		removed = 1
	} else if (begun && !removed && !in_place && (below($2, private_dir "/staging") || $3 == "staging")) {
		bad("there is a journal that needs it")
	}
	named($2, $3)
	delete files[$2 "/" $3]
}
$1 == "rename" && $2 == source "/.mirrorfs" && $5 == "state" && complete {
	if (private_dir in names) bad("the source is told, and .mirrorfs is not durable")
	told = 1
}
END {
	if (!begun || !complete || !told || !in_place && !removed) {
		print "not seen: " (begun ? "" : "commit ") (complete ? "" : "manifest ") (told ? "" : "source ")
		failed = 1
	}
	exit failed
}
EOF

# sync_in_order DEST [--in-place]
sync_in_order() {
	strace -f -y -qq -s 200 -o trace -e trace="$calls" "$MIRRORCTL" sync --quiet "${@:2}" s "$1" || fail "sync $*: exit code $?"
	normalise trace >events
	awk -v top="$(realpath "$1")" -v source="$(realpath s)" -v in_place="${2:+1}" -f order.awk events >&2 ||
		fail "sync $*: not in order"
}

# something of everything, by names that don't come again
n=0
change() { # NEW_NAMES
	local i
	n=$((n + 1))
	mount_source s m
	head -c 100000 /dev/urandom | dd of=m/changed bs=64k seek=2 conv=notrunc status=none
	truncate -s $((500000 + n)) m/changed
	head -c 100000 /dev/urandom | dd of=m/by-half bs=64k seek=1 conv=notrunc status=none
	mv m/old "m/t" && mv m/other m/old && mv m/t m/other
	mkdir "m/dir$n"
	mv m/dir*/moved "m/dir$n/moved"
	rm -f "m/new$((n - 1))".*
	for ((i = 0; i < $1; i++)); do
		ln -s target "m/new$n.$i"
	done
	echo "$n" >"m/image$n"
	chmod "6$((n % 8))0" m/old
	unmount m
}

order_of_all() { # DEST
	must_sync 0 s "$1"
	change 2
	sync_in_order "$1"
	mv trace trace.few
	change 70 # too many to flush one by one
	sync_in_order "$1"
	change 2
	sync_in_order "$1" --in-place
	change 70
	sync_in_order "$1" --in-place
	assert_equal_trees s "$1"
}

mkdir -p s/dir0 m
random_file s/by-half 170000
random_file s/changed 500000
random_file s/old 100000
random_file s/other 100000
echo moved >s/dir0/moved
order_of_all d

# and where there are clones
[ "$(id -u)" = 0 ] && command -v mkfs.btrfs losetup >/dev/null || exit 0
mount_disk clones 200M mkfs.btrfs -q
order_of_all clones/d
grep -q 'staging/[0-9]*>.*FICLONE.* = 0$' trace.few || fail "no clones were made"
