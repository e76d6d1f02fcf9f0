#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-kills.sh - a sync is killed at every system call that changes anything: the replica is
# what it was, or recover makes it what it should become, and never anything else
#
# On ext4 by way of the journal, on XFS and btrfs by way of clones.  EVERY=N tries one call of N.
# timeout: 2400
. "$(dirname "$0")/../cli/common.bash"
requires_root
requires strace losetup mkfs.ext4 mkfs.xfs mkfs.btrfs
# strace and the leak checker both want to be the one who traces
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

echo "SEED=$SEED"
RANDOM=$SEED
: "${EVERY:=${SANITIZE:+7}}"
: "${EVERY:=1}"

calls=(mkdirat unlinkat renameat renameat2 linkat symlinkat mknodat pwrite64 write ftruncate
	fallocate ioctl fsync fdatasync syncfs chmod fchmodat fchownat setxattr lsetxattr
	removexattr utimensat)

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

drop_loop() {
	umount -l "$work/$1" 2>/dev/null || :
	losetup -d "$2"
}

make_filesystem() { # NAME
	local loop
	truncate -s 400M "disk.$1"
	case $1 in
	ext4) mkfs.ext4 -q -O ^has_journal "disk.$1" ;;
	xfs) mkfs.xfs -q "disk.$1" ;;
	btrfs) mkfs.btrfs -q "disk.$1" ;;
	esac
	loop=$(losetup -f --show "disk.$1")
	mkdir "$1"
	cleanup_fn drop_loop "$1" "$loop"
	# what is flushed here isn't looked at: see test_powercut and make powercut
	mount "$loop" "$1"
}

make_source() {
	mkdir -p s/dir/sub s/even
	random_file s/by-bitmap 400000
	random_file s/in-full 150000
	random_file s/dir/moves 70000
	echo a >s/a && echo b >s/b
	random_file s/unchanged 100000
	echo file >s/even/file
	ln s/a s/dir/link
	ln -s a s/sym
	mkfifo s/fifo
}

# something of everything that a sync can meet: content, names, metadata, each time anew
turn=0
change() {
	turn=$((turn + 1))
	dd if=/dev/urandom of=m/by-bitmap bs=64k seek=$((turn % 3)) count=1 conv=notrunc status=none
	fallocate -p -o 262144 -l 65536 m/by-bitmap
	truncate -s $((360000 + turn % 2 * 40000)) m/by-bitmap
	mv m/a m/t && mv m/b m/a && mv m/t m/b
	ln -f m/b m/dir/link
	chmod $((600 + turn % 2 * 40)) m/unchanged
	setfattr -n user.n$((turn % 2)) -v "$turn" m/unchanged
	setfattr -x user.n$(((turn + 1) % 2)) m/unchanged 2>/dev/null || :
	random_file new 130000 && mv new "m/new$turn"
	rm -f "m/new$((turn - 1))"
	cp m/in-full in-full && rm m/in-full && mv in-full m/in-full
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

# killed_sync CALL N: 1 if it never came that far
killed_sync() {
	local code=0
	strace -f -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" \
		"$MIRRORCTL" sync --quiet m "$fs/d" 2>killed.err || code=$?
	[ "$code" = 137 ] && return
	[ "$code" = 0 ] || fail "$fs: not killed at $1 $2: $(cat killed.err)"
	return 1
} 2>/dev/null

looks_like() { # OLD|NEW
	list "$fs/d" >now
	cmp -s now "$1"
}

check() { # WHAT
	local number
	"$MIRRORCTL" recover --json "$fs/d" >recover.json 2>recover.err ||
		fail "$1: recover: $(cat recover.err recover.json)"
	number=$(jq .checkpoint.number recover.json)
	if looks_like old; then
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
	[ -z "$(find "$fs/d/.mirrorfs" -name 'journal*' -o -name staging -o -name moving)" ] ||
		fail "$1: left: $(find "$fs/d/.mirrorfs")"
}

# kill_each CALL: at the first such call, the second, and so on, up to the end
kill_each() {
	local call=$1 n
	for ((n = 1 + RANDOM % EVERY; ; n += EVERY)); do
		list "$fs/d" >old
		change
		list m >new
		if ! killed_sync "$call" "$n"; then
			looks_like new || fail "$fs: not what it should be"
			old_number=$("$MIRRORCTL" status --json "$fs/d" | jq .replica.checkpoint.number)
			return
		fi
		kills=$((kills + 1))
		[ ! -e "$fs/d/.mirrorfs/journal" ] || recovered=$((recovered + 1))
		check "$fs: killed at $call $n"
		sync_to m "$fs/d"
		[ "$code" = 0 ] ||
			fail "$fs: killed at $call $n: sync: exit code $code: $(cat sync.err sync.json)"
		looks_like new || fail "$fs: killed at $call $n: the next sync"
		old_number=$(json .checkpoint.number)
	done
}

mkdir s m
make_source
mount_source s m
for fs in ext4 xfs btrfs; do
	make_filesystem "$fs"
	kills=0 olds=0 news=0 recovered=0
	must_sync 0 m "$fs/d"
	old_number=$(json .checkpoint.number)
	for call in "${calls[@]}"; do
		kill_each "$call"
	done
	echo "$fs: $kills kills: as before $olds, new $news, by recover $recovered"
	[ "$olds" -gt 5 ] && [ "$news" -gt 5 ] && [ "$recovered" -gt 5 ] || fail "that was no test"
done
unmount m
