#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A machine that boots: systemd as process 1 of a container, on the host's files, with what `make
# install` puts there.  The unit and fstab mount before libvirt begins, a mirrorfs that is killed
# comes back by itself, and syncs run by a unit of their own.
#
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
own_mounts
requires systemd-nspawn systemd-analyze systemd-escape mount.fuse3

units=$work/root/usr/lib/systemd/system
state=$work/state # of what is checked inside
mkdir -p root upper source other/images backup state

# nothing of it gets to the host's disk; the sources need one that has user.* attributes
mount -t tmpfs none upper
cleanup_fn umount -l "$work/upper"
mkdir upper/upper upper/work
mount -t overlay none -o "lowerdir=/,upperdir=$work/upper/upper,workdir=$work/upper/work" root
cleanup_fn umount -l "$work/root"
rm -rf root/dev root/etc/machine-id
mkdir -p root/dev root/srv/images root/srv/other root/srv/backup root/state root/etc/mirrorfs
make -s -C "$TOP" install BUILD="$BUILD" DESTDIR="$work/root" prefix=/usr >install.out 2>&1 ||
	fail "make install: $(tail -n 5 install.out)"

echo "units that make sense"
cp -r "$units" verify
sed -i "s,/usr/bin/mirror,$BUILD/mirror,g" verify/mirror*
(cd verify && systemd-analyze verify --man=no ./mirrorfs@srv-images.service \
	./mirrorctl-sync@nightly.service ./mirrorctl-sync@nightly.timer \
	./mirrorctl-follow@often.service) >verify.out 2>&1 ||
	fail "systemd-analyze verify: $(cat verify.out)"
[ ! -s verify.out ] || fail "systemd-analyze verify: $(cat verify.out)"

# --- what is done inside

cat >root/state.sh <<'EOF'
#!/bin/bash
# state.sh STEP: says why it failed, if it did
set -eE
told() {
	echo "state.sh line $1: $2"
	journalctl --no-pager --boot --lines 40
}
trap 'told $LINENO "$BASH_COMMAND" >>/state/failed' ERR

mounted() {
	findmnt --noheadings --types fuse.mirrorfs "$1" >/dev/null
}

# wait_for COMMAND...
wait_for() {
	local n
	for ((n = 0; n < 100; n++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	"$@"
}

libvirtd() { # whoever comes after finds the mount
	mounted /srv/images
	echo guest >/srv/images/disk.raw
}

restarted() {
	[ "$(systemctl show -P MainPID mirrorfs@srv-images)" != "$1" ] && mounted /srv/images &&
		[ "$(cat /srv/images/disk.raw)" = guest ]
}

checks() {
	systemctl is-active mirrorfs@srv-images
	systemctl is-active srv-other-images.mount
	mounted /srv/other/images
	[ "$(systemctl show -P StatusText mirrorfs@srv-images)" = serving ]
	tr '\0' '\n' </proc/"$(systemctl show -P MainPID mirrorfs@srv-images)"/cmdline | grep -x save_interval=1

	# killed, it comes back
	pid=$(systemctl show -P MainPID mirrorfs@srv-images)
	kill -9 "$pid"
	wait_for restarted "$pid"

	# a sync by hand, and one that has only little to do
	systemctl start mirrorctl-sync@nightly
	[ "$(cat /srv/backup/images/disk.raw)" = guest ]
	echo changed >>/srv/images/disk.raw
	systemctl start mirrorctl-sync@nightly
	[ "$(tail -n 1 /srv/backup/images/disk.raw)" = changed ]
	[ "$(systemctl show -P Result mirrorctl-sync@nightly)" = success ]
	journalctl --sync
	journalctl --unit mirrorctl-sync@nightly | grep 'mirrorctl.*checkpoint 2: 1 of 1 images changed'
	systemctl start mirrorctl-sync@nightly.timer
	systemctl list-timers | grep mirrorctl-sync@nightly.timer

	# one that fails is seen to have failed
	if systemctl start mirrorctl-sync@nonsense; then false; fi
	[ "$(systemctl show -P ExecMainStatus mirrorctl-sync@nonsense)" = 2 ]

	# killed while guests are frozen, they are thawed
	systemctl start --no-block mirrorctl-sync@hooked
	wait_for test -e /frozen
	kill -9 "$(systemctl show -P MainPID mirrorctl-sync@hooked)"
	wait_for test ! -e /frozen

	# one that follows, until it is stopped
	systemctl start mirrorctl-follow@often
	echo more >>/srv/images/disk.raw
	wait_for cmp /srv/images/disk.raw /srv/backup/images/disk.raw
	systemctl stop mirrorctl-follow@often
	[ "$(systemctl show -P Result mirrorctl-follow@often)" = success ]

	systemctl stop mirrorfs@srv-images
	if mounted /srv/images; then false; fi
	[ "$(systemctl show -P Result mirrorfs@srv-images)" = success ]
	[ "$(cat /srv/images/disk.raw)" = "$(cat /srv/backup/images/disk.raw)" ]

	# what bitmaps can't know is no failure, but told
	echo behind >>/srv/images/disk.raw
	systemctl start mirrorctl-sync@nightly
	[ "$(systemctl show -P ExecMainStatus mirrorctl-sync@nightly)" = 3 ]
}

"$1"
touch "/state/$1"
EOF
chmod +x root/state.sh
cat >root/etc/mirrorfs/nightly.conf <<'EOF'
source = /srv/images
dest = /srv/backup/images
EOF
{ cat root/etc/mirrorfs/nightly.conf && echo interval = 1s; } >root/etc/mirrorfs/often.conf
cat - root/etc/mirrorfs/nightly.conf >root/etc/mirrorfs/hooked.conf <<'EOF'
pre-hook = touch /frozen; sleep 2
post-hook = rm /frozen
EOF
echo "dest = /nowhere" >root/etc/mirrorfs/nonsense.conf
echo "/srv/other/images /srv/other/images fuse.mirrorfs defaults,nofail 0 0" >root/etc/fstab
mkdir -p root/etc/systemd/system/mirrorfs@srv-images.service.d
cat >root/etc/systemd/system/mirrorfs@srv-images.service.d/options.conf <<'EOF'
[Service]
Environment="MIRRORFS_OPTIONS=-o save_interval=1"
# so long that who doesn't wait for it comes before
ExecStartPre=sleep 1
EOF
cat >root/etc/systemd/system/libvirtd.service <<'EOF'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/state.sh libvirtd
EOF
cat >root/etc/systemd/system/checks.service <<'EOF'
[Unit]
After=libvirtd.service mirrorfs@srv-images.service srv-other-images.mount
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/state.sh checks
EOF
cat >root/etc/systemd/system/checks.target <<'EOF'
[Unit]
Requires=basic.target
Wants=libvirtd.service checks.service mirrorfs@srv-images.service local-fs.target
AllowIsolate=yes
EOF
assert_eq "$(systemd-escape --path --template=mirrorfs@.service /srv/images)" \
	mirrorfs@srv-images.service "the unit's name"

echo "boot"
timeout -k 10 120 systemd-nspawn --quiet --register=no --keep-unit --resolv-conf=off --timezone=off \
	--link-journal=no --console=pipe --directory="$work/root" --bind=/dev/fuse \
	--bind="$work/source:/srv/images" --bind="$work/other:/srv/other" \
	--bind="$work/backup:/srv/backup" --bind="$work/state:/state" \
	--boot systemd.unit=checks.target >boot.out 2>&1 || :
[ ! -e "$state/failed" ] || fail "$(cat "$state/failed" boot.out)"
for step in libvirtd checks; do
	[ -e "$state/$step" ] || fail "$step was never done: $(tail -n 30 boot.out)"
done
assert_eq "$(cat source/disk.raw)" "$(cat backup/images/disk.raw)" "replica"

echo "and gone again"
make -s -C "$TOP" uninstall BUILD="$BUILD" DESTDIR="$work/root" prefix=/usr >install.out 2>&1 ||
	fail "make uninstall: $(tail -n 5 install.out)"
find upper/upper/usr \( -name '*mirrorfs*' -o -name '*mirrorctl*' \) ! -type c >left
[ ! -s left ] || fail "left behind: $(cat left)"
