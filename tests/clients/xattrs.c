/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattrs.c - xattrs FILE: the names of its extended attributes, as listxattr(2) gives them
 *
 * getfattr(1) leaves out names whose value can't be had, and so would hide a fault.
 */
#include "config.h"

#include "expect.h"

#include <sys/xattr.h>

int main(int argc, char **argv)
{
	char list[65536], small[1];
	ssize_t n;

	if (argc != 2)
		return 2;
	n = listxattr(argv[1], list, sizeof(list));
	EXPECT(n >= 0);
	EXPECT(listxattr(argv[1], NULL, 0) == n);
	if (n > 0) {
		EXPECT(listxattr(argv[1], list, (size_t)n) == n);
		EXPECT_ERROR(listxattr(argv[1], small, sizeof(small)), ERANGE);
	}
	for (const char *name = list; name < list + n; name += strlen(name) + 1)
		puts(name);
	return 0;
}
