/* SPDX-License-Identifier: GPL-2.0-or-later */
/* options.c - the command line and the mount options of mirrorfs */
#include "config.h"

#include "fs/options.h"

#include "bitmapfile/sidecar.h"
#include "fs/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAVE_INTERVAL_DEFAULT 5
#define PRESERVE_TIMEOUT_DEFAULT 5
#define SECONDS_MAX 3600
#define REGION_SHIFT_MIN 20
#define REGION_SHIFT_MAX 30

enum {
	KEY_FOREGROUND,
	KEY_DEBUG,
	KEY_HELP,
	KEY_VERSION,
	KEY_READ_ONLY,
	KEY_READ_WRITE,
	KEY_ALLOW_OTHER,
	KEY_NO_ALLOW_OTHER,
	KEY_BLOCK_SIZE,
	KEY_REGION_SIZE,
	KEY_SAVE_INTERVAL,
	KEY_PRESERVE_LIMIT,
	KEY_PRESERVE_TIMEOUT,
	KEY_FSNAME,
	KEY_MAX_READ,
	KEY_NOTRACK,
	KEY_IGNORE,
};

static const struct fuse_opt specs[] = {
	FUSE_OPT_KEY("-f", KEY_FOREGROUND),
	FUSE_OPT_KEY("-d", KEY_DEBUG),
	FUSE_OPT_KEY("debug", KEY_DEBUG),
	FUSE_OPT_KEY("-h", KEY_HELP),
	FUSE_OPT_KEY("--help", KEY_HELP),
	FUSE_OPT_KEY("-V", KEY_VERSION),
	FUSE_OPT_KEY("--version", KEY_VERSION),
	FUSE_OPT_KEY("-r", KEY_READ_ONLY),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY),
	FUSE_OPT_KEY("rw", KEY_READ_WRITE),
	FUSE_OPT_KEY("allow_other", KEY_ALLOW_OTHER),
	FUSE_OPT_KEY("no_allow_other", KEY_NO_ALLOW_OTHER),
	FUSE_OPT_KEY("block_size=", KEY_BLOCK_SIZE),
	FUSE_OPT_KEY("region_size=", KEY_REGION_SIZE),
	FUSE_OPT_KEY("save_interval=", KEY_SAVE_INTERVAL),
	FUSE_OPT_KEY("preserve_limit=", KEY_PRESERVE_LIMIT),
	FUSE_OPT_KEY("preserve_timeout=", KEY_PRESERVE_TIMEOUT),
	FUSE_OPT_KEY("notrack", KEY_NOTRACK),
	FUSE_OPT_KEY("fsname=", KEY_FSNAME),
	FUSE_OPT_KEY("max_read=", KEY_MAX_READ), /* INIT would have to ask for the same */
	/* Asked for always, or for mount(8) and the init system: nothing to do here. */
	FUSE_OPT_KEY("default_permissions", KEY_IGNORE),
	FUSE_OPT_KEY("subtype=", KEY_IGNORE),
	FUSE_OPT_KEY("defaults", KEY_IGNORE),
	FUSE_OPT_KEY("auto", KEY_IGNORE),
	FUSE_OPT_KEY("noauto", KEY_IGNORE),
	FUSE_OPT_KEY("nofail", KEY_IGNORE),
	FUSE_OPT_KEY("_netdev", KEY_IGNORE),
	FUSE_OPT_KEY("user", KEY_IGNORE),
	FUSE_OPT_KEY("user=", KEY_IGNORE),
	FUSE_OPT_KEY("nouser", KEY_IGNORE),
	FUSE_OPT_KEY("users", KEY_IGNORE),
	FUSE_OPT_KEY("owner", KEY_IGNORE),
	FUSE_OPT_KEY("group", KEY_IGNORE),
	FUSE_OPT_KEY("relatime", KEY_IGNORE),
	FUSE_OPT_KEY("norelatime", KEY_IGNORE),
	FUSE_OPT_KEY("strictatime", KEY_IGNORE),
	FUSE_OPT_KEY("nostrictatime", KEY_IGNORE),
	FUSE_OPT_KEY("diratime", KEY_IGNORE),
	FUSE_OPT_KEY("nodiratime", KEY_IGNORE),
	FUSE_OPT_KEY("lazytime", KEY_IGNORE),
	FUSE_OPT_KEY("nolazytime", KEY_IGNORE),
	FUSE_OPT_KEY("iversion", KEY_IGNORE),
	FUSE_OPT_KEY("noiversion", KEY_IGNORE),
	FUSE_OPT_KEY("silent", KEY_IGNORE),
	FUSE_OPT_KEY("loud", KEY_IGNORE),
	FUSE_OPT_KEY("comment=", KEY_IGNORE),
	FUSE_OPT_END,
};

/* Says why an option can't be taken. */
#define refuse(...) (mfs_log(LOG_ERR, __VA_ARGS__), -1)

/* Bytes with an optional suffix, such as 64K; -EINVAL for anything else, and for nothing at all. */
static int parse_bytes(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *suffix;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	suffix = *end ? strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end) : NULL;
	if (suffix) {
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		end++;
	}
	if (errno != 0 || *end != '\0' || value == 0 || value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = (uint64_t)value << shift;
	return 0;
}

/* A power of two. */
static int parse_size(const char *text, unsigned int *ret_shift)
{
	uint64_t value;

	if (parse_bytes(text, &value) < 0 || (value & (value - 1)) != 0)
		return -EINVAL;
	*ret_shift = (unsigned int)__builtin_ctzll(value);
	return 0;
}

static int parse_block_size(struct mfs_options *options, const char *text)
{
	if (parse_size(text, &options->block_shift) < 0 ||
	    options->block_shift < BMF_BLOCK_SHIFT_MIN ||
	    options->block_shift > BMF_BLOCK_SHIFT_MAX)
		return refuse("read option 'block_size=%s': give a power of two from 4K to 2M",
			      text);
	return 0;
}

static int parse_region_size(struct mfs_options *options, const char *text)
{
	if (parse_size(text, &options->region_shift) < 0 ||
	    options->region_shift < REGION_SHIFT_MIN || options->region_shift > REGION_SHIFT_MAX)
		return refuse("read option 'region_size=%s': give a power of two from 1M to 1G",
			      text);
	return 0;
}

/* name: with its equals sign */
static int parse_seconds(const char *name, const char *text, unsigned int *ret)
{
	unsigned long value = 0;
	char *end = NULL;

	if (*text >= '0' && *text <= '9')
		value = strtoul(text, &end, 10);
	if (!end || *end != '\0' || value < 1 || value > SECONDS_MAX)
		return refuse("read option '%s%s': give seconds from 1 to %d", name, text,
			      SECONDS_MAX);
	*ret = (unsigned int)value;
	return 0;
}

static int parse_preserve_limit(struct mfs_options *options, const char *text)
{
	if (parse_bytes(text, &options->preserve_limit) < 0)
		return refuse("read option 'preserve_limit=%s': give bytes, such as 10G", text);
	return 0;
}

static int set_string(char **where, const char *text)
{
	free(*where);
	*where = strdup(text);
	return *where ? 0 : refuse("read option '%s': out of memory", text);
}

static int take_word(struct mfs_options *options, const char *word)
{
	if (!options->source)
		return set_string(&options->source, word);
	if (!options->mountpoint)
		return set_string(&options->mountpoint, word);
	return refuse("read argument '%s': one source and one mount point, see mirrorfs --help",
		      word);
}

/* fuse_opt_proc_t: 1 keeps the option for libfuse, 0 drops it. */
static int take_option(void *data, const char *arg, int key, struct fuse_args *outargs)
{
	struct mfs_options *options = data;

	(void)outargs;
	switch (key) {
	case FUSE_OPT_KEY_NONOPT:
		return take_word(options, arg);
	case KEY_FOREGROUND:
		options->foreground = true;
		return 0;
	case KEY_DEBUG:
		options->debug = options->foreground = true;
		return 1;
	case KEY_HELP:
		options->help = true;
		return 0;
	case KEY_VERSION:
		options->version = true;
		return 0;
	case KEY_READ_ONLY:
		options->read_only = true;
		return 1;
	case KEY_READ_WRITE:
		options->read_only = false;
		return 1;
	case KEY_ALLOW_OTHER:
		options->allow_other = true;
		return 0;
	case KEY_NO_ALLOW_OTHER:
		options->no_allow_other = true;
		return 0;
	case KEY_BLOCK_SIZE:
		return parse_block_size(options, strchr(arg, '=') + 1);
	case KEY_REGION_SIZE:
		return parse_region_size(options, strchr(arg, '=') + 1);
	case KEY_SAVE_INTERVAL:
		return parse_seconds("save_interval=", strchr(arg, '=') + 1,
				     &options->save_interval);
	case KEY_PRESERVE_LIMIT:
		return parse_preserve_limit(options, strchr(arg, '=') + 1);
	case KEY_PRESERVE_TIMEOUT:
		return parse_seconds("preserve_timeout=", strchr(arg, '=') + 1,
				     &options->preserve_timeout);
	case KEY_NOTRACK:
		options->notrack = true;
		return 0;
	case KEY_FSNAME:
		return set_string(&options->fsname, strchr(arg, '=') + 1);
	case KEY_MAX_READ:
		return refuse("read option '%s': not supported, leave it out", arg);
	case KEY_IGNORE:
		return 0;
	}
	/* x-systemd.* and the like are for others */
	return strncasecmp(arg, "x-", 2) != 0;
}

static int check_all(const struct mfs_options *options)
{
	if (!options->mountpoint)
		return refuse("read arguments: no %s given, see mirrorfs --help",
			      options->source ? "mount point" : "source and mount point");
	if (options->region_shift && options->region_shift < options->block_shift)
		return refuse("read options: region_size must be at least block_size");
	return 0;
}

int mfs_options_parse(int argc, char **argv, struct mfs_options *ret)
{
	struct mfs_options options = {
		.save_interval = SAVE_INTERVAL_DEFAULT,
		.preserve_timeout = PRESERVE_TIMEOUT_DEFAULT,
		.args = FUSE_ARGS_INIT(argc, argv),
	};
	const char *libfuse;
	int r;

	mfs_log_capture_begin();
	r = fuse_opt_parse(&options.args, &options, specs, take_option);
	libfuse = mfs_log_capture_end();
	if (*libfuse)
		mfs_log(LOG_ERR, "%s", libfuse);
	if (r == 0 && !options.help && !options.version)
		r = check_all(&options);
	if (r < 0) {
		mfs_options_destroy(&options);
		return -EINVAL;
	}
	*ret = options;
	return 0;
}

void mfs_options_destroy(struct mfs_options *options)
{
	free(options->source);
	free(options->mountpoint);
	free(options->fsname);
	fuse_opt_free_args(&options->args);
}

int mfs_options_complete(struct mfs_options *options)
{
	bool allow_other = options->allow_other || geteuid() == 0;
	char *text = NULL, *fsname = NULL;
	int r;

	if (!options->fsname && set_string(&options->fsname, options->source) < 0)
		return -ENOMEM;
	if (asprintf(&fsname, "fsname=%s", options->fsname) < 0)
		return -ENOMEM;
	r = fuse_opt_add_opt_escaped(&text, fsname);
	free(fsname);
	if (r == 0)
		r = fuse_opt_add_opt(&text, "subtype=mirrorfs,default_permissions");
	if (r == 0 && allow_other && !options->no_allow_other)
		r = fuse_opt_add_opt(&text, "allow_other");
	if (r == 0)
		r = fuse_opt_add_arg(&options->args, "-o");
	if (r == 0)
		r = fuse_opt_add_arg(&options->args, text);
	free(text);
	return r == 0 ? 0 : -ENOMEM;
}

void mfs_options_help(void)
{
	printf("usage: mirrorfs SOURCE MOUNTPOINT [options]\n"
	       "\n"
	       "Mounts the directory of images SOURCE at MOUNTPOINT, which may be SOURCE itself,\n"
	       "and records what changes in them for mirrorctl sync.\n"
	       "Unmount with: fusermount3 -u MOUNTPOINT\n"
	       "\n"
	       "  -f                      stay in the foreground, log to stderr\n"
	       "  -d                      as -f, and show every request\n"
	       "  -h, --help              show this\n"
	       "  -V, --version           show the version\n"
	       "  -o block_size=SIZE      unit of tracking, 4K to 2M (64K for a new source)\n"
	       "  -o region_size=SIZE     unit of crash protection, 1M to 1G (16M)\n"
	       "  -o save_interval=SECONDS  how often bitmaps are saved (5)\n"
	       "  -o preserve_limit=SIZE  old blocks kept for snapshots, at most (by free space)\n"
	       "  -o preserve_timeout=SECONDS  a write waits for snapshots at most so long (5)\n"
	       "  -o notrack              record nothing, to measure what that costs\n"
	       "  -o ro                   read only\n"
	       "  -o allow_other          let all users in (the default for root)\n"
	       "  -o no_allow_other       let in only the user who mounts\n"
	       "  -o OPTION[,...]         options of mount(8) and mount.fuse3(8)\n");
}
