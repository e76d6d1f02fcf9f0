#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-since.sh - a copy that was made by other means at a named checkpoint becomes a replica, and
# gets what has changed since, whatever has become of the images' names and sizes
. "$(dirname "$0")/common.bash"
requires_fuse
requires_strace

# all_of DEST: which may not exist
all_of() {
	find "$1" -printf '%p %s %i %T@\n' 2>&1 | LC_ALL=C sort || :
}

# refused PART DEST [OPTION...]: exit code 1, one line with PART in it, and DEST is as it was
refused() {
	local part=$1 dest=$2 before
	shift 2
	before=$(all_of "$dest")
	assert_fails "$MIRRORCTL" sync "$@" "$at" "$dest"
	assert_eq "$code" 1 "sync $* $dest: exit code"
	assert_one_line "$stderr"
	assert_contains "$stderr" "$part" "sync $* $dest"
	assert_eq "$(all_of "$dest")" "$before" "what is in $dest after it was refused"
}

block() { # FILE NUMBER: of 64 KiB, with something new in it
	dd if=/dev/urandom of="$1" bs=64k seek="$2" count=1 conv=notrunc status=none
}

make_source() {
	rm -rf s m && mkdir s m
	random_file s/a 3000000
	random_file s/still 2000000
	random_file s/swapped1 700000
	random_file s/swapped2 700000
	random_file s/gone 100000
	random_file s/again 300000
	random_file s/shrunk 400000
	random_file s/grown 400000
	random_file s/regrown 400000
	random_file s/over 200000
	random_file s/overwritten 200000
	random_file s/$'new\nline' 150000
	truncate -s 20M s/holes
	block s/holes 70
	mkdir -p s/dir/sub s/leaves
	random_file s/dir/linked 90000
	ln s/dir/linked s/dir/sub/link
	random_file s/leaves/in 80000
	ln -s a s/sym
	: >s/empty
}

# all that can happen to names and content since
change_source() { # TREE
	block "$1/a" 3
	block "$1/a" 40
	block "$1/holes" 5
	mv "$1/swapped1" "$1/t" && mv "$1/swapped2" "$1/swapped1" && mv "$1/t" "$1/swapped2"
	block "$1/swapped1" 2
	rm "$1/gone" "$1/again"
	random_file "new-again" 300000 && mv new-again "$1/again"
	truncate -s 100000 "$1/shrunk"
	truncate -s 700000 "$1/grown"
	truncate -s 100000 "$1/regrown" && truncate -s 400000 "$1/regrown"
	mv "$1/over" "$1/overwritten"
	mv "$1/leaves/in" "$1/dir/moved" && rmdir "$1/leaves"
	ln "$1/dir/moved" "$1/dir/sub/more"
	rm "$1/dir/linked"
	random_file "new" 120000 && mv new "$1/new"
}

# Exactly that, and all of it, was done.  The blocks: a 2, holes 1, swapped 1, those of regrown and
# grown after their cuts (the last block of what was there changes too), and images that are new.
well() { # OPTION...
	assert_eq "$(json '.from_checkpoint.number')" "$number" "from where"
	assert_eq "$(json '[.full_copies[] | .path + " " + .reason] | sort | join(", ")')" \
		"again replaced, new new" "full copies"
	[ "$(json .bytes_scanned)" -lt $((4 * 65536 + 300000 + 400000 + 120000 + 300000 + 200000)) ] ||
		fail "looked at $(json .bytes_scanned) bytes"
}

# took_it: DEST, a copy at checkpoint number, with what has changed since, becomes what $at is
took_it() { # DEST OPTION...
	local dest=$1 before
	shift
	before=$(list_tree "$dest")
	must_sync 0 $at "$dest" --since seed --dry-run "$@"
	well
	assert_eq "$(json .images_believed)" "$nimages" "images believed by a dry run"
	[ "$(json .names_removed)" -ge 3 ] || fail "names removed: $(json .names_removed)"
	assert_eq "$(list_tree "$dest")" "$before" "after a dry run"
	[ ! -e "$dest/.mirrorfs" ] || fail "a dry run made a replica"
	must_sync 0 $at "$dest" --since seed "$@"
	well
	assert_eq "$(json .images_believed)" "$nimages" "images believed"
	assert_equal_trees $at "$dest"
	complete "$dest" || fail "$dest is not complete"
	assert_eq "$(json '.warnings | length')" 0 "warnings"
	# a timer goes on with the same options, also when the name is gone; and is told of it
	must_sync 0 $at "$dest" --since seed "$@"
	assert_eq "$(json '[.bytes_scanned, .images_believed] | @text')" "[0,null]" "the sync after"
	assert_eq "$(json '.warnings[]')" "--since 'seed' means nothing: '$dest' is a replica already" "warnings"
	must_sync 0 $at "$dest" --since never-heard-of --dry-run "$@"
	assert_contains "$(json '.warnings[]')" "--since 'never-heard-of' means nothing" "warnings of a dry run"
	must_sync 0 $at "$dest" --since never-heard-of "$@"
	assert_contains "$(json '.warnings[]')" "--since 'never-heard-of' means nothing" "warnings"
	assert_eq "$("$MIRRORCTL" sync $at "$dest" --since $'new\nline' "$@" 2>&1 >/dev/null)" \
		"mirrorctl: warning: --since 'new\\nline' means nothing: '$dest' is a replica already" "on stderr"
	assert_equal_trees $at "$dest"
}

nimages=16 # with a history, and there at the checkpoint
for way in "" --in-place; do
	# from a snapshot, while a guest writes
	make_source
	at=m
	mount_source s m
	"$MIRRORCTL" snapshot create --checkpoint m seed >path
	number=$("$MIRRORCTL" checkpoint list --json m | jq '.checkpoints[] | select(.name == "seed").number')
	change_source m
	rm -rf d && cp -a "$(cat path)" d
	"$MIRRORCTL" snapshot delete m seed
	# shellcheck disable=SC2086
	took_it d $way
	"$MIRRORCTL" checkpoint delete m seed
	block m/still 1
	# shellcheck disable=SC2086
	must_sync 0 m d --since seed $way
	assert_eq "$(json .bytes_copied)" 65536 "bytes of a sync after the name is gone"
	assert_equal_trees m d
	unmount m

	# from the source itself, when nothing is mounted, with the ids in xattrs and another timestamp
	make_source
	at=s
	"$MIRRORCTL" checkpoint create --quiet s seed
	number=1
	rm -rf d && cp -r --preserve=links,xattr s d && ln -sf a d/sym
	refused "remove its .mirrorfs first" d --since seed
	rm -r d/.mirrorfs
	[ -n "$(getfattr -n user.mirrorfs.id d/a 2>/dev/null)" ] || fail "ids were not copied"
	mount_source s m
	change_source m
	unmount m
	# shellcheck disable=SC2086
	took_it d $way
done

# A guest that writes all the while, and the option in a timer's file: from a snapshot, and from the
# images themselves, as what is written after the checkpoint is copied again.
for from in snapshot mount; do
	make_source
	at=m
	mount_source s m
	rm -f stop
	while [ ! -e stop ]; do
		block m/a $((RANDOM % 40))
		block m/still $((RANDOM % 30))
	done &
	writer=$!
	cleanup_fn stop_process $writer
	rm -rf d
	if [ $from = snapshot ]; then
		"$MIRRORCTL" snapshot create --checkpoint m seed >path
		cp -a "$(cat path)" d
		"$MIRRORCTL" snapshot delete m seed
	else
		"$MIRRORCTL" checkpoint create --quiet m seed
		cp -a m d
	fi
	printf 'source = %s\ndest = %s\nsince = seed\n' "$PWD/m" "$PWD/d" >config
	"$MIRRORCTL" sync --json --config config >sync.json
	assert_eq "$(json '[.images_believed, (.full_copies | length)] | @text')" "[$nimages,0]" "by a config"
	"$MIRRORCTL" sync --json --config config >sync.json
	assert_eq "$(json '[.images_believed, (.full_copies | length)] | @text')" "[null,0]" \
		"by a config again"
	touch stop
	wait $writer
	"$MIRRORCTL" checkpoint delete m seed
	"$MIRRORCTL" sync --quiet --config config
	assert_equal_trees m d
	unmount m
done
at=s

# What has not the size that it had was not copied to its end; what isn't there not at all.
seed() {
	# hard links become files of their own
	rm -rf d && cp -r s d && rm -r d/.mirrorfs
	mount_source s m
	change_source m
	unmount m
}
make_source
"$MIRRORCTL" checkpoint create --quiet s seed
"$MIRRORCTL" checkpoint create --quiet s other
seed
truncate -s 1999999 d/still
truncate -s 3000001 d/a
rm d/swapped2 d/dir/linked d/$'new\nline'
mkdir d/$'new\nline' # something else
ln d/over kept       # by somebody who has not given it to us
cp kept kept.was
must_sync 3 s d --since seed
assert_eq "$(json '[.full_copies[] | select(.expected | not) | .path + " " + .reason] | sort | join(", ")')" \
	"a copy-size, "$'new\nline'" replica-missing, overwritten replica-changed, still copy-size, swapped1 replica-missing" \
	"full copies of what wasn't copied well"
assert_eq "$(json '.full_copies[] | select(.path == "still") | .by_digest, .bytes_differing' | xargs)" \
	"true 33920" "what a copy lacks that was cut off"
assert_equal_trees s d
assert_same_file kept kept.was

# It keeps older checkpoints from its first sync on; that it had none before is nothing to be said.
make_source
"$MIRRORCTL" checkpoint create --quiet s seed
seed
must_sync 0 s d --since seed --keep 2
assert_eq "$(json '.warnings | length')" 0 "warnings"
number=$(json .checkpoint.number)
list_tree d >before
mount_source s m
block m/a 20
mv m/still m/moved
unmount m
must_sync 0 s d --since seed --keep 2
"$MIRRORCTL" restore --at "$number" --quiet d restored
list_tree restored | diff before - >&2 || fail "restored is another thing"

# ---- what it has no digests of ----

# compared REASON PATH:BYTES ...: what was compared for that, and how much of it differed, if anything
compared() {
	assert_eq "$(json '[.full_copies[] | .reason + " " + (.by_digest | @text)] | unique | join(", ")')" \
		"$1 true" "why"
	assert_eq "$(json '[.full_copies[] | select(.bytes_differing > 0) | .path + ":" + (.bytes_differing | @text)] |
		sort | join(" ")')" "${*:2}" "what differed"
	assert_equal_trees s d
	assert_proved d
	assert_contains "$(cat scrub.out)" "not to be proved 0 B"
}

# What no sync has copied is read when it has to be compared; of an image of which nothing was, and
# of one of which some blocks were, in the first of two pages of digests or in the second.
for way in "" --in-place; do
	for reason in adopted lineage; do
		make_source
		"$MIRRORCTL" checkpoint create --quiet s seed
		rm -rf d && cp -a s d && rm -r d/.mirrorfs
		mount_source s m
		block m/a 3
		block m/holes 5
		block m/holes 300
		unmount m
		# shellcheck disable=SC2086
		must_sync 0 s d --since seed $way
		assert_fails "$MIRRORCTL" scrub d
		if [ $reason = adopted ]; then
			"$MIRRORCTL" adopt --quiet d
		else
			"$MIRRORCTL" replica forget s d >/dev/null
			must_sync 0 s other.$reason.${way:-journal}
		fi
		if [ "$way$reason" != adopted ]; then
			# of what is known and of what isn't; and one of either becomes a hole
			block s/a 3
			block s/a 4
			block s/still 1
			fallocate -p -o $((5 * 65536)) -l 65536 s/holes
			fallocate -p -o $((70 * 65536)) -l 65536 s/holes
			block s/holes 301
			# shellcheck disable=SC2086
			sync_to s d $way
			compared $reason a:131072 holes:196608 still:65536
		else
			must_sync 0 s d
			compared $reason
			assert_eq "$(json .bytes_copied)" 0 "bytes copied"
		fi
		must_sync 0 s d
		assert_eq "$(json .bytes_scanned)" 0 "bytes of the sync after"
	done
done

# ---- what is refused, and left as it is ----

make_source
"$MIRRORCTL" checkpoint create --quiet s seed
seed
refused "not empty and not a replica" d
refused "no checkpoint that the source keeps has that name" d --since seeds
must_sync 0 s fresh # leaves a checkpoint without a name
number=$(json .checkpoint.number)
refused "checkpoint $number has no name" d --since "$number"
refused "checkpoint $number has no name" d --since fresh
mkdir empty
refused "it is empty" empty --since seed
refused "it is empty" empty --since seed --dry-run
refused "there is no such directory" nowhere --since seed
echo mine >d/dir/stranger
refused "such as 'dir/stranger'" d --since seed
refused "such as 'dir/stranger'" d --since seed --dry-run
rm d/dir/stranger
mkdir up && mv d up/
refused "such as 'd/" up --since seed # the directory above
refused "such as 'in'" up/d/leaves --since seed # one below
mv up/d .
mkdir wrong && truncate -s 1 wrong/a wrong/still
refused "no image of the source is there" wrong --since seed
assert_fails "$MIRRORCTL" sync --since seed s s
assert_contains "$stderr" "it is the source itself"
cp -a s copy
refused "remove its .mirrorfs first" copy --since seed
# what a replica has left behind is no mere copy
mkdir d/.mirrorfs && echo journal >d/.mirrorfs/journal
refused "never published" d --since seed
rm -r d/.mirrorfs
# which images there were has to be known for sure
list=$(echo s/.mirrorfs/named/*)
mv "$list" list
refused "no such file" d --since seed
cp list "$list"
printf damage | dd of="$list" bs=1 seek=100 conv=notrunc status=none
refused "damaged" d --since seed
"$MIRRORCTL" checkpoint create --quiet s later
cp "s/.mirrorfs/named/$("$MIRRORCTL" checkpoint list --json s |
	jq -r '.checkpoints[] | select(.name == "later").uuid')" "$list"
refused "another checkpoint's" d --since seed
cp list "$list"
# a replica of another source is that
mkdir s2 && random_file s2/a 3000000
must_sync 0 s2 d2
refused "a replica of another source" d2 --since seed

# ---- an adopted one ----

# It is to be compared, all of it, whatever a timer says: it may be anything, such as a replica whose
# images have swapped names since.
mount_source s m
mv m/swapped1 m/t && mv m/swapped2 m/swapped1 && mv m/t m/swapped2
must_sync 0 m fresh2
rm -r fresh2/.mirrorfs
block fresh2/still 7
"$MIRRORCTL" adopt --quiet fresh2
must_sync 0 m fresh2 --since seed
assert_eq "$(json .images_believed)" null "images believed of an adopted one"
assert_contains "$(json '.warnings[]')" "'fresh2' is a replica already" "warnings of an adopted one"
assert_equal_trees m fresh2
assert_proved fresh2
# the same without its manifest
rm -r fresh2/.mirrorfs
assert_fails "$MIRRORCTL" sync --since seed m fresh2
assert_contains "$stderr" "was there, at checkpoint"
unmount m
make_source
"$MIRRORCTL" checkpoint create --quiet s seed

# ---- what is durable when ----

# What was copied is on the disk before it is called a replica.
make_source
"$MIRRORCTL" checkpoint create --quiet s seed
seed
strace -f -qq -y -o trace -e trace=syncfs,renameat,renameat2,fsync "$MIRRORCTL" sync --quiet --since seed s d
[ "$(grep -n 'syncfs(.*/d>)' trace | head -n 1 | cut -d : -f 1)" -lt \
	"$(grep -n 'rename.*"replica.tmp"' trace | head -n 1 | cut -d : -f 1)" ] ||
	fail "called a replica before it was flushed: $(cat trace)"

# Killed right after that, it is nothing that anybody would restore from; any sync goes on.
for goes_on in "--since seed" ""; do
	rm -rf s s2 && make_source
	"$MIRRORCTL" checkpoint create --quiet s seed
	seed
	strace -f -qq -o /dev/null -P "$PWD/d/.mirrorfs" -e trace=fsync -e inject=fsync:signal=KILL:when=4 \
		"$MIRRORCTL" sync --quiet --since seed s d 2>/dev/null || :
	[ -e d/.mirrorfs/replica ] || fail "was killed too early: no manifest"
	complete d && fail "was killed too late: complete"
	assert_fails "$MIRRORCTL" restore d out
	assert_contains "$stderr" "no sync to it has been finished yet"
	assert_contains "$("$MIRRORCTL" recover d)" "no sync to it has been finished yet"
	# shellcheck disable=SC2086
	must_sync 0 s d $goes_on
	number=1
	well
	assert_eq "$(json '.warnings | length')" 0 "warnings of a sync that goes on with it"
	assert_equal_trees s d
done
