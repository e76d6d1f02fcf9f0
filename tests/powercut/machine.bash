# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=../lib.sh
# machine.bash - a machine whose power can be cut: kernel, initramfs, QEMU; sourced after disk.bash
#
# The kernel is Debian's, unpacked below $BUILD, so that nothing about this machine's own
# boot changes.  It runs under QEMU's emulation, which is the same everywhere.

: "${work:?is set by lib.sh}"

guest_kernel=$BUILD/guest-kernel
machine_pid=''

# get_kernel: bootstrap knows the package's name, and does nothing if it is there
get_kernel() {
	[ "$(uname -m)" = x86_64 ] || skip "the guest is made for x86_64"
	(
		flock 9
		"$TOP/bootstrap" --guest-kernel "$guest_kernel" >"$work/kernel.out" 2>&1
	) 9>"$guest_kernel.lock" || skip "no kernel for the guest: $(tail -n 1 "$work/kernel.out")"
	kernel_version=$(cd "$guest_kernel/lib/modules" && echo *)
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

# add_modules NAME MODULE...: as a list, in the order in which they are to be loaded
add_modules() {
	local name=$1 file
	shift
	modprobe -d "$guest_kernel" -S "$kernel_version" --show-depends -a "$@" |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while IFS= read -r file; do
			cp "$file" guest/modules/
			echo "${file##*/}"
		done >"guest/modules/$name.list"
}

# build_guest FS...: leaves the initramfs in $work/guest.cpio
build_guest() {
	local name common='virtio_pci virtio_blk virtio_console fuse'
	mkdir -p guest/bin guest/modules
	for name in "$@"; do
		# shellcheck disable=SC2086
		if [ -n "$(find "$guest_kernel/lib/modules" -name "$name.ko*")" ]; then
			add_modules "$name" $common "$name"
		else
			add_modules "$name" $common # built in
		fi
	done
	add_programs "$MIRRORFS" "$MIRRORCTL" "$CLIENTS/cutwriter" "$CLIENTS/oracle" "$(type -P nice)"
	cp "$(command -v busybox)" guest/bin/busybox
	ln -s busybox guest/bin/sh
	install -m 755 "$TOP/tests/powercut/guest-init" guest/init
	cp "$TOP/tests/powercut/phases" guest/phases
	(cd guest && find . -print0 | cpio -0 -o -H newc --quiet) >guest.cpio
	rm -r guest
}

drop_machine() {
	kill -KILL "$1" 2>/dev/null && wait "$1" 2>/dev/null
	return 0
}

# A host that is busy may leave the guest without its processor for seconds, which is no fault.
patience='no_timer_check nosoftlockup nowatchdog rcupdate.rcu_cpu_stall_suppress=1'

# start_machine WORD=VALUE...: in the directory of its disks; what it is to do is
# told by the kernel's command line
start_machine() {
	serve_disk source
	serve_disk replica
	: >console
	exec {console}< <(exec qemu-system-x86_64 -machine q35 -accel "${ACCEL:-tcg}" -cpu max \
		-m "${GUEST_MEMORY:-384}" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$guest_kernel/boot/vmlinuz-$kernel_version" -initrd "$work/guest.cpio" \
		-append "console=ttyS0 quiet loglevel=4 panic=-1 $patience $*" \
		-blockdev "$(blockdev source)" -blockdev "$(blockdev replica)" \
		-device virtio-blk-pci,drive=source,discard=off,write-zeroes=off,physical_block_size=4096 \
		-device virtio-blk-pci,drive=replica,discard=off,write-zeroes=off,physical_block_size=4096 \
		-chardev file,id=acknowledged,path=acknowledged,append=on \
		-device virtio-serial-pci -device virtserialport,chardev=acknowledged \
		-serial stdio 2>qemu.err </dev/null)
	machine_pid=$!
	cleanup_fn drop_machine $machine_pid
}

# What the kernel says of a filesystem that it finds damaged, or of itself.
assert_console() {
	! grep -E 'powercut: FAIL|Kernel panic|BUG:|Oops|EXT4-fs (error|warning)|XFS.*(orrupt|rror)|BTRFS.*(error|critical|warning)' console ||
		fail "the guest is in trouble: see the console"
}

# wait_for_marker TEXT N: until the guest has said it N times
wait_for_marker() {
	local line left=$2
	while [ "$left" -gt 0 ]; do
		IFS= read -r -t 120 -u "$console" line || {
			cat qemu.err >&2
			fail "the guest doesn't say '$1'"
		}
		printf '%s\n' "$line" >>console
		case $line in
		*"$1"*) left=$((left - 1)) ;;
		*'powercut: FAIL'* | *'Kernel panic'*)
			timeout 1 cat <&"$console" >>console || true
			assert_console
			;;
		esac
	done
}

# cut_power: the machine first, then its disks, which lose what they have in their caches
cut_power() {
	kill -KILL "$machine_pid" || fail "QEMU ended by itself: $(cat qemu.err)"
	wait "$machine_pid" 2>/dev/null || true
	unset 'cleanups[-1]'
	power_off_disk replica
	power_off_disk source
	cat <&"$console" >>console
	exec {console}<&-
	# the end of a line may have been cut off: what comes next is another line
	[ ! -s acknowledged ] || [ -z "$(tail -c 1 acknowledged)" ] || echo >>acknowledged
	assert_console
}
