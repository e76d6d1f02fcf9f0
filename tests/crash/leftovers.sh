#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# after a crash status and a dry run say what the next sync will copy, mounted or not
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires jq

mkdir s d
random_file s/a $((40 << 20))
cp s/a s/b
mount_source s s
"$MIRRORCTL" sync --quiet s d

dirty_of() { # IMAGE
	"$MIRRORCTL" status --json s | jq ".source.images[] | select(.path == \"$1\") | .dirty_bytes[0]"
}

for how in mounted unmounted; do
	printf x | dd of=s/a bs=1 seek=20M oflag=seek_bytes conv=notrunc status=none
	kill -KILL "${daemon_of[$work/s]}"
	wait "${daemon_of[$work/s]}" 2>/dev/null || true
	fusermount3 -u -z s
	[ $how = unmounted ] || mount_source s s

	assert_eq "$(dirty_of a)" $((16 << 20)) "dirty bytes of a, $how"
	assert_eq "$(dirty_of b)" 0 "dirty bytes of b, $how"
	said=$("$MIRRORCTL" sync --dry-run --json s d | jq .bytes_copied)
	done=$("$MIRRORCTL" sync --json s d | jq .bytes_copied)
	assert_eq "$done" $((16 << 20)) "bytes copied, $how"
	assert_eq "$said" "$done" "bytes that the dry run said, $how"
	"$MIRRORCTL" verify --deep --quiet s d || fail "verify, $how"
	[ $how = mounted ] || mount_source s s
done
unmount s
