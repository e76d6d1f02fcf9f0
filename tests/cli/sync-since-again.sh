#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-since-again.sh - the name that a copy was made for is deleted and given to a later checkpoint:
# what is older than that is not believed, and what isn't still is, however it was copied
. "$(dirname "$0")/common.bash"
requires_fuse

block() { # FILE NUMBER: of 64 KiB, with something new in it
	dd if=/dev/urandom of="$1" bs=64k seek="$2" count=1 conv=notrunc status=none
}

fresh() {
	rm -rf s d && mkdir -p s/dir m
	random_file s/a.img 720896
	random_file s/dir/b.img 720896
	random_file s/c.img 720896
	mount_source s m
	"$MIRRORCTL" checkpoint create --quiet m n1
}

# The name leaves the checkpoint that was copied, and no bitmap says any more what changed before the
# one that has it now.
again() {
	block m/a.img 4
	block m/dir/b.img 4
	"$MIRRORCTL" checkpoint delete m n1 >deleted
	block m/a.img 5
	"$MIRRORCTL" checkpoint create --quiet m n1
	block m/a.img 6
}

tells_birth() { # FILE
	[ "$(stat -c %W "$1")" != 0 ]
}

full() { # what was compared or copied in full, and why
	json '[.full_copies[] | .path + " " + .reason] | sort | join(", ")'
}

# ---- nothing of it can be believed ----

fresh
cp -a m d
uuid=$("$MIRRORCTL" checkpoint list --json m | jq -r '.checkpoints[] | select(.name == "n1").uuid')
again
find d -printf '%p %s %i %T@ %C@\n' | sort >before
for options in --dry-run "" --in-place; do
	# shellcheck disable=SC2086
	assert_fails "$MIRRORCTL" sync --since n1 $options m d
	assert_eq "$code" 1 "sync of an older copy: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "was there before that was made" "sync of an older copy"
	find d -printf '%p %s %i %T@ %C@\n' | sort | diff before - >&2 || fail "refused, and changed"
done
# by its UUID it is known that the checkpoint that was copied is gone
assert_fails "$MIRRORCTL" sync --since "$uuid" m d
assert_contains "$stderr" "no checkpoint that the source keeps has that" "sync --since UUID"
# the way out that it says
"$MIRRORCTL" adopt --quiet d
must_sync 0 m d --since n1
assert_equal_trees m d
unmount m

# ---- some of it can ----

# c.img is copied for the new checkpoint; so is b.img, in place of what was there
for way in "" --in-place; do
	fresh
	cp -a m d
	again
	uuid=$("$MIRRORCTL" checkpoint list --json m | jq -r '.checkpoints[] | select(.name == "n1").uuid')
	rm d/c.img && cp -a m/c.img d/
	cp -a --remove-destination m/dir/b.img d/dir/
	# shellcheck disable=SC2086
	must_sync 3 m d --since "$uuid" $way
	assert_eq "$(full)" "a.img copy-older" "what isn't believed $way"
	assert_eq "$(json .images_believed)" 2 "what is $way"
	assert_eq "$(json '.full_copies[0] | .by_digest, .bytes_differing' | xargs)" "true 196608" \
		"what an older copy lacks $way"
	assert_equal_trees m d
	unmount m
done

# What is done to a file later makes it no younger, where the filesystem tells when it was born.
fresh
cp -a m d
again
if tells_birth d/a.img; then
	cp -a m/c.img d/new && mv d/new d/c.img
	chmod 600 d/a.img
	touch d/a.img
	mv d/dir/b.img d/dir/t && mv d/dir/t d/dir/b.img
	must_sync 3 m d --since n1
	assert_eq "$(full)" "a.img copy-older, dir/b.img copy-older" "copies that were touched"
	assert_equal_trees m d
fi
unmount m

# ---- one that has the ctime to tell only, in seconds ----

later() { # than the checkpoint of that name, by the clock of d
	local made
	made=$("$MIRRORCTL" checkpoint list --json m | jq -r '.checkpoints[] | select(.name == "n1").time[:19]')
	touch d/lost+found
	[[ "$(date -u -d "@$(stat -c %Z d/lost+found)" +%FT%T)" > "$made" ]]
}

if [ "$(id -u)" = 0 ] && [ -e /dev/loop-control ]; then
	fresh
	mount_disk d 64M mkfs.ext4 -q -I 128
	cp -a m/. d/
	tells_birth d/a.img && fail "that filesystem tells births"
	again
	wait_for 10 later
	cp -a m/c.img d/
	must_sync 3 m d --since n1
	assert_eq "$(full)" "a.img copy-older, dir/b.img copy-older" "by ctime"
	for file in a.img c.img dir/b.img; do
		assert_same_file m/$file d/$file
	done
	unmount m
	umount d
fi

# ---- copies that are as they should be, also when the name has been another's ----

fresh
again
at=$("$MIRRORCTL" snapshot create --checkpoint m n2)
block m/a.img 7
copy_by() { # WAY FROM TO
	case $1 in
	cp) cp -a "$2" "$3" ;;
	tar) mkdir "$3" && tar -C "$2" -cf - . | tar -C "$3" -xpf - ;;
	rsync) rsync -a "$2/" "$3" ;;
	dd | qemu-img)
		mkdir -p "$3/dir"
		for file in a.img c.img dir/b.img; do
			if [ "$1" = dd ]; then
				dd if="$2/$file" of="$3/$file" bs=64k status=none
			else
				qemu-img convert -f raw -O raw "$2/$file" "$3/$file"
			fi
		done
		;;
	esac
}
for way in cp tar rsync dd qemu-img; do
	command -v $way >/dev/null || continue
	copy_by $way "$at" "by-$way"
	must_sync 0 m "by-$way" --since n2
	assert_eq "$(json '[.images_believed, (.full_copies | length)] | @text')" "[3,0]" "copied by $way"
	assert_equal_trees m "by-$way"
done
# and what is copied at once after the name was given
for i in 1 2 3 4 5; do
	"$MIRRORCTL" checkpoint create --quiet m "at-once$i"
	cp -a m "at-once$i"
	must_sync 0 m "at-once$i" --since "at-once$i"
	assert_eq "$(json .images_believed)" 3 "copied at once"
done
unmount m
