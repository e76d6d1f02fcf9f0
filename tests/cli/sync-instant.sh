#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sync-instant.sh - a sync of a live source is one instant of all of its images and names
. "$(dirname "$0")/common.bash"
requires_fuse
requires perl

# Counts in image a and then in image b, in each of their blocks in turn, so that at every
# instant b is at a's number or one behind; a file's name counts along.
cat >counter <<'END'
use strict;
sub put {
	my ($file, $n) = @_;
	sysseek($file, $n % 40 * 65536, 0) && syswrite($file, pack("Q", $n)) == 8 or die $!;
	sysseek($file, 40 * 65536, 0) && syswrite($file, pack("Q", $n)) == 8 or die $!;
}
open(my $a, "+<", "s/a") && open(my $b, "+<", "s/b") or die $!;
for (my $n = 1; ! -e "enough"; $n++) {
	put($a, $n);
	put($b, $n);
	rename("s/name" . ($n - 1), "s/name" . $n) or die $!;
}
END

# What a directory holds has to be what was there at one moment.
cat >checker <<'END'
use strict;
my ($dir) = @ARGV;
sub at {
	my ($file, $block) = @_;
	sysseek($file, $block * 65536, 0) && sysread($file, my $bytes, 8) == 8 or die "$dir: $!";
	return unpack("Q", $bytes);
}
my (%end, $name);
for my $image ("a", "b") {
	open(my $file, "<", "$dir/$image") or die "$dir/$image: $!";
	my $end = $end{$image} = at($file, 40);
	for my $block (0 .. 39) {
		# the last number that went to that block; the next one may be there already
		my $last = $end - ($end - $block) % 40;
		my $got = at($file, $block);
		$last = 0 if $last < 0;
		$got == $last or $got == $end + 1 && $got % 40 == $block
			or die "$dir/$image: block $block is at $got, the end at $end\n";
		$end{"next$image"} = 1 if $got == $end + 1;
	}
}
($name) = map { /name(\d+)$/ ? $1 : () } glob("$dir/name*");
my ($a, $b) = @end{"a", "b"};
$a == $b or $a == $b + 1 or die "$dir: a is at $a, b at $b\n";
$name == $b or $name == $b - 1 or die "$dir: b is at $b, the name at $name\n";
$a == $b or $name == $b or die "$dir: a is at $a, the name at $name\n";
# at most one thing has just begun
!$end{nexta} or $a == $b && $name == $b or die "$dir: a has begun $a + 1, b and the name at $b, $name\n";
!$end{nextb} or $a == $b + 1 or die "$dir: b has begun $b + 1, a is at $a\n";
END
# now_in DIR: what it has now, past the cache of the kernel, in the directory now
now_in() {
	local file
	rm -rf now
	mkdir now
	for file in "$1"/*; do
		dd if="$file" of="now/$(basename "$file")" bs=1M iflag=direct status=none
	done
}
one_instant() { # DIR
	perl checker "$1" >&2 || fail "not one instant"
}

mkdir s
truncate -s 3M s/a s/b
random_file piece 400000
dd if=piece of=s/a bs=1 seek=2700000 conv=notrunc status=none
touch s/name0
mount_source s
perl counter &
pid=$!
cleanup_fn stop_process "$pid"
for ((round = 0; round < ${SYNCS:-12}; round++)); do
	must_sync 0 s d
	one_instant d
	complete d || fail "not complete"
done
at=$("$MIRRORCTL" snapshot create s x)
sleep 1
one_instant "$at"
now_in "$at"
one_instant now
mv now before
sleep 0.5
now_in "$at"
diff -r before now >&2 || fail "a snapshot changes"
"$MIRRORCTL" snapshot delete s x
touch enough
wait "$pid"
must_sync 0 s d
assert_equal_trees s d
unmount s
