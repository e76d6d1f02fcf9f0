#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# libvirt, as those have it who use it: a domain with a raw and a qcow2 disk on the mount writes to
# both while syncs freeze it by its guest agent; stopped, the replica's images are those of a second
# domain. libvirtd and its domains find directories of their own where theirs are.
#
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=../compare.sh
. "$TOP/tests/compare.sh"
# shellcheck source=../guest/guest.bash
. "$TOP/tests/guest/guest.bash"

PATH=$PATH:/usr/sbin:/sbin
requires libvirtd virsh jq qemu-system-x86_64 qemu-img busybox cpio modprobe mkfs.ext4 dumpe2fs
requires_fuse
requires_root
get_kernel
get_agent
own_mounts

agent=$guest_agent/usr/sbin/qemu-ga
mib=$((1 << 20))
finished=''

say_what_failed() {
	[ -n "$finished" ] || tail -n 15 "$work"/console.* "$work/libvirtd.out" >&2
}
cleanup_fn say_what_failed

# --- libvirtd

# The host's own libvirt, if it has one, sees nothing of this one, and the other way round.
hide_host() {
	local dir
	mkdir over
	mount -t tmpfs none over
	cleanup_fn umount -l "$work/over"
	for dir in etc var/lib var/cache var/log; do
		mkdir -p over/$dir/upper over/$dir/work
		mount -t overlay none /$dir \
			-o "lowerdir=/$dir,upperdir=$work/over/$dir/upper,workdir=$work/over/$dir/work"
	done
	mount -t tmpfs none /run
	for dir in etc var/lib var/cache var/log; do
		mkdir -p /$dir/libvirt
		mount -t tmpfs none /$dir/libvirt
	done
	# as Debian's package makes it
	getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
	getent passwd libvirt-qemu >/dev/null ||
		echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
	# what it is when nothing is configured, but for what no test may do to its machine
	cat >/etc/libvirt/qemu.conf <<-EOT
		user = "libvirt-qemu"
		group = "libvirt-qemu"
		dynamic_ownership = 1
		security_driver = "none"
		cgroup_controllers = []
		namespaces = []
		stdio_handler = "file"
	EOT
}

# unshare minds no other signal, and nobody of that namespace outlives it.
stop_libvirtd() {
	{ kill -KILL "$libvirtd" && wait "$libvirtd"; } 2>/dev/null || :
}

answers_or_dead() {
	virsh -q version >virsh.out 2>&1 || ! kill -0 "$1" 2>/dev/null
}

# In a namespace of processes, so that its domains end with it; the shell is for those whose parents
# have ended.
start_libvirtd() {
	cat >libvirtd.conf <<-EOT
		auth_unix_rw = "none"
		unix_sock_dir = "$work"
		log_outputs = "3:stderr"
	EOT
	unshare -n -m -p --fork --kill-child --mount-proc \
		bash -c 'libvirtd -f libvirtd.conf -p libvirtd.pid & wait' >libvirtd.out 2>&1 &
	libvirtd=$!
	cleanup_fn stop_libvirtd
	export LIBVIRT_DEFAULT_URI="qemu:///system?socket=$work/libvirt-sock"
	wait_for 60 answers_or_dead $libvirtd || fail "libvirtd doesn't answer: $(cat virsh.out libvirtd.out)"
	kill -0 $libvirtd || fail "libvirtd has ended: $(cat libvirtd.out)"
}

# --- domains

# describe_domain NAME DIR WORDS: with the disks in DIR; WORDS are for its job
describe_domain() {
	cat <<-EOT
		<domain type='qemu'>
		  <name>$1</name>
		  <memory unit='MiB'>384</memory>
		  <os>
		    <type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$work/vmlinuz</kernel>
		    <initrd>$work/guest.cpio</initrd>
		    <cmdline>console=ttyS0 quiet loglevel=4 panic=-1 $patience $3</cmdline>
		  </os>
		  <features><acpi/></features>
		  <cpu mode='maximum'/>
		  <devices>
		    <disk type='file' device='disk'>
		      <driver name='qemu' type='raw' cache='none' discard='unmap'/>
		      <source file='$2/disk.raw'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		    <disk type='file' device='disk'>
		      <driver name='qemu' type='qcow2'/>
		      <source file='$2/disk.qcow2'/>
		      <target dev='vdb' bus='virtio'/>
		    </disk>
		    <serial type='file'><source path='$work/console.$1'/></serial>
		    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
		    <video><model type='none'/></video>
		    <memballoon model='none'/>
		  </devices>
		</domain>
	EOT
}

# start_domain NAME DIR WORDS
start_domain() {
	describe_domain "$@" >"$1.xml"
	virsh -q define --validate "$1.xml"
	virsh -q start "$1"
}

# says NAME TEXT: whether domain NAME has said it
says() {
	! grep -aE 'guest: FAIL|Kernel panic|EXT4-fs error' "console.$1" >&2 || fail "$1 is in trouble"
	grep -aq "$2" "console.$1"
}

wait_for_domain() { # NAME TEXT
	wait_for 120 says "$1" "$2" || fail "$1 doesn't say '$2'"
}

# the number of files that are durable
written() {
	grep -ac 'guest: written' console.guest || true
}

write_more() {
	wait_for_domain guest "guest: written $(($(written) + 3))"
}

# --- syncs

# Also when an earlier try still is on its way to the agent, which answers one at a time.
agent_answers() {
	virsh -q qemu-agent-command guest '{"execute":"guest-ping"}' >ping.out 2>&1
}

# sync_frozen: as the manual has it, for this guest; the hook's shell is the one that expands
# shellcheck disable=SC2016
sync_frozen() {
	"$MIRRORCTL" sync --json images replica \
		--pre-hook 'for d in $(virsh list --name); do virsh domfsfreeze "$d" || exit 1; done' \
		--post-hook 'for d in $(virsh list --name); do virsh domfsthaw "$d" || exit 1; done' \
		>sync.json 2>sync.err || fail "sync: exit code $?: $(cat sync.err)"
	grep -qx 'Froze 2 filesystem(s)' sync.err || fail "not frozen: $(cat sync.err)"
	grep -qx 'Thawed 2 filesystem(s)' sync.err || fail "not thawed: $(cat sync.err)"
	echo "sync: copied $(($(synced bytes_copied) / 1024)) KiB of $(($(synced bytes_total) / mib)) MiB," \
		"frozen for $(jq .frozen_ms sync.json) ms"
}

# assert_frozen: a filesystem that was frozen has no journal to recover; one that is in use has
assert_frozen() {
	qemu-img check -q -f qcow2 replica/disk.qcow2 >check.out 2>&1 || [ $? = 3 ] ||
		fail "qemu-img check: $(cat check.out)"
	cp --sparse=always replica/disk.raw vda
	qemu-img convert -q -f qcow2 -O raw replica/disk.qcow2 vdb
	for disk in vda vdb; do
		! dumpe2fs -h $disk 2>/dev/null | grep -w needs_recovery || fail "$disk: was not frozen"
		e2fsck -f -n $disk >fsck.out 2>&1 || fail "e2fsck $disk: $(cat fsck.out)"
	done
}

begin_guest
add_modules all ext4
add_programs "$agent"
pack_guest "$TOP/tests/qemu/libvirt.job"
cp "$guest_kernel/boot/vmlinuz-$kernel_version" vmlinuz
mkdir images
hide_host
mount_source images
start_libvirtd

truncate -s 256M vdb images/disk.raw
for file in images/disk.raw vdb; do mkfs.ext4 -q -F $file; done
qemu-img convert -q -f raw -O qcow2 vdb images/disk.qcow2

echo "a pool of what is on the mount"
virsh -q pool-define-as images dir --target "$work/images"
virsh -q pool-start images
assert_eq "$(virsh -q vol-list images | awk '{ print $1 }' | xargs)" "disk.qcow2 disk.raw" "volumes"

echo "a domain writes"
start_domain guest "$work/images" work=write
assert_eq "$(stat -c %U images/disk.raw images/disk.qcow2)" $'libvirt-qemu\nlibvirt-qemu' "owners"
write_more
wait_for 60 agent_answers || fail "no guest agent: $(cat ping.out)"
sync_frozen
assert_frozen
first=$(synced bytes_copied)

echo "and goes on, and is synced again"
write_more
before=$(written)
sync_frozen
assert_frozen
[ "$(synced bytes_copied)" -gt 0 ] || fail "nothing was copied"
[ "$(synced bytes_copied)" -lt $((first / 2)) ] || fail "copied too much"
write_more

echo "stopped, its disks belong to who made them, and a last sync is exact"
virsh -q destroy guest
assert_eq "$(stat -c %U images/disk.raw images/disk.qcow2)" $'root\nroot' "owners"
before=$(written)
sync_delta images replica $((64 * mib))

echo "the replica's images are a second domain's"
start_domain second "$work/replica" "work=read upto=$before"
wait_for_domain second 'guest: all is there'
virsh -q destroy second

echo "which the next sync finds out, and repairs"
sync_trees images replica 3
grep -q '"reason": "replica-changed"' sync.json || fail "no reason: $(cat sync.json)"
assert_same_trees images replica
stop_libvirtd
unmount images
finished=yes
