#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The main job, shown: images written through the mount, and a backup of them that is
# brought up to date by copying only what changed.  `make demo` runs it.
#
# Needs no rights but to use fusermount3; works in a directory of its own, and removes it.
# From the environment: BUILD (where the programs are; build/ unless said), TMPDIR.

set -eEu -o pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$top/build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
export LC_ALL=C PATH="$build:$PATH:/usr/sbin:/sbin"

for program in mirrorfs mirrorctl fusermount3 qemu-img qemu-io; do
	command -v $program >/dev/null || {
		echo "demo: no $program: run 'make demo', which builds and installs what is needed" >&2
		exit 1
	}
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/mirrorfs-demo.XXXXXX")

# On all ways out.  The daemon may still be saving when its mount is gone already.
finish() {
	local code=$? tries
	trap - EXIT
	trap '' INT TERM HUP # nothing stops the cleaning up
	set +eE
	cd /
	fusermount3 -q -u "$work/images" 2>/dev/null || fusermount3 -q -u -z "$work/images" 2>/dev/null
	for ((tries = 0; tries < 100; tries++)); do
		rm -rf --one-file-system "$work" 2>/dev/null && break
		sleep 0.1
	done
	[ ! -e "$work" ] || echo "demo: could not remove $work" >&2
	[ "$code" = 0 ] || echo "demo: stopped, exit code $code" >&2
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

if [ -t 1 ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi

# say TEXT: what is seen next
say() {
	printf '\n# %s\n' "$@"
}

# show COMMAND...: as one would type it, and what it does
show() {
	local word line=
	for word; do
		case $word in
		*[!A-Za-z0-9_./=:,%+-]*) line+=" '$word'" ;;
		*) line+=" $word" ;;
		esac
	done
	printf '%s$%s%s\n' "$bold" "$line" "$plain"
	"$@"
}

cd "$work"
mkdir images

say "Two disk images with a virtual size of 1 GiB each, as qemu-img makes them."
show qemu-img create -q -f raw images/raw.img 1G
show qemu-img create -q -f qcow2 images/disk.qcow2 1G

say "mirrorfs is mounted over the directory itself: no path changes, nothing passes it by."
show mirrorfs images images

say "A guest writes, past all caches (cache=none), as a hypervisor does."
show qemu-io -t none -f raw -c 'write -q -P 0x11 0 96M' -c 'write -q -P 0x22 640M 32M' \
	images/raw.img
show qemu-io -t none -f qcow2 -c 'write -q -P 0x33 0 64M' -c 'write -q -P 0x44 900M 16M' \
	images/disk.qcow2

say "The first sync copies what is allocated; holes stay holes."
show mirrorctl sync images backup
show du -h backup/raw.img backup/disk.qcow2

say "The guests change a few MiB here and there, and one gives 8 MiB back (discard)."
show qemu-io -t none -d unmap -f raw -c 'write -q -P 0x55 40M 1M' \
	-c 'write -q -P 0x66 777M 512k' -c 'discard -q 16M 8M' images/raw.img
show qemu-io -t none -f qcow2 -c 'write -q -P 0x77 10M 1M' -c 'write -q -P 0x88 500M 64k' \
	images/disk.qcow2

say "The second sync copies just that: no image is read but for the blocks that changed."
show mirrorctl sync images backup

say "The daemon is killed. The bitmaps hold; what was written to in the last seconds is looked at once more."
show qemu-io -t none -f raw -c 'write -q -P 0x99 300M 1M' images/raw.img
show kill -9 "$(mirrorctl status --json images | sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p')"
show fusermount3 -u -z images
show mirrorfs images images
show mirrorctl sync images backup

say "All data of the source is read, and compared with what the replica has noted of its own; metadata too."
show mirrorctl verify images backup

say "What the source knows of its images and of its replica."
show mirrorctl status images

say "Unmounted, it is a plain directory again."
show fusermount3 -u images

say "The backup's images open like any others, and hold what the originals do."
show qemu-img check -f qcow2 backup/disk.qcow2
show qemu-img compare -f qcow2 -F qcow2 images/disk.qcow2 backup/disk.qcow2
show qemu-img compare -f raw -F raw images/raw.img backup/raw.img
show qemu-io -r -f raw -c 'read -P 0x55 40M 1M' -c 'read -P 0 16M 8M' backup/raw.img

say "That was all. Nothing of it is left behind."
