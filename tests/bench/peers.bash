# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=bench.bash
# peers.bash - other ways to a file than mirrorfs, to compare with; sourced after bench.bash
#
#	has_peer bindfs			installed?  If not, there is a note
#	mount_peer bindfs DIR NBYTES	DIR is an empty directory; file_of[DIR] is then the file
#					that a guest opens, daemon_of[DIR] who serves it
#
# Each in what was its best mode here: bindfs without options (one thread; with
# --forward-odirect it took several times as long), passthrough_hp with --nosplice, QEMU's export
# with direct I/O to its backing file, by io_uring.  Other ones: BINDFS_OPTIONS,
# PASSTHROUGH_HP_OPTIONS, QSD_AIO (threads, native).  PASSTHROUGH_HP is the program, which
# otherwise is built (bootstrap --bench-peers).

: "${work:?is set by lib.sh}"
: "${PASSTHROUGH_HP:=}"
: "${QSD_AIO:=io_uring}"
read -r -a bindfs_options <<<"${BINDFS_OPTIONS-}"
read -r -a passthrough_hp_options <<<"${PASSTHROUGH_HP_OPTIONS---nosplice}"

# shellcheck disable=SC2034 # for who calls
declare -A file_of=() # directory of a peer -> the file that a guest opens

# get_passthrough_hp: a smoke run takes it if it is there
get_passthrough_hp() {
	local peers=$BUILD/bench/peers
	[ -z "$PASSTHROUGH_HP" ] || return 0
	[ -x "$peers/passthrough_hp" ] || [ -n "$QUICK" ] ||
		"$TOP/bootstrap" --bench-peers "$peers" >"$work/peers.out" 2>&1 ||
		say "bootstrap --bench-peers: $(tail -n 1 "$work/peers.out")"
	PASSTHROUGH_HP=$peers/passthrough_hp
}

# has_peer NAME
has_peer() {
	local program=bindfs
	case $1 in
	passthrough_hp)
		get_passthrough_hp
		program=$PASSTHROUGH_HP
		;;
	qsd-*) program=qemu-storage-daemon ;;
	esac
	if ! command -v "$program" >"$work/which"; then
		note "$1: left out, there is no $program"
		return 1
	fi
	case $1 in
	bindfs) [[ ${bindfs_options[*]-} = *odirect* ]] ||
		note "bindfs doesn't pass O_DIRECT on: it works with what is in the page cache" ;;
	passthrough_hp) [ -z "${PASSTHROUGH_HP_OPTIONS-}" ] ||
		note "passthrough_hp: $PASSTHROUGH_HP_OPTIONS" ;;
	qsd-*) [ "$QSD_AIO" = io_uring ] || note "$1: aio=$QSD_AIO" ;;
	esac
}

drop_peer() { # MOUNTPOINT PID
	fusermount3 -u -z "$1" 2>/dev/null
	stop_process "$2"
}

is_mount_point() {
	[[ $(cat /proc/self/mountinfo) = *" $1 "* ]]
}

is_mount_point_or_dead() { # MOUNTPOINT PID
	is_mount_point "$1" || ! kill -0 "$2" 2>/dev/null
}

# serve DIR MOUNTPOINT COMMAND...: which stays in the foreground
serve() {
	local dir=$1 mnt=$2 pid
	shift 2
	"$@" >"$dir/log" 2>&1 &
	pid=$!
	# shellcheck disable=SC2004,SC2034 # an associative array, of lib.sh
	daemon_of[$dir]=$pid
	cleanup_fn drop_peer "$mnt" "$pid"
	wait_for 30 is_mount_point_or_dead "$mnt" "$pid" || fail "$1: takes too long"
	is_mount_point "$mnt" || fail "$*: $(cat "$dir/log")"
}

# serve_image DIR FILE NODE BLOCKDEV...: what QEMU mounts is a file
serve_image() {
	local dir=$1 node=$2
	shift 2
	: >"$dir/mnt"
	file_of[$dir]=$dir/mnt
	serve "$dir" "$dir/mnt" qemu-storage-daemon "$@" --export \
		"type=fuse,id=export,node-name=$node,mountpoint=$dir/mnt,writable=on"
}

# mount_peer NAME DIR NBYTES
mount_peer() {
	# shellcheck disable=SC2034 # of file_of
	local dir=$2 nbytes=$3 file="driver=file,node-name=file,cache.direct=on,aio=$QSD_AIO"
	mkdir -p "$dir"
	case $1 in
	bindfs | passthrough_hp)
		mkdir "$dir/source" "$dir/mnt"
		# shellcheck disable=SC2034
		file_of[$dir]=$dir/mnt/disk.img
		;;
	esac
	case $1 in
	bindfs)
		serve "$dir" "$dir/mnt" bindfs -f "${bindfs_options[@]}" "$dir/source" "$dir/mnt"
		;;
	passthrough_hp)
		serve "$dir" "$dir/mnt" "$PASSTHROUGH_HP" --foreground \
			"${passthrough_hp_options[@]}" "$dir/source" "$dir/mnt"
		;;
	qsd-raw)
		truncate -s "$nbytes" "$dir/disk.raw"
		serve_image "$dir" file --blockdev "$file,filename=$dir/disk.raw"
		;;
	qsd-qcow2)
		qemu-img create -q -f qcow2 "$dir/disk.qcow2" "$nbytes"
		# recording from when it is opened on
		qemu-img bitmap --add --enable "$dir/disk.qcow2" bench
		serve_image "$dir" image --blockdev "$file,filename=$dir/disk.qcow2" \
			--blockdev driver=qcow2,node-name=image,file=file
		;;
	esac
}
