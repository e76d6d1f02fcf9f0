# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# guest.bash - a guest of our own: kernel, initramfs, QEMU, console; sourced after lib.sh
#
#	get_kernel			and perhaps get_agent
#	begin_guest			then what is to be in it:
#	add_modules ... add_programs ...
#	pack_guest JOB FILE...		JOB is what runs in it (see init)
#	start_guest ...			wait_for_marker ...
#
# The kernel is Debian's, unpacked below $BUILD, so that nothing about this machine's own
# boot changes.  A guest that runs leaves its console and QEMU's messages in the files console
# and qemu.err of the working directory.

: "${work:?is set by lib.sh}"

guest_kernel=$BUILD/guest-kernel
guest_agent=$BUILD/guest-agent
guest_pid=''

# get_part NAME DIR: bootstrap knows the package's name, and does nothing if it is there
get_part() {
	(
		flock 9
		"$TOP/bootstrap" "--guest-$1" "$2" >"$work/$1.out" 2>&1
	) 9>"$2.lock" || skip "no $1 for the guest: $(tail -n 1 "$work/$1.out")"
}

get_kernel() {
	[ "$(uname -m)" = x86_64 ] || skip "the guest is made for x86_64"
	get_part kernel "$guest_kernel"
	kernel_version=$(cd "$guest_kernel/lib/modules" && echo *)
}

# get_agent: QEMU's, in $guest_agent/usr/sbin/qemu-ga
get_agent() {
	get_part agent "$guest_agent"
}

# --- the initramfs

begin_guest() {
	mkdir -p guest/bin guest/modules
}

# add_programs FILE...: with the libraries that they need, and the one that libc loads for
# pthread_cancel()
add_programs() {
	local file
	cp "$@" guest/bin/
	while read -r file; do
		[ -e "guest$file" ] || install -D "$file" "guest$file"
	done < <(
		ldd "$@" 2>/dev/null | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'
		ldconfig -p | awk '/libgcc_s\.so\.1.*x86-64/ { print $NF }'
	)
}

# add_modules NAME MODULE...: for load_modules NAME in the guest, in the order in which they
# are to be loaded; those that are built in are left out
add_modules() {
	local name=$1 module file modules=(virtio_pci virtio_blk virtio_console)
	shift
	for module in "$@"; do
		[ -z "$(find "$guest_kernel/lib/modules" -name "$module.ko*")" ] || modules+=("$module")
	done
	modprobe -d "$guest_kernel" -S "$kernel_version" --show-depends -a "${modules[@]}" |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while IFS= read -r file; do
			cp "$file" guest/modules/
			echo "${file##*/}"
		done >"guest/modules/$name.list"
}

# pack_archive DIR: what is below DIR, as the kernel wants it; several archives, one after the
# other, are one initramfs
pack_archive() {
	(cd "$1" && find . -print0 | cpio -0 -o -H newc --quiet)
}

# pack_guest JOB [FILE...]: leaves the initramfs in $work/guest.cpio, with the files in its root
pack_guest() {
	local job=$1
	shift
	cp "$(command -v busybox)" guest/bin/busybox
	ln -s busybox guest/bin/sh
	install -m 755 "$TOP/tests/guest/init" guest/init
	cp "$job" guest/job
	[ $# = 0 ] || cp "$@" guest/
	pack_archive guest >"$work/guest.cpio"
	rm -r guest
}

# --- running it

drop_guest() {
	kill -KILL "$1" 2>/dev/null || return 0
	wait "$1" 2>/dev/null || true
}

# A host that is busy may leave the guest without its processor for seconds, which is no fault.
patience='no_timer_check nosoftlockup nowatchdog rcupdate.rcu_cpu_stall_suppress=1'

# start_guest WORDS QEMU-ARGUMENT...: WORDS, as NAME=VALUE, come to be variables of its job.
# Emulated unless ACCEL says otherwise, as that is the same everywhere.
start_guest() {
	local words=$1
	shift
	: >console
	exec {console}< <(exec qemu-system-x86_64 -machine q35 -accel "${ACCEL:-tcg}" -cpu max \
		-m "${GUEST_MEMORY:-384}" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$guest_kernel/boot/vmlinuz-$kernel_version" -initrd "$work/guest.cpio" \
		-append "console=ttyS0 quiet loglevel=4 panic=-1 $patience $words" \
		-device virtio-serial-pci "$@" -serial stdio 2>qemu.err </dev/null)
	guest_pid=$!
	cleanup_fn drop_guest $guest_pid
}

# choose_accel: sets ACCEL, unless it is set: KVM where it really runs a guest.  Some hang in one
# that is itself virtual, so only a try tells.
choose_accel() {
	[ -z "${ACCEL-}" ] || return 0
	ACCEL=tcg
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 0
	ACCEL=kvm start_guest try=yes
	! timeout 30 grep -q 'guest: runs' <&"$console" || ACCEL=kvm
	drop_guest "$guest_pid"
	unset 'cleanups[-1]'
	exec {console}<&-
}

# log_port NAME: QEMU's arguments for a port whose data is appended to the file NAME: what the
# guest's write has returned of, is there.  Is left in $port.
log_port() {
	# shellcheck disable=SC2034
	port=(-chardev "file,id=$1,path=$1,append=on" -device "virtserialport,chardev=$1,name=$1")
}

# What the kernel says of a filesystem that it finds damaged, or of itself.
assert_console() {
	! grep -E 'guest: FAIL|Kernel panic|BUG:|Oops|EXT4-fs (error|warning)|XFS.*(orrupt|rror)|BTRFS.*(error|critical|warning)' console ||
		fail "the guest is in trouble: see the console"
}

# hear_guest: what it has said up to now
hear_guest() {
	local line
	while IFS= read -r -t 0.01 -u "$console" line; do
		printf '%s\n' "$line" >>console
	done
	printf '%s' "$line" >>console
	assert_console
}

# wait_for_marker TEXT [N]: until the guest has said it N times
wait_for_marker() {
	local line left=${2:-1}
	while [ "$left" -gt 0 ]; do
		IFS= read -r -t 120 -u "$console" line || {
			cat qemu.err >&2
			fail "the guest doesn't say '$1'"
		}
		printf '%s\n' "$line" >>console
		case $line in
		*"$1"*) left=$((left - 1)) ;;
		*'guest: FAIL'* | *'Kernel panic'*)
			timeout 1 cat <&"$console" >>console || true
			assert_console
			;;
		esac
	done
}

# kill_guest: as a power cut would; its console is read to the end
kill_guest() {
	kill -KILL "$guest_pid" || fail "QEMU ended by itself: $(cat qemu.err)"
	wait "$guest_pid" 2>/dev/null || true
	unset 'cleanups[-1]'
	cat <&"$console" >>console
	exec {console}<&-
}
