#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-lost.sh - a block that the source let go of turns out to be needed: the sync begins anew by
# itself, with all of it preserved, and forgets nothing of what went wrong the first time
. "$(dirname "$0")/common.bash"
requires_fuse

mkdir s mnt
random_file s/a 8000000
random_file piece 1000000
mount_source s mnt
must_sync 0 mnt d
number=$(json .checkpoint.number)
dd if=piece of=mnt/a bs=1M conv=notrunc status=none

# The post-hook fails, but not the second time.
cat >post <<'END_OF_HOOK'
#!/bin/sh
echo "$MIRRORFS_CHECKPOINT" >>ran
[ -e go ] || touch made
while [ ! -e go ]; do sleep 0.02; done
[ -e failed ] || { touch failed; exit 5; }
END_OF_HOOK
chmod +x post
"$MIRRORCTL" sync --json mnt d --post-hook ./post >sync.json 2>sync.err &
pid=$!
cleanup_fn stop_process "$pid"
commits() {
	grep -qsx commit "/proc/$pid"/task/*/comm
}
wait_for 30 [ -e made ] || fail "it makes no checkpoint: $(cat sync.err)"
wait_for 30 eval '! commits' || fail "the commit doesn't end"

# By the bitmap that block isn't needed, so nobody preserves it; without bitmap all is.
dd if=piece of=mnt/a bs=64k seek=90 count=1 conv=notrunc status=none
find s/.mirrorfs/bitmaps -type f -delete
touch go
code=0
wait "$pid" || code=$?
assert_eq "$code" 1 "exit code, of a sync whose post-hook failed once: $(cat sync.err)"
assert_contains "$(cat sync.err)" "run post-hook './post': it ended with exit code 5"
assert_eq "$(json .checkpoint.number)" $((number + 2)) "checkpoint"
assert_eq "$(tr '\n' ' ' <ran)" "$((number + 1)) $((number + 2)) " "runs of the post-hook"
complete d || fail "not complete"
list_tree mnt >trees.a
list_tree d >trees.b
diff trees.a trees.b >&2 || fail "mnt and d differ"
unmount mnt
