#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# hooks-thaw-early.sh - the post-hook doesn't wait for what makes the checkpoint durable
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

# What the state directory's document is by now; WAY is a path to the source.
cat >state <<'END'
#!/bin/sh
exec cksum <"$WAY/.mirrorfs/state"
END
chmod +x state
mkdir s
random_file s/a 100000
must_sync 0 s d
hooks=(--pre-hook './state >before' --post-hook './state >at-thaw')

thawed_early() {
	assert_same_file before at-thaw
	[ "$(./state)" != "$(cat before)" ] || fail "no checkpoint was made"
}

# of a source that isn't mounted
export WAY=$work/s
must_sync 0 s d "${hooks[@]}"
thawed_early

# Of one that is, with a slow disk.
mount_source s
daemon=${daemon_of[$work/s]}
WAY=/proc/$daemon/fd/$(find "/proc/$daemon/fd" -lname "$work/s" -printf '%f\n' | head -n 1)
./state >/dev/null
slow_fsyncs "$daemon" 2000000
"$MIRRORCTL" snapshot create --json s x "${hooks[@]}" >sync.json
stop_process "$tracer"
grep -q fsync trace || fail "nothing was slow: $(cat trace)"
thawed_early
assert_eq "$(json '.frozen_ms > 0')" true "how long guests were held"
"$MIRRORCTL" snapshot delete s x
unmount s
