#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: built from an unpacked archive, without complaints of lintian, with what make install
# installs; installed, used, upgraded, removed and purged in the smallest Debian that it can be installed in,
# which has no compiler, no headers and no pkg-config.
#
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=minimal.bash
. "$(dirname "$0")/minimal.bash"
requires_fuse
own_mounts
requires dpkg-buildpackage dpkg-checkbuilddeps dh lintian git

version=$("$MIRRORCTL" --version)
version=${version#* }

make_installed() { # TARGET VARIABLE...: of the programs that are tested, as they are
	make -s -C "$TOP" -o "$BUILD/mirrorfs" -o "$BUILD/mirrorctl" BUILD="$BUILD" "$@" >make.out 2>&1 ||
		fail "make $*: $(tail -n 5 make.out)"
}

echo "build"
# with what a build leaves behind, which is not to get into the package
mkdir archive
tar -c -C "$TOP" --exclude=./.git --exclude=./build . | tar -x -C archive
mkdir archive/build
echo 'unfit' >archive/build/mirrorctl
# what make is called with is for another build than that of the package
make -s -C archive deb BUILD="$work/made" CFLAGS=-O0 V=1 prefix=/nowhere >deb.out 2>&1 || fail "make deb: $(cat deb.out)"
deb=$(echo "$work"/made/deb/mirrorfs_*.deb)
assert_contains "$(cat deb.out)" "$deb" "make deb"
assert_eq "$(dpkg-deb -f "$deb" Version)" "$version" "the package's version"
! grep -iw 'warning' made/deb/build.log || fail "warnings"
lintian --fail-on error,warning made/deb/mirrorfs_*.changes >lintian.out 2>&1 || fail "lintian: $(cat lintian.out)"
! grep '^[EW]:' lintian.out || fail "lintian"

echo "what is in it is what is installed"
dpkg-deb -x "$deb" unpacked
make_installed install DESTDIR="$work/installed" prefix=/usr zshcompletiondir=/usr/share/zsh/vendor-completions
(cd installed && find . ! -type d -printf '%P %m\n') | sort >installed.list
(cd unpacked && find . ! -type d ! -path './usr/share/doc/*' -printf '%P %m\n') | sed 's/\.gz / /' | sort |
	diff installed.list - || fail "make install (<), package (>)"
[ -d unpacked/etc/mirrorfs ] || fail "no /etc/mirrorfs"
while read -r file _; do
	case $file in
	usr/bin/*) continue ;;
	usr/share/man/*) zcat "unpacked/$file.gz" | cmp "installed/$file" - || fail "$file differs" ;;
	*) assert_same_file "installed/$file" "unpacked/$file" ;;
	esac
done <installed.list
for file in README.md.gz changelog.gz copyright; do
	[ -f "unpacked/usr/share/doc/mirrorfs/$file" ] || fail "no $file"
done

# --- in a tree of its own

inside() { # COMMAND...
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$work/tree" "$@"
}

# but for what dpkg, mount and fusermount3 write
list_tree() {
	(cd tree && find . -xdev ! -path './var/lib/dpkg/[!i]*' ! -path './var/log/*' ! -path './run/*' \
		! -path ./etc/mtab.fuselock ! -path './proc/*' ! -path './srv/*' -printf '%P %m %u:%g %y %l\n') | sort
}

dpkg_inside() { # ARGUMENT...
	inside dpkg "$@" >dpkg.out 2>&1 || fail "dpkg $*: $(cat dpkg.out)"
}

echo "install"
make_minimal tree "$(dpkg-deb -f "$deb" Depends)"
mount -t proc none tree/proc
cleanup_fn umount -l "$work/tree/proc"
for file in fuse null urandom; do
	: >"tree/dev/$file"
	mount --bind "/dev/$file" "tree/dev/$file"
	cleanup_fn umount -l "$work/tree/dev/$file"
done
mkdir -p tree/srv/images tree/etc/systemd/system/multi-user.target.wants
cp "$deb" tree/srv/mirrorfs.deb
for file in usr/bin/pkg-config usr/bin/cc usr/bin/gcc usr/include/fuse3 usr/bin/qemu-img usr/bin/jq; do
	[ ! -e "tree/$file" ] || fail "the tree has $file, and is not minimal"
done
dpkg_inside --audit
list_tree >before
dpkg_inside -i /srv/mirrorfs.deb
list_tree >with
inside dpkg --status mirrorfs | grep -qx 'Status: install ok installed' || fail "not installed"

echo "use"
inside mirrorfs /srv/images /srv/images
cleanup_fn fusermount3 -u -z -q "$work/tree/srv/images"
random_file tree/srv/images/disk.img 1000000
inside mirrorctl sync --quiet /srv/images /srv/backup
echo changed >>tree/srv/images/disk.img
inside mirrorctl sync --quiet /srv/images /srv/backup
assert_same_file tree/srv/images/disk.img tree/srv/backup/disk.img
inside mirrorctl scrub --quiet /srv/backup

echo "upgrade, under a guest"
exec 5>>tree/srv/images/disk.img
dpkg_inside -i /srv/mirrorfs.deb
echo more >&5
exec 5>&-
inside mirrorctl sync --quiet /srv/images /srv/backup
assert_same_file tree/srv/images/disk.img tree/srv/backup/disk.img
inside fusermount3 -u /srv/images
# as mount(8) and fstab do
inside mount -t fuse.mirrorfs /srv/images /srv/images
is_mounted "$work/tree/srv/images" || fail "mount -t fuse.mirrorfs: not mounted"
inside mirrorctl verify --quiet /srv/images /srv/backup
inside umount /srv/images
list_tree | diff with - || fail "made by use"

echo "remove, purge"
units=tree/etc/systemd/system/multi-user.target.wants
for unit in mirrorfs mirrorctl-follow; do
	ln -s "/usr/lib/systemd/system/$unit@.service" "$units/$unit@srv-images.service"
done
echo "source = /srv/images" >tree/etc/mirrorfs/nightly.conf
dpkg_inside --remove mirrorfs
[ -h "$units/mirrorfs@srv-images.service" ] || fail "removed: what the administrator has chosen is gone"
dpkg_inside --purge mirrorfs
assert_eq "$(cat tree/etc/mirrorfs/nightly.conf)" "source = /srv/images" "what a person wrote"
rm -r tree/etc/mirrorfs
list_tree | diff before - || fail "left behind by the package"
! inside dpkg --status mirrorfs >status 2>&1 || fail "still known: $(cat status)"

echo "make install, uninstall, in the same tree"
make_installed install DESTDIR="$work/tree" prefix=/usr/local
inside /usr/local/bin/mirrorfs /srv/images /srv/images
echo again >>tree/srv/images/disk.img
inside /usr/local/bin/mirrorctl sync --quiet /srv/images /srv/backup
inside fusermount3 -u /srv/images
assert_same_file tree/srv/images/disk.img tree/srv/backup/disk.img
make_installed uninstall DESTDIR="$work/tree" prefix=/usr/local
list_tree | grep -v ' d $' | diff <(grep -v ' d $' before) - || fail "left behind by make install"

# --- what it is built of

echo "what git tracks, as it is"
git -C archive init -q
git -C archive add -A
git -C archive -c user.name=x -c user.email=x commit -q -m x
echo '# changed' >>archive/README.md
echo 'int unfit;' >archive/tools/untracked.c
rm archive/man/mirrorfs.8
mkdir stubs
cat >stubs/dpkg-buildpackage <<END
#!/bin/sh
find . -type f >$work/tree.list
cp README.md $work
END
chmod +x stubs/dpkg-buildpackage
# what it could make is missing, which ls says: not asked here
PATH=$work/stubs:$PATH archive/tools/debian/build "$work/archive/build/deb" >stub.out 2>&1 || :
(
	cd archive
	git ls-files | grep -vx man/mirrorfs.8 | sed 's,^,./,'
	git ls-files tools/debian | sed 's,^tools,.,'
	echo ./debian/changelog
) | sort | diff - <(sort tree.list) || fail "tracked (<), built of (>)"
assert_eq "$(tail -n 1 README.md)" "# changed"

echo "what is missing is said"
cat >stubs/dpkg-checkbuilddeps <<'END'
#!/bin/sh
echo "dpkg-checkbuilddeps: error: Unmet build dependencies: libfuse3-dev" >&2
exit 1
END
chmod +x stubs/dpkg-checkbuilddeps
PATH=$work/stubs:$PATH assert_fails archive/tools/debian/build made/deb
assert_eq "$stderr" "make deb: Unmet build dependencies: libfuse3-dev
make deb: ./bootstrap --deb installs what is needed (on Debian and its relatives)"
mkdir none
for program in bash dirname mkdir; do ln -s "$(command -v $program)" none/; done
PATH=$work/none assert_fails "$TOP/tools/debian/build" made/deb
assert_contains "$stderr" "make deb: dpkg-dev is missing"
# and what is asked for is what bootstrap installs
sed -n '/^Build-Depends:/,/^[^ ]*$/s/^ \([^ ,]*\).*/\1/p' "$TOP/tools/debian/control" |
	sed 's/^debhelper-compat$/debhelper/' >asked
sort asked | comm -23 - <("$TOP/bootstrap" --list | sort) >missing
[ -s asked ] && [ ! -s missing ] || fail "asked for, not installed by bootstrap: $(cat missing)"
