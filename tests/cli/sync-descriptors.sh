#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-descriptors.sh - more images than mirrorfs may hold open: it says what to do, and guests go on
. "$(dirname "$0")/common.bash"
requires_root # or the limit wouldn't hold only for the daemon
requires_fuse
requires setpriv

cat >limited <<EOF
#!/bin/sh
ulimit -n \$LIMIT
exec setpriv --bounding-set -sys_resource --inh-caps -sys_resource $MIRRORFS "\$@"
EOF
chmod +x limited

mkdir s
for i in $(seq 400); do
	echo "$i" >"s/$i"
done
export LIMIT=400
MIRRORFS=$work/limited mount_source s s
assert_fails "$MIRRORCTL" sync s d
assert_one_line "$stderr"
assert_contains "$stderr" "ulimit -Hn) of ten times their number"
echo more >>s/7
assert_fails "$MIRRORCTL" sync s d
unmount s
[ ! -e d/1 ] || fail "something was copied"

# what is said is enough
LIMIT=4000
MIRRORFS=$work/limited mount_source s s
must_sync 0 s d
echo more >>s/8
must_sync 0 s d
for i in $(seq 400); do
	echo more >>"s/$i"
done
must_sync 0 s d
assert_eq "$(json .images_changed)" 400 "images changed"
diff -r --exclude .mirrorfs s d >&2 || fail "s and d differ"
unmount s
