# SPDX-License-Identifier: GPL-2.0-or-later
#
# updates.bash - an update of a small replica with something of everything in it, over and over, with
# one of its system calls gone wrong each time; sourced by sync-kills.sh and sync-faults.sh
#
# On ext4 by way of the journal, on XFS and btrfs by way of clones, and in place.

. "$(dirname "${BASH_SOURCE[0]}")/../cli/common.bash"
requires_root
requires_fuse
requires_strace
requires losetup mkfs.ext4 mkfs.xfs mkfs.btrfs

echo "SEED=$SEED"
RANDOM=$SEED

# list DIR: as list_tree, with fewer processes
list() {
	(
		cd "$1"
		find . -path ./.mirrorfs -prune -o -path ./lost+found -prune -o \
			-printf '%p %y %m %U:%G %T@ %l\n' | LC_ALL=C sort
		find . -path ./.mirrorfs -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
		find . -path ./.mirrorfs -prune -o ! -type d -links +1 -printf '%i %p\n' |
			LC_ALL=C sort -k 2 | awk '{ if (!($1 in n)) n[$1] = ++k; $1 = n[$1] } 1'
		getfattr -h -R -d -m '^user\.n' . | LC_ALL=C sort
	)
}

make_source() {
	mkdir -p s/dir/sub s/even m
	random_file s/by-bitmap 1000000
	random_file s/by-half 150000
	random_file s/replaced 150000
	random_file s/dir/moves 70000
	echo a >s/a && echo b >s/b
	random_file s/unchanged 100000
	echo file >s/even/file
	ln s/a s/dir/link
	ln -s a s/sym
	mkfifo s/fifo
	mount_source s m
}

# something of everything that a sync can meet: content, names, metadata, each time anew
turn=0
change() {
	turn=$((turn + 1))
	dd if=/dev/urandom of=m/by-bitmap bs=64k seek=$((turn % 3)) count=1 conv=notrunc status=none
	# it fsyncs
	fallocate -p -o 262144 -l 65536 m/by-bitmap 2>fallocate.err || ${fsync_may_fail:-false}
	truncate -s $((960000 + turn % 2 * 40000)) m/by-bitmap
	dd if=/dev/urandom of=m/by-half bs=64k seek=$((turn % 2)) count=1 conv=notrunc status=none
	truncate -s $((140000 + turn % 2 * 10000)) m/by-half
	mv m/a m/t && mv m/b m/a && mv m/t m/b
	ln -f m/b m/dir/link
	chmod $((600 + turn % 2 * 40)) m/unchanged
	setfattr -n user.n$((turn % 2)) -v "$turn" m/unchanged
	setfattr -x user.n$(((turn + 1) % 2)) m/unchanged 2>/dev/null || :
	random_file "new$turn" 130000 && mv "new$turn" m/
	rm -f "m/new$((turn - 1))"
	random_file "replaced$turn" 150000 && mv "replaced$turn" m/replaced
	rm m/fifo && mkfifo -m 640 m/fifo
	touch -d "2001-02-03 04:05:06.$turn" m/dir/sub
	if [ $((turn % 2)) = 0 ]; then
		rm -r m/odd m/sym
		ln -s "a$turn" m/sym
		mkdir m/even && echo "$turn" >m/even/file
		mv m/moved m/dir/moves
	else
		rm -r m/even m/sym
		mkdir m/sym && echo "$turn" >m/sym/in
		echo instead >m/odd
		mv m/dir/moves m/moved
	fi
}

# What is flushed isn't looked at here, but for the order (sync-order.sh): see test_powercut.
make_filesystem() { # NAME
	case $1 in
	ext4) mount_disk ext4 100M mkfs.ext4 -q -O ^has_journal ;;
	xfs) mount_disk xfs 400M mkfs.xfs -q ;;
	btrfs) mount_disk btrfs 200M mkfs.btrfs -q ;;
	esac
}

# Did the last sync look at nothing that bitmaps should have spared?  But an fsync of the source that
# failed sticks to its image, whatever replica comes next.
went_well() {
	[ "$code" = 0 ] || [ "$(json '[.full_copies[] | select(.expected | not).reason] | unique |
		join(" ")')" = fsync-failed ]
}

# find_places CALL,...: in places, a line "CALL N" for each such call of an update, and some more
find_places() {
	local i
	for i in 1 2; do
		change
		code=0
		strace -f -qq -o "trace$i" -e trace="$1" \
			"$MIRRORCTL" sync --threads 1 --json "${mode[@]}" m "$d" >sync.json 2>sync.err || code=$?
		went_well || fail "$d: a sync without any fault: exit code $code: $(cat sync.err sync.json)"
		sed -n -E 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/p' "trace$i" | sort | uniq -c >"count$i"
	done
	# how often a call is made may differ by some, from turn to turn
	cat count1 count2 | awk '{ if ($1 > n[$2]) n[$2] = $1 }
		END { for (c in n) for (i = 1; i <= n[c] + 1; i++) print c, i }' | LC_ALL=C sort >places
	old_number=$("$MIRRORCTL" status --json "$d" | jq .replica.checkpoint.number)
}

# choose N: of the places; "all" for each
choose() {
	if [ "$1" = all ]; then
		cat places
	else
		awk -v seed=$((RANDOM * 32768 + RANDOM)) 'BEGIN { srand(seed) } { print rand() "\t" $0 }' \
			places | sort | awk -v n="$1" 'NR <= n { print $2, $3 }'
	fi
}

looks_like() { # old|new
	list "$d" >now
	cmp -s now "$1"
}

# left_nothing WHAT: but perhaps an empty directory
left_nothing() {
	[ -z "$(find "$d/.mirrorfs" -name 'journal*' -o -name staging -o -path '*/moving/*')" ] ||
		fail "$1: left: $(find "$d/.mirrorfs")"
}

# recovered WHAT: after that, without the source, it is what it was or what it should become
recovered() {
	local number journal=
	[ ! -e "$d/.mirrorfs/journal" ] || journal=yes
	"$MIRRORCTL" recover --json "$d" >recover.json 2>recover.err ||
		fail "$1: recover: $(cat recover.err recover.json)"
	number=$(jq .checkpoint.number recover.json)
	if looks_like old; then
		[ -z "$journal" ] || fail "$1: there was a journal, and nothing came of it"
		[ "$number" = "$old_number" ] || fail "$1: at $number, but as at $old_number"
		olds=$((olds + 1))
	elif looks_like new; then
		[ "$number" -gt "$old_number" ] || fail "$1: at $number, but newer"
		news=$((news + 1))
	else
		diff old now >&2 || :
		diff new now >&2 || :
		fail "$1: neither what it was nor what it should become"
	fi
	left_nothing "$1"
	"$MIRRORCTL" scrub --quiet "$d" || fail "$1: scrub: $("$MIRRORCTL" scrub "$d")"
}

# made_good WHAT: by the next sync
made_good() {
	sync_to m "$d" "${mode[@]}"
	went_well || fail "$1: sync: exit code $code: $(cat sync.err sync.json)"
	looks_like new || fail "$1: not what it should be after the next sync: $(diff new now)"
	"$MIRRORCTL" scrub --quiet "$d" || fail "$1: scrub: $("$MIRRORCTL" scrub "$d")"
	left_nothing "$1"
	old_number=$(json .checkpoint.number)
}

# each_way FUNCTION: with $d and $mode, on all filesystems, and in place on one
each_way() {
	local fs
	make_source
	for fs in ext4 xfs btrfs; do
		make_filesystem "$fs"
		d=$fs/d mode=() what=$fs
		must_sync 0 m "$d"
		"$1"
	done
	# shellcheck disable=SC2034 # of those who source this
	mode=(--in-place) what="$fs in place"
	"$1"
	unmount m
}
