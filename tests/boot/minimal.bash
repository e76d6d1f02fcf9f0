# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# minimal.bash - a tree with the least that this machine's packages make; sourced, on top of tests/lib.sh
#
# It is a Debian with only the essential packages, those that PACKAGE depends on, and what all these depend on:
# as they are installed here, files and dpkg's records, so nothing has to be fetched.

# needed_for DEPENDS: names of those packages; what isn't installed here is left out
needed_for() {
	dpkg-query -W -f '${db:Status-Status}\t${binary:Package}\t${Essential}\t${Pre-Depends},${Depends}\t${Provides}\n' |
		awk -F '\t' -v depends="$1" '
		function name_of(dependency) {
			sub(/^ +/, "", dependency)
			sub(/[ :(].*$/, "", dependency)
			return dependency
		}
		# all that are needed for one, and of alternatives the first that is there
		function take(list, all, any, i, j) {
			split(list, all, /,/)
			for (i in all) {
				split(all[i], any, /[|]/)
				for (j = 1; j in any; j++)
					if (name_of(any[j]) in package) {
						take_one(package[name_of(any[j])])
						break
					}
			}
		}
		function take_one(one) {
			if (one in taken)
				return
			taken[one] = 1
			print one
			take(needs[one])
		}
		$1 == "installed" {
			package[name_of($2)] = $2
			needs[$2] = $4
			if ($3 == "yes")
				essential[$2] = 1
			n = split($5, provided, /,/)
			for (i = 1; i <= n; i++)
				if (!(name_of(provided[i]) in package))
					package[name_of(provided[i])] = $2
		}
		END {
			for (one in essential)
				take_one(one)
			take(depends)
		}'
}

# make_minimal TREE DEPENDS: what DEPENDS names is there, as a package's field of that name does
make_minimal() {
	local packages package admin=var/lib/dpkg
	mapfile -t packages < <(needed_for "$2")
	mkdir -p "$1/$admin/info" "$1/$admin/updates" "$1"/{dev,proc,sys,tmp,root,run,etc}
	mkdir "$1"/usr "$1"/usr/{bin,sbin,lib,lib64} # where /bin and its like lead
	# what a package lists may have been left out here (documentation)
	dpkg -L "${packages[@]}" | sed -n 's,^/,,p' | sort -u | while IFS= read -r file; do
		[ ! -e "/$file" ] && [ ! -L "/$file" ] || printf '%s\n' "${file:-.}"
	done | tar -c -C / --no-recursion -T - | tar -x -C "$1"
	cp /etc/passwd /etc/group "$1/etc/"
	for package in "${packages[@]}"; do
		dpkg-query -s "$package"
		echo
		cp -t "$1/$admin/info" "/$admin/info/$package".*
	done >"$1/$admin/status"
	cp "/$admin/info/format" "$1/$admin/info/"
	: >"$1/$admin/available"
	ldconfig -r "$1"
}
