#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-hooks.sh - hooks run around the checkpoint, and the post-hook whatever happens
. "$(dirname "$0")/common.bash"
requires_fuse

# A hook that notes that it ran, and what it was told.
cat >hook <<'END'
#!/bin/sh
# hook NAME [EXIT_CODE]
{
	echo "$1 result=${MIRRORFS_RESULT-} checkpoint=$MIRRORFS_CHECKPOINT"
	env | grep ^MIRRORFS_ | grep -v ^MIRRORFS_IMAGES >"$WORK/env.$1"
	printf '%s' "${MIRRORFS_IMAGES-none}" >"$WORK/images.$1"
	tr '\0' '\n' <"$MIRRORFS_IMAGES_FILE" | LC_ALL=C sort >"$WORK/file.$1"
	echo "$MIRRORFS_IMAGES_FILE" >"$WORK/name"
} >>"$WORK/ran"
echo "said by $1"
exit "${2-0}"
END
chmod +x hook
export WORK=$work
pre="$work/hook pre" post="$work/hook post"

# ran WORD...: which hooks ran since the last time, in order, with their results
ran() {
	assert_eq "$(tr '\n' ' ' <ran)" "$1" "hooks that ran"
	rm -f ran
	[ ! -e name ] || [ ! -e "$(cat name)" ] || fail "the list of images is left behind"
}

all_of() { # SOURCE
	local next

	# they are told what happens, and what they say isn't in the output
	must_sync 0 "$1" d --pre-hook "$pre" "--post-hook=$post"
	next=$(json .checkpoint.number)
	ran "pre result= checkpoint=$next post result=ok checkpoint=$next "
	assert_eq "$(cat sync.err)" "said by pre
said by post" "what hooks say"
	assert_eq "$(json '.frozen_ms > 0')" true "how long guests were held"
	for name in pre post; do
		grep -qx "MIRRORFS_SOURCE=$(realpath "$1")" env.$name || fail "source: $(cat env.$name)"
		assert_eq "$(LC_ALL=C sort images.$name)" "$(printf 'a\nb\\nc\nsub/a')" images
		assert_eq "$(cat file.$name)" "$(printf 'a\nb\nc\nsub/a')" "images, NUL-terminated"
	done

	# each alone
	must_sync 0 "$1" d --pre-hook "$pre"
	ran "pre result= checkpoint=$((next + 1)) "
	assert_eq "$(json '.frozen_ms > 0')" true "how long guests were held"
	must_sync 0 "$1" d --post-hook "$post"
	ran "post result=ok checkpoint=$((next + 2)) "
	assert_eq "$(json '.frozen_ms == 0')" true "how long guests were held by no hook"
	next=$((next + 3))

	# a dry run has no checkpoint
	must_sync 0 "$1" d --dry-run --pre-hook "$pre" --post-hook "$post"
	[ ! -e ran ] || fail "hooks in a dry run"

	# a failing pre-hook: nothing starts, and what it froze is thawed
	must_sync 1 "$1" d --pre-hook "$pre 3" --post-hook "$post"
	ran "pre result= checkpoint=$next post result=failed checkpoint=$next "
	assert_contains "$(tail -n 1 sync.err)" "run pre-hook '$pre 3': it ended with exit code 3"
	must_sync 1 "$1" d --pre-hook "$pre; kill -9 \$\$" --post-hook "$post"
	ran "pre result= checkpoint=$next post result=failed checkpoint=$next "
	assert_contains "$(tail -n 1 sync.err)" "killed by signal 9"
	must_sync 1 "$1" d --pre-hook "$pre; exit 3" --post-hook "$post 4"
	ran "pre result= checkpoint=$next post result=failed checkpoint=$next "
	assert_contains "$(tail -n 1 sync.err)" "exit code 3; run post-hook"
	must_sync 0 "$1" d
	assert_eq "$(json .checkpoint.number)" "$next" "checkpoints that failing pre-hooks made"

	# a failing post-hook is told, and the sync goes on
	echo new >>"$1/a"
	must_sync 1 "$1" d --post-hook "$post 5"
	ran "post result=ok checkpoint=$((next + 1)) "
	assert_contains "$(cat sync.err)" "run post-hook '$post 5': it ended with exit code 5"
	assert_equal_trees "$1" d
	complete d || fail "not complete"
	assert_fails "$MIRRORCTL" sync --quiet "$1" d --post-hook "exit 5"
	assert_one_line "$stderr"

	# the guard is killed: in the pre-hook, which is waited for, and in the post-hook
	must_sync 1 "$1" d --pre-hook "kill -9 \$PPID; sleep 0.3; $pre" --post-hook "$post"
	ran "pre result= checkpoint=$((next + 3)) post result=failed checkpoint=$((next + 3)) "
	assert_contains "$(tail -n 1 sync.err)" "run pre-hook"
	must_sync 0 "$1" d --pre-hook "$pre" --post-hook "kill -9 \$PPID; sleep 0.3; $post"
	rm -f "$(cat name)" # nobody is there to do it
	ran "pre result= checkpoint=$((next + 3)) post result=ok checkpoint=$((next + 3)) "
}

mkdir -p s/sub
for name in a $'b\nc' sub/a; do
	random_file "s/$name" 100000
done
all_of s
mount_source s
all_of s

# a checkpoint that isn't made
sync_to s s/inside --pre-hook "$pre" --post-hook "$post"
[ ! -e ran ] || fail "hooks, though the sync can't begin"
assert_fails "$MIRRORCTL" snapshot create s x --pre-hook "$pre; $MIRRORCTL snapshot create s x" \
	--post-hook "$post"
grep -q "post result=failed" ran || fail "post-hook: $(cat ran)"
ran "$(tr '\n' ' ' <ran)"
"$MIRRORCTL" snapshot delete s x
next=$(($("$MIRRORCTL" status --json s | jq .source.generation) + 1))
"$MIRRORCTL" snapshot create s --pre-hook "$pre" --post-hook "$post" >out 2>err
assert_eq "$(cat err)" "said by pre
said by post" "what hooks say"
assert_one_line "$(cat out)"
ran "pre result= checkpoint=$next post result=ok checkpoint=$next "
"$MIRRORCTL" snapshot create s y --post-hook 'exit 1' >out 2>err && fail "post-hook's failure is not told"
[ -d "$(cat out)" ] || fail "no snapshot"

# --- killed and stopped

# Only the guard is killed, between the hooks, which a daemon that stands still makes long.
daemon=${daemon_of[$work/s]}
"$MIRRORCTL" sync --quiet s d --pre-hook "echo \$PPID >guard; kill -STOP $daemon; $pre" \
	--post-hook "$post" >/dev/null 2>sync.err &
pid=$!
commits() {
	grep -qsx commit "/proc/$pid"/task/*/comm
}
wait_for 20 commits || fail "no commit"
kill -KILL "$(cat guard)"
kill -CONT "$daemon"
code=0
wait "$pid" || code=$?
assert_eq "$code" 0 "exit code"
grep -q "post result=ok" ran || fail "the guard was killed, and nobody thawed: $(cat ran)"
[ ! -e "$(cat name)" ] || fail "the list of images is left behind"

thawed() {
	[ -e ran ] && grep -q "post result=failed" ran
}

# stop_at SIGNAL HOOK: sends it while the hook waits, and lets that go on
stop_at() {
	local signal=$1 pid
	rm -f go waits ran
	set -m
	"$MIRRORCTL" sync --quiet s d --pre-hook "touch waits; $2; $pre" --post-hook "$post" \
		>/dev/null 2>sync.err &
	pid=$!
	set +m
	wait_for 20 [ -e waits ] || fail "no pre-hook"
	kill "-$signal" "$pid"
	sleep 0.2
	[ ! -e ran ] || fail "a hook ended: $(cat ran)"
	touch go
	code=0
	wait "$pid" 2>/dev/null || code=$?
}
hold='while [ ! -e go ]; do sleep 0.02; done'

stop_at TERM "$hold"
assert_eq "$code" 143 "exit code"
thawed || fail "stopped, and not thawed"
stop_at INT "$hold"
assert_eq "$code" 130 "exit code"
thawed || fail "interrupted, and not thawed"

# between the hooks it is dead: its guard thaws, after the pre-hook has ended
stop_at KILL "$hold"
assert_eq "$code" 137 "exit code"
wait_for 20 thawed || fail "killed, and not thawed"
head -n 1 ran | grep -q ^pre || fail "thawed before all was frozen: $(cat ran)"

# with its whole process group
rm -f go waits ran
set -m
"$MIRRORCTL" sync --quiet s d --pre-hook "$pre; touch waits; setsid sleep 0.3" --post-hook "$post" \
	>/dev/null 2>&1 &
pid=$!
set +m
wait_for 20 [ -e waits ] || fail "no pre-hook"
kill -KILL -- "-$pid"
wait "$pid" 2>/dev/null || :
wait_for 20 thawed || fail "killed with its group, and not thawed"
wait_for 20 [ ! -e "$(cat name)" ] || fail "the list of images is left behind"

# a terminal's interrupt reaches the pre-hook too, which ends by it
rm -f go waits ran
set -m
"$MIRRORCTL" sync --quiet s d --pre-hook "touch waits; exec sleep 60" --post-hook "$post" \
	>/dev/null 2>&1 &
pid=$!
set +m
wait_for 20 [ -e waits ] || fail "no pre-hook"
kill -INT -- "-$pid"
code=0
wait "$pid" || code=$?
[ "$code" != 0 ] || fail "interrupted, and exit code 0"
thawed || fail "interrupted, and not thawed"

# more images than an environment has room for
mkdir s/many
(cd s/many && seq -f "$(printf 'n%.0s' {1..100})%g" 1400 | xargs touch)
must_sync 0 s d --pre-hook "$pre"
assert_eq "$(cat images.pre)" none "MIRRORFS_IMAGES"
assert_eq "$(wc -l <file.pre)" 1404 "images in the file"
unmount s
