# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR source=lib.sh
# compare.sh - is a replica what its source is?  Sourced after lib.sh
#
# Made of other people's tools only, so that it can't be wrong in the way that mirrorctl is.

: "${work:?is set by lib.sh}"

# content_of and the like print a line for each thing below $1, without .mirrorfs

names_below() { # DIR FIND-ARGUMENT...
	local dir=$1
	shift
	(cd "$dir" && find . -path ./.mirrorfs -prune -o "$@" -print0 | sort -z)
}

# A directory's size and number of links tell of its filesystem, not of what is in it.
list_metadata() { # DIR
	names_below "$1" -type d |
		(cd "$1" && xargs -0r stat --printf='%N %F %a %u %g %.9Y\n')
	names_below "$1" ! -type d |
		(cd "$1" && xargs -0r stat --printf='%N %F %a %u %g %.9Y %h %s %t:%T\n')
}

# Also POSIX ACLs, as bytes; the order of attributes in a file means nothing.
list_xattrs() { # DIR
	names_below "$1" -true |
		(cd "$1" && xargs -0r getfattr -h -d -m - -e hex) |
		awk '/^# file: / { file = $0; next } NF { print file " " $0 }' |
		sed '/ user\.mirrorfs\./d' | sort
}

list_acls() { # DIR
	names_below "$1" ! -type l | (cd "$1" && xargs -0r getfacl -n -s)
}

# Which names are the same file: each file's first name, for those that have several.
list_links() { # DIR
	names_below "$1" ! -type d -links +1 |
		(cd "$1" && xargs -0r stat --printf='%i %n\n') |
		awk '{ n = $1; $1 = ""; if (!(n in first)) first[n] = $0; print $0 " =" first[n] }'
}

# fifos and devices are compared by list_metadata: diff would say that they differ
compare_content() { # DIR DIR
	diff -rq --no-dereference -x .mirrorfs -x 'p[0-9]*' "$1" "$2"
}

# assert_same_trees SOURCE REPLICA
assert_same_trees() {
	local what same=yes
	compare_content "$1" "$2" >&2 || same=
	for what in metadata xattrs acls links; do
		"list_$what" "$1" >"$work/$what.source"
		"list_$what" "$2" >"$work/$what.replica"
		diff -u "$work/$what.source" "$work/$what.replica" >&2 || same=
	done
	[ "$same" ] || fail "replica $2 is not what $1 is"
}

# assert_verified SOURCE REPLICA: mirrorctl is of the same opinion
assert_verified() {
	"$MIRRORCTL" verify --deep "$1" "$2" >"$work/verify.out" 2>&1 || {
		cat "$work/verify.out" >&2
		fail "mirrorctl verify $1 $2: exit code above, or it found differences"
	}
}

# sync_trees SOURCE REPLICA [WANTED]: exit code WANTED (0), or else what was copied in
# full is told; the account is left in $work/sync.json, for synced
sync_trees() {
	local code=0
	"$MIRRORCTL" sync --json "$1" "$2" >"$work/sync.json" 2>"$work/sync.err" || code=$?
	[ "$code" = "${3:-0}" ] || {
		cat "$work/sync.json" "$work/sync.err" >&2
		fail "sync $1 $2: exit code $code, wanted ${3:-0}"
	}
}

# synced FIELD: a number of the last sync_trees
synced() {
	sed -n 's/^ *"'"$1"'": \([0-9]*\),\{0,1\}$/\1/p' "$work/sync.json"
}

# sync_delta SOURCE REPLICA LIMIT: an incremental sync that copies no more than LIMIT bytes,
# but something, and leaves the replica as the source is
sync_delta() {
	local copied
	sync_trees "$1" "$2"
	copied=$(synced bytes_copied)
	echo "copied $copied bytes, zeroed $(synced bytes_zeroed), of $(synced bytes_total)"
	[ "$copied" -le "$3" ] || {
		cat "$work/sync.json" >&2
		fail "copied $copied bytes, more than $3"
	}
	[ "$((copied + $(synced bytes_zeroed)))" -gt 0 ] || fail "nothing was copied"
	assert_same_trees "$1" "$2"
	assert_verified "$1" "$2"
}

# sync_first SOURCE REPLICA
sync_first() {
	sync_trees "$1" "$2"
	assert_same_trees "$1" "$2"
}
