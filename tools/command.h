/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.h - what a verb of mirrorctl is
 *
 * The table of verbs and the table of options in mirrorctl.c are all that there is to
 * know about the command line: it is parsed by them, and help is made from them.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "tools/filter.h"

#include <stddef.h>
#include <stdint.h>

#define OPTION_JSON 1u
#define OPTION_QUIET 2u
#define OPTION_DRY_RUN 4u
#define OPTION_IN_PLACE 8u
#define OPTION_PRE_HOOK 16u
#define OPTION_POST_HOOK 32u
#define OPTION_REPAIR 64u
#define OPTION_DEEP 128u
#define OPTION_KEEP 256u
#define OPTION_AT 512u
#define OPTION_THREADS 1024u
#define OPTION_CONFIG 2048u
#define OPTION_WATCH (1u << 12)
#define OPTION_PROMETHEUS (1u << 13)
#define OPTION_SINCE (1u << 14)
#define OPTION_CHECKPOINT (1u << 15)
#define OPTION_SVG (1u << 16)
#define OPTION_PNG (1u << 17)
#define OPTION_PROGRESS (1u << 18)
#define OPTION_BWLIMIT (1u << 19)
#define OPTION_IO_PRIORITY (1u << 20)
#define OPTION_INCLUDE (1u << 21)
#define OPTION_EXCLUDE (1u << 22)
#define OPTION_LOCK_TIMEOUT (1u << 23)
#define OPTION_FOLLOW (1u << 24)
#define OPTION_INTERVAL (1u << 25)
#define OPTION_TIMEOUT (1u << 26)
#define OPTION_UNDO (1u << 27)

/* Exit codes; mirrorctl(8) lists them. */
#define EXIT_SAME 0
#define EXIT_DIFFERS 1
#define EXIT_USAGE 2
#define EXIT_VERIFY_ERROR 2
#define EXIT_FULL_COPY 3
#define EXIT_RESTORED_DAMAGE 3
#define EXIT_SNAPSHOT_BROKEN 4
#define EXIT_SIGNAL 128 /* plus the signal's number */

#define COMMAND_ARGS_MAX 3

/* These may be given several times: their place in struct options is a struct option_values. */
#define OPTIONS_REPEATED (OPTION_INCLUDE | OPTION_EXCLUDE)

struct option_values {
	const char **values; /* borrowed, in an array that is owned */
	size_t n;
};

/* What was given besides arguments; values live as long as the verb runs. */
struct options {
	unsigned int given; /* OPTION_ bits */
	const char *pre_hook, *post_hook, *repair, *keep, *at, *threads, *config, *since, *svg;
	const char *png, *progress, *lock_timeout, *interval, *bwlimit, *timeout, *io_priority;
	struct option_values include, exclude;
};

struct command {
	const char *name;
	const char *args; /* for people: "SOURCE DEST" */
	int min_args, max_args;
	unsigned int options;	 /* OPTION_ bits that it takes */
	int usage_status;	 /* exit code of a usage error */
	const char *summary;	 /* one line */
	const char *description; /* whole sentences */
	/* args ends with a NULL. */
	int (*run)(const struct command *command, char *const args[],
		   const struct options *options);
};

struct command_option {
	const char *name; /* without the dashes */
	unsigned int bit;
	const char *value; /* for people: "CMD"; NULL: it takes none */
	size_t offset;	   /* of the value, or values, in struct options: a const char * */
	const char *summary;
};

extern const struct command commands[];		      /* ends with a NULL name */
extern const struct command_option command_options[]; /* likewise */

const struct command *command_find(const char *name); /* or NULL */

/* Runs it with words, which end with a NULL: its exit code, or that of a usage error. */
int command_run(const struct command *command, char *words[]);

/* The value of an option, decimal.  0; or -EINVAL, and that is said. */
int command_number(const struct command *command, const char *option, const char *text,
		   uint64_t min, uint64_t max, uint64_t *ret);

/*
 * The same of a time: a number of seconds, or one with a unit, ms, s, m (or min), or h.  In
 * milliseconds.
 */
int command_duration(const struct command *command, const char *option, const char *text,
		     uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms);

/* That of --threads; 0 if it wasn't given.  Likewise. */
int command_threads(const struct command *command, const struct options *options,
		    unsigned int *ret);

/* What --include and --exclude say; *ret is to be destroyed.  Likewise. */
int command_filter(const struct command *command, const struct options *options,
		   struct filter *ret);

/*
 * command_process.c: what options say of the process itself, as long as the verb runs.  0; or
 * -EINVAL, and that is said.
 */
int command_begin(const struct command *command, const struct options *options);
/* status: the verb's exit code. */
void command_end(int status);

int cmd_sync(const struct command *command, char *const args[], const struct options *options);
int cmd_status(const struct command *command, char *const args[], const struct options *options);
int cmd_map(const struct command *command, char *const args[], const struct options *options);
int cmd_replica(const struct command *command, char *const args[], const struct options *options);
int cmd_recover(const struct command *command, char *const args[], const struct options *options);
int cmd_adopt(const struct command *command, char *const args[], const struct options *options);
int cmd_restore(const struct command *command, char *const args[], const struct options *options);
int cmd_scrub(const struct command *command, char *const args[], const struct options *options);
int cmd_snapshot(const struct command *command, char *const args[], const struct options *options);
int cmd_checkpoint(const struct command *command, char *const args[],
		   const struct options *options);
int cmd_switchover(const struct command *command, char *const args[],
		   const struct options *options);
int cmd_verify(const struct command *command, char *const args[], const struct options *options);
int cmd_help(const struct command *command, char *const args[], const struct options *options);

#endif
