#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The first steps in README.md, as they are written there: its block of commands is run in a chroot on
# an overlay of this machine, so that nothing of it gets to the machine's own disk.  Of its other blocks,
# each verb and option is looked up.
#
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
own_mounts
requires qemu-img qemu-io make chroot

# steps_of FILE: the block of code that comes after "by hand"
steps_of() {
	awk '/by hand, as root:$/ { found = 1; next }
		found && /^    / { print substr($0, 5); inside = 1; next }
		inside { exit }' "$1"
}

# bind PATH [AT]: what is not on the overlay's own filesystem
bind() {
	mkdir -p "root${2:-$1}"
	mount --rbind "$1" "root${2:-$1}"
	cleanup_fn umount -l "$work/root${2:-$1}"
}

# Each verb in a block of commands is there, with its options; lines that go on are one, and what
# is quoted is another program's.
grep '^    ' "$TOP/README.md" | sed ':a; /\\$/ { N; s/\\\n//; ba }' |
	sed "s/'[^']*'//g; s/#.*//" | grep -oE 'mirrorctl [a-z]+[^;&|)]*' >uses
while read -r _ verb rest; do
	"$MIRRORCTL" help "$verb" >help.out 2>&1 || fail "README.md has $verb: $(cat help.out)"
	for word in $rest; do
		case $word in
		--*) grep -q -e "^  $word\>" help.out || fail "README.md: mirrorctl $verb has no $word" ;;
		esac
	done
done <uses
[ "$(wc -l <uses)" -gt 10 ] || fail "hardly any commands are found in README.md: $(cat uses)"

mkdir root upper srv backup
mount -t tmpfs none upper
cleanup_fn umount -l "$work/upper"
mkdir upper/upper upper/work
mount -t overlay none -o "lowerdir=/,upperdir=$work/upper/upper,workdir=$work/upper/work" root
cleanup_fn umount -l "$work/root"
bind /dev
bind /proc
bind "$TOP"
bind "$BUILD"
# As if nobody had used these yet, and on a disk: a source needs user.* attributes, and on an overlay of
# two filesystems a replica would be on both.
rm -rf root/backup
bind "$work/srv" /srv
bind "$work/backup" /backup

steps_of "$TOP/README.md" >steps
[ "$(grep -c '^mirrorctl sync ' steps)" -ge 2 ] || fail "README.md has no first steps: $(cat steps)"
{
	printf 'set -eu\ncd %q\n' "$TOP"
	cat steps
} >root/steps.sh
env -u MIRRORFS -u MIRRORCTL BUILD="$BUILD" PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	chroot root /bin/bash /steps.sh >out 2>err ||
	fail "exit code $?: $(cat out err)"
cat out
[ ! -s err ] || fail "says on standard error: $(cat err)"

# what the comments of the block promise
grep '^checkpoint' out >syncs
assert_contains "$(sed -n 1p syncs)" 'copied 100.0 MiB of' "first sync"
assert_contains "$(sed -n 2p syncs)" 'copied 64.0 KiB of' "second sync"
assert_same_file srv/images/disk.img backup/images/disk.img
