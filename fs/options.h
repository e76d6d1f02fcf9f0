/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line and the mount options of mirrorfs
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <fuse_opt.h>
#include <stdbool.h>
#include <stdint.h>

struct mfs_options {
	char *source, *mountpoint; /* owned; absolute once mfs_places_check() has seen them */
	bool foreground, debug, help, version;
	bool read_only;
	bool allow_other, no_allow_other;
	bool notrack;
	unsigned int block_shift, region_shift; /* 0: not given */
	unsigned int save_interval;		/* seconds */
	uint64_t preserve_limit;		/* bytes; 0: not given */
	unsigned int preserve_timeout;		/* seconds */
	struct fuse_args args;			/* what is left, for libfuse; owned */
	char *fsname;				/* owned; NULL if not given */
};

/*
 * 0, or -EINVAL after one line on stderr.  With help or version set nothing
 * else is checked.
 */
int mfs_options_parse(int argc, char **argv, struct mfs_options *ret);
void mfs_options_destroy(struct mfs_options *options);

/*
 * Adds to args what mirrorfs itself asks of libfuse: permissions, names.  To be called once,
 * with the source absolute.  0 or -ENOMEM.
 */
int mfs_options_complete(struct mfs_options *options);

void mfs_options_help(void); /* to stdout */

#endif
