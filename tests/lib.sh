# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# lib.sh - what the shell tests share; sourced by bash scripts
#
#   . "$(dirname "$0")/../lib.sh"
#
# A test runs in a scratch directory of its own, $work, which is its working directory and
# is removed at the end, with everything that was mounted or started through
# the functions here.  tests/run sets the environment (MIRRORFS, MIRRORCTL, BUILD, TOP,
# SEED, TMPDIR); without it the defaults below let a test run by itself.
# Exit codes: 0 passed, 77 skipped, others failed.

set -eEu -o pipefail

: "${TOP:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${BUILD:=$TOP/build}"
: "${MIRRORFS:=$BUILD/mirrorfs}"
: "${MIRRORCTL:=$BUILD/mirrorctl}"
: "${CLIENTS:=$BUILD/tests/clients}"
: "${SEED:=$RANDOM}"
: "${TMPDIR:=/var/tmp}"
test_script=$(realpath "$0")
test_name=$(basename "$0")

work=$(mktemp -d "$TMPDIR/$test_name.XXXXXX")
# Others must get in: some tests have a second user.
chmod 755 "$work"
cd "$work"

# --- saying how it went

fail() {
	echo "FAIL: $test_name: $*" >&2
	exit 1
}

skip() {
	echo "SKIP: $test_name: $*" >&2
	exit 77
}

# requires CMD...: skips the test unless all are installed
requires() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip "no $command"
	done
}

# requires_python MODULE: sets $python to one that has it: not each that comes first on the path is the system's
requires_python() {
	for python in python3 /usr/bin/python3; do
		! "$python" -c "import $1" 2>/dev/null || return 0
	done
	skip "no module $1 of python3"
}

requires_root() {
	[ "$(id -u)" = 0 ] || skip "not root"
}

# The leak checker wants to be the one who traces, too.
requires_strace() {
	requires strace
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
}

requires_fuse() {
	requires fusermount3
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "no /dev/fuse"
	: >"$work/.xattr"
	setfattr -n user.test -v x "$work/.xattr" 2>/dev/null || skip "no user xattrs in $TMPDIR"
	rm "$work/.xattr"
}

declare -A daemon_of=() # mount point -> process id
declare -A log_of=()    # mount point -> file with what the daemon said

# --- cleaning up

cleanups=()

# cleanup_fn COMMAND...: is run at the end, last registered first
cleanup_fn() {
	cleanups+=("$(printf '%q ' "$@")")
}

# What the last daemon of each mount point said, for the one who looks at a failed test.
tell_logs() {
	local mnt
	for mnt in "${!log_of[@]}"; do
		echo "--- log of $mnt:"
		tail -n 20 "${log_of[$mnt]}"
	done >&2
}

run_cleanups() {
	local code=$? i
	trap - EXIT ERR
	trap '' INT TERM HUP
	set +e
	cd /
	[ "$code" = 0 ] || [ "$code" = 77 ] || tell_logs
	for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
		eval "${cleanups[i]}"
	done
	rm -rf "$work"
	# tests/run, which sets SRCDIR, says it for its tests
	if [ "$code" != 0 ] && [ "$code" != 77 ] && [ -z "${SRCDIR-}" ]; then
		echo "$test_name: exit $code; again with: SEED=$SEED BUILD=$BUILD $0" >&2
	fi
	exit "$code"
}
trap run_cleanups EXIT
trap 'echo "FAIL: $test_name: line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

# stop_process PID: ends a process that this test started, and waits for it
stop_process() {
	{ kill "$1" && wait "$1"; } 2>/dev/null || :
}

# --- mounting

# The mounts of tests that run at the same time have been copied too, and would live, with their
# daemons, for as long as this test does.
drop_others() {
	local point
	while read -r _ _ _ _ point _; do
		printf -v point %b "$point"
		umount -l "$point"
	done < <(grep -F ' - fuse.mirrorfs ' /proc/self/mountinfo || true)
}

# own_mounts: runs the rest of the test in a mount namespace of its own, whose mounts nobody
# else sees.  In a chroot, / may be no mount point, and can't be made private: that does not
# matter unless what it lies on is shared, which is tried.
own_mounts() {
	local how=${MIRRORFS_TEST_MOUNTS-} point
	if [ "$how" = unchanged ]; then
		while read -r _ _ _ _ point _; do
			printf -v point %b "$point" # \040 is a space there
			mount --make-private "$point"
		done <<<"$(cat /proc/self/mountinfo)"
	fi
	if [ -n "$how" ]; then
		drop_others
		return 0
	fi

	requires_root
	requires unshare mountpoint
	how=private
	unshare -m --propagation private true 2>/dev/null || {
		how=unchanged
		mkdir probe
		unshare -m --propagation unchanged mount -t tmpfs none "$work/probe"
		! mountpoint -q probe || {
			umount probe
			skip "/ is on a shared mount, but none itself: bind-mount the chroot on itself"
		}
	}
	MIRRORFS_TEST_MOUNTS=$how unshare -m --propagation $how "$test_script" || exit $?
	exit 0
}

# Read whole by cat: the shell's read seeks back after each line, and the kernel then misses a
# mount when others come and go meanwhile.
is_mounted() {
	local line mnt
	mnt=$(printf '%s' "$1" | sed 's/ /\\040/g')
	while read -r line; do
		case $line in
		*" $mnt "*" - fuse.mirrorfs "*) return 0 ;;
		esac
	done <<<"$(cat /proc/self/mountinfo)"
	return 1
}

# wait_for SECONDS COMMAND...: until it succeeds; fails when the time is over, which is thrice that
# with sanitizers
wait_for() {
	local tries=$(($1 * 50))
	[ -z "${SANITIZE-}" ] || tries=$((tries * 3))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.02
	done
}

drop_mount() {
	fusermount3 -u -z "$1" 2>/dev/null
	stop_process "$2"
	cat_complaints "$1"
}

# What sanitizers say, for the one who looks at a failed test.
cat_complaints() {
	grep -E -A30 'Sanitizer|runtime error' "${log_of[$1]}" >&2
}

mounted_or_dead() {
	is_mounted "$1" || ! kill -0 "$2" 2>/dev/null
}

# mount_source SOURCE [MOUNTPOINT [OPTIONS]]: in the foreground mode, so that daemon_of and
# log_of tell of it; MOUNTPOINT is SOURCE unless given.  Returns when mounted.
mount_source() {
	local source mnt options=${3:-} pid log
	source=$(realpath "$1")
	mnt=$(realpath "${2:-$1}")
	log=$(mktemp "$work/log.XXXXXX")
	"$MIRRORFS" -f "$source" "$mnt" ${options:+-o "$options"} 2>"$log" &
	pid=$!
	daemon_of[$mnt]=$pid
	log_of[$mnt]=$log
	cleanup_fn drop_mount "$mnt" "$pid"
	wait_for 30 mounted_or_dead "$mnt" "$pid" || fail "mount $mnt: takes too long"
	is_mounted "$mnt" || fail "mount $mnt: $(cat "$log")"
}

# unmount MOUNTPOINT: waits until the daemon has ended, which must be with 0
unmount() {
	local mnt code=0
	mnt=$(realpath "$1")
	wait_for 10 fusermount3 -u "$mnt" 2>/dev/null || fail "unmount $mnt: $(fusermount3 -u "$mnt" 2>&1)"
	wait "${daemon_of[$mnt]}" || code=$?
	[ "$code" = 0 ] || fail "daemon of $mnt: exit code $code: $(cat "${log_of[$mnt]}")"
	if cat_complaints "$mnt"; then
		fail "daemon of $mnt: complaints"
	fi
}

drop_disk_of() {
	umount -l "$1" 2>/dev/null
	losetup -d "$2"
}

# mount_disk DIR SIZE MKFS [OPTION...]: at DIR a filesystem of its own, which is in the file DIR.disk
mount_disk() {
	local loop
	mkdir -p "$1"
	truncate -s "$2" "$1.disk"
	"${@:3}" "$1.disk" >"$1.mkfs" 2>&1 || fail "${*:3}: $(cat "$1.mkfs")"
	loop=$(losetup -f --show "$1.disk")
	cleanup_fn drop_disk_of "$work/$1" "$loop"
	mount "$loop" "$1"
}

# --- asserting

# assert_eq GOT WANTED [WHAT]
assert_eq() {
	[ "$1" = "$2" ] || fail "${3:-values differ}: got '$1', wanted '$2'"
}

# assert_contains TEXT PART [WHAT]
assert_contains() {
	case $1 in
	*"$2"*) ;;
	*) fail "${3:-text}: '$2' is not in '$1'" ;;
	esac
}

assert_same_file() {
	cmp "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# assert_fails COMMAND...: and keeps what it said on stderr in $stderr, its code in $code
assert_fails() {
	code=0
	stderr=$("$@" 2>&1 >/dev/null) || code=$?
	[ "$code" != 0 ] || fail "should have failed: $*"
	[ "$code" -lt 126 ] || fail "exit code $code: $*: $stderr"
}

assert_one_line() {
	[ -n "$1" ] && [ "$(printf '%s\n' "$1" | wc -l)" = 1 ] || fail "wanted one line, got: '$1'"
}

# client NAME ARGUMENT...: runs a program of tests/clients
client() {
	local name=$1
	shift
	"$CLIENTS/$name" "$@"
}

# random_file FILE NBYTES: the same bytes for the same SEED and name
random_file() {
	client fill "$1" "$2" "$((SEED + $(basename "$1" | cksum | cut -d ' ' -f 1)))"
}

# as_user COMMAND...: as one who is nobody; only root can
as_user() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
