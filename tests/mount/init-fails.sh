#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nobody is told of a mount that the kernel and libfuse could not agree on
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
requires_fuse
requires cc

# a libfuse that gives up at the first request, as the real one does when INIT can't succeed
cat >refuse.c <<'END'
struct fuse_session;
struct fuse_buf;
void fuse_session_exit(struct fuse_session *);
void fuse_session_process_buf(struct fuse_session *, const struct fuse_buf *);
void fuse_session_process_buf(struct fuse_session *session, const struct fuse_buf *buf)
{
	(void)buf;
	fuse_session_exit(session);
}
END
cc -shared -fPIC -o refuse.so refuse.c

drop() {
	fusermount3 -u -z "$work/mnt" 2>/dev/null
	fusermount3 -u -z "$work/source" 2>/dev/null
}
cleanup_fn drop

mkdir source mnt
for mode in "" -f; do
	for mountpoint in mnt source; do
		# shellcheck disable=SC2086
		assert_fails env LD_PRELOAD="$work/refuse.so" "$MIRRORFS" $mode source "$mountpoint"
		assert_eq "$code" 1 "exit code with '$mode'"
		assert_one_line "$stderr"
		assert_contains "$stderr" "mirrorfs: mount '$work/$mountpoint': "
		! is_mounted "$work/$mountpoint" || fail "still mounted"
	done
done
mount_source source mnt
unmount mnt
