#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install puts what there is where it belongs, and nothing else; make uninstall takes it away again, and
# leaves what is others'.
. "$(dirname "$0")/../lib.sh"
requires make

# in_tree DIR TARGET VARIABLE...: with the programs that are being tested, as they are
in_tree() {
	make -s -C "$1" -o "$BUILD/mirrorfs" -o "$BUILD/mirrorctl" BUILD="$BUILD" "${@:2}" >make.out 2>&1 ||
		fail "make ${*:2}: $(tail -n 5 make.out)"
}

list() { # DIR [TEST...]: of find
	(cd "$1" && find . "${@:2}" -printf '%P %m %y\n' | sort)
}

# wanted PREFIX ZSH_DIRECTORY: by what is in the sources
wanted() {
	local file
	{
		printf "$1/bin/%s 755 f\n" mirrorfs mirrorctl
		printf "$1/share/bash-completion/completions/%s 644 f\n" mirrorfs mirrorctl
		printf "$2/%s 644 f\n" _mirrorfs _mirrorctl
		for file in "$TOP"/man/*; do
			echo "$1/share/man/man${file##*.}/${file##*/} 644 f"
		done
		for file in "$TOP"/tools/schema/*; do
			echo "$1/share/mirrorfs/schema/${file##*/} 644 f"
		done
		for file in "$TOP"/tools/systemd/*; do
			[ -z "$3" ] || echo "$3/$(basename "$file" .in) 644 f"
		done
	} | sort
}

echo "into a tree that others use, too"
dest="$work/a tree"
mkdir -p "$dest"/usr/local/{bin,share/man/man8,lib/systemd/system,share/zsh/site-functions} "$dest/etc/mirrorfs"
for file in usr/local/{bin/mirrors,share/man/man8/mirrors.8,lib/systemd/system/mirrors@.service} \
	usr/local/share/zsh/site-functions/_mirrors etc/mirrorfs/mirrors.conf; do
	echo mine >"$dest/$file"
done
list "$dest" ! -type d >files.before
list "$dest" -type d >directories.before
(
	umask 077
	in_tree "$TOP" install DESTDIR="$dest" prefix=/usr/local
	in_tree "$TOP" install DESTDIR="$dest" prefix=/usr/local
)
list "$dest" ! -type d >files.after
wanted usr/local usr/local/share/zsh/site-functions usr/local/lib/systemd/system |
	sort - files.before | diff - files.after || fail "what is installed: wanted (<), got (>)"
! list "$dest" -type d | grep -v ' 755 d$' || fail "directories that not everybody may read"

! grep -r '@[a-z]*@' "$dest/usr/local/lib/systemd" || fail "left in units"
grep -qx 'ExecStart=/usr/local/bin/mirrorctl sync --config /etc/mirrorfs/%i.conf' \
	"$dest/usr/local/lib/systemd/system/mirrorctl-sync@.service" || fail "the unit names other paths"
for program in mirrorfs mirrorctl; do
	assert_same_file "$BUILD/$program" "$dest/usr/local/bin/$program"
	assert_contains "$(env -i "$dest/usr/local/bin/$program" --version 2>&1)" "$program" "$program --version"
done

in_tree "$TOP" uninstall DESTDIR="$dest" prefix=/usr/local
list "$dest" ! -type d | diff files.before - || fail "what is left: wanted (<), got (>)"
! list "$dest" -type d | comm -23 directories.before - | grep . || fail "removed directories that were there before"
in_tree "$TOP" uninstall DESTDIR="$dest" prefix=/usr/local
in_tree "$TOP" uninstall DESTDIR="$work/nowhere" prefix=/usr/local
[ ! -e "$work/nowhere" ] || fail "uninstall made something"

echo "a user's own place, configured"
mkdir tree home
tar -c -C "$TOP" configure configure.ac config.mk.in config.h.in Makefile man tools/{completion,schema,systemd} |
	tar -x -m -C tree
configure() {
	(cd tree && ./configure --prefix="$work/home" "$@") >configure.out 2>&1 ||
		fail "configure: $(tail -n 5 configure.out)"
}
configure --with-systemdsystemunitdir=no --with-zshcompletiondir="$work/home/zsh"
in_tree tree install
list home ! -type d >files
wanted "${work#/}/home" "${work#/}/home/zsh" "" | sed "s,^${work#/}/home/,," | sort | diff - files ||
	fail "what is installed: wanted (<), got (>)"
in_tree tree uninstall
[ "$(list home ! -type d)" = "" ] || fail "left behind: $(list home ! -type d)"

# only what a distribution's package of the programs alone has
configure --without-systemdsystemunitdir --without-bashcompletiondir --without-zshcompletiondir
in_tree tree install DESTDIR="$work/plain"
list plain ! -type d | grep -v -e "/home/share/man/" -e "/home/share/mirrorfs/" >files || :
printf "${work#/}/home/bin/%s 755 f\n" mirrorctl mirrorfs | diff - files || fail "wanted (<), got (>)"

# where units go is also where they look for what a person wrote
configure --sysconfdir="$work/home/etc"
in_tree tree install
grep -q -- "--config $work/home/etc/mirrorfs/%i.conf" home/lib/systemd/system/mirrorctl-sync@.service ||
	fail "sysconfdir isn't in the unit"
in_tree tree uninstall
[ "$(list home ! -type d)" = "" ] || fail "left behind: $(list home ! -type d)"
