/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mirrorctl.c - main, and the tables that the command line and its help are made from */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

const struct command_option command_options[] = {
	{ "json", OPTION_JSON, NULL, 0, "print one JSON document" },
	{ "prometheus", OPTION_PROMETHEUS, NULL, 0,
	  "print metrics for node_exporter's textfile collector" },
	{ "watch", OPTION_WATCH, NULL, 0, "again and again, until a signal" },
	{ "quiet", OPTION_QUIET, NULL, 0, "print nothing but errors" },
	{ "dry-run", OPTION_DRY_RUN, NULL, 0, "say what would be done, change nothing" },
	{ "in-place", OPTION_IN_PLACE, NULL, 0,
	  "write into the replica's files, without a journal" },
	{ "include", OPTION_INCLUDE, "GLOB", offsetof(struct options, include),
	  "only what matches it, or another --include" },
	{ "exclude", OPTION_EXCLUDE, "GLOB", offsetof(struct options, exclude),
	  "not what matches it, or what is in such a directory" },
	{ "keep", OPTION_KEEP, "N", offsetof(struct options, keep),
	  "keep the last N checkpoints of the replica, 0: none but itself" },
	{ "at", OPTION_AT, "CHECKPOINT", offsetof(struct options, at),
	  "which one, its number or UUID; else the replica's newest" },
	{ "since", OPTION_SINCE, "CHECKPOINT", offsetof(struct options, since),
	  "what has changed since that one: its name, number or UUID" },
	{ "svg", OPTION_SVG, "FILE", offsetof(struct options, svg), "draw it as an SVG picture" },
	{ "png", OPTION_PNG, "FILE", offsetof(struct options, png), "draw it as a PNG picture" },
	{ "threads", OPTION_THREADS, "N", offsetof(struct options, threads),
	  "read and write with N threads, 1 to 64 (16)" },
	{ "progress", OPTION_PROGRESS, "auto|json|none", offsetof(struct options, progress),
	  "a line on a terminal, events for programs, or nothing" },
	{ "bwlimit", OPTION_BWLIMIT, "RATE", offsetof(struct options, bwlimit),
	  "read and write at most so many bytes a second: 500K, 1.5M, 1G" },
	{ "io-priority", OPTION_IO_PRIORITY, "idle|best-effort|realtime",
	  offsetof(struct options, io_priority),
	  "as ionice; the last two perhaps with a level, :0 to :7" },
	{ "lock-timeout", OPTION_LOCK_TIMEOUT, "SECONDS", offsetof(struct options, lock_timeout),
	  "wait so long for another that works on the replica (0)" },
	{ "follow", OPTION_FOLLOW, NULL, 0, "sync again and again, until a signal ends it" },
	{ "interval", OPTION_INTERVAL, "TIME", offsetof(struct options, interval),
	  "with --follow (30s) or --watch (2s): from one to the next, such as 10s, 5m" },
	{ "timeout", OPTION_TIMEOUT, "TIME", offsetof(struct options, timeout),
	  "hold writes no longer than that, such as 10s, 1m (30s)" },
	{ "undo", OPTION_UNDO, NULL, 0, "let the source be written to again" },
	{ "config", OPTION_CONFIG, "FILE", offsetof(struct options, config),
	  "arguments, and options that aren't given, see mirrorfs.conf(5)" },
	{ "checkpoint", OPTION_CHECKPOINT, NULL, 0,
	  "give the snapshot's checkpoint the same name, so that it is kept" },
	{ "pre-hook", OPTION_PRE_HOOK, "CMD", offsetof(struct options, pre_hook),
	  "run before the checkpoint; if it fails, nothing is done" },
	{ "post-hook", OPTION_POST_HOOK, "CMD", offsetof(struct options, post_hook),
	  "run after the checkpoint, whatever happened" },
	{ "deep", OPTION_DEEP, NULL, 0, "compare every byte, whatever the replica's digests say" },
	{ "repair", OPTION_REPAIR, "SOURCE", offsetof(struct options, repair),
	  "fetch what is damaged from there, if it still has it" },
	{ NULL, 0, NULL, 0, NULL },
};

const struct command commands[] = {
	{ "sync", "SOURCE DEST", 2, 2,
	  OPTION_JSON | OPTION_QUIET | OPTION_DRY_RUN | OPTION_IN_PLACE | OPTION_KEEP |
		  OPTION_SINCE | OPTION_THREADS | OPTION_PROGRESS | OPTION_BWLIMIT |
		  OPTION_LOCK_TIMEOUT | OPTION_CONFIG | OPTION_PRE_HOOK | OPTION_POST_HOOK |
		  OPTION_FOLLOW | OPTION_INTERVAL | OPTION_IO_PRIORITY | OPTION_INCLUDE |
		  OPTION_EXCLUDE,
	  EXIT_USAGE, "bring a replica up to date",
	  "Makes a checkpoint of SOURCE and brings the replica in the directory DEST to it,\n"
	  "copying only what changed since the replica's last one.  SOURCE is the mount point\n"
	  "of a mirrorfs, or its source directory when nothing is mounted.  DEST is made if\n"
	  "it doesn't exist; else it has to be empty, or a replica of SOURCE, or adopted; or,\n"
	  "with --since, a copy of SOURCE by other means, as it was at that checkpoint.",
	  cmd_sync },
	{ "status", "DIRECTORY", 1, 1,
	  OPTION_JSON | OPTION_PROMETHEUS | OPTION_WATCH | OPTION_INTERVAL, EXIT_USAGE,
	  "show images, bitmaps, checkpoints and replicas",
	  "Shows what is known of a source (mounted or not), of a replica, or of a directory\n"
	  "that is both.",
	  cmd_status },
	{ "map", "SOURCE IMAGE", 2, 2, OPTION_JSON | OPTION_SINCE | OPTION_SVG | OPTION_PNG,
	  EXIT_USAGE, "show which parts of an image have changed, and how often",
	  "Draws which parts of IMAGE have changed since a checkpoint, which may also be called\n"
	  "by a replica that is at it; without --since, as far back as its bitmaps reach.\n"
	  "Colour is heat: in how many generations it changed.  IMAGE is a path in SOURCE, or one\n"
	  "that leads to it; FILE may be - for standard output.",
	  cmd_map },
	{ "replica", "ACTION SOURCE [REPLICA]", 2, 3, OPTION_JSON, EXIT_USAGE,
	  "show the replicas of a source, forget one",
	  "list SOURCE            shows each replica that SOURCE knows: the checkpoint that it is\n"
	  "                       at, when it was seen, what it lacks, and what is kept only for "
	  "it\n"
	  "forget SOURCE REPLICA  forgets one that was given up, so that nothing is kept for it;\n"
	  "                       if it comes back, it is compared by digest\n\n"
	  "REPLICA is its UUID, the first eight characters of it or more, or where it is.",
	  cmd_replica },
	{ "recover", "DEST", 1, 1,
	  OPTION_JSON | OPTION_QUIET | OPTION_PROGRESS | OPTION_BWLIMIT | OPTION_IO_PRIORITY |
		  OPTION_LOCK_TIMEOUT,
	  EXIT_USAGE, "finish the update of a replica that was interrupted",
	  "Finishes what a sync that was killed has committed in the replica DEST, and removes\n"
	  "what it hasn't.  The source isn't needed.  A sync does it too, before anything else.",
	  cmd_recover },
	{ "restore", "DEST OUT", 2, 2,
	  OPTION_JSON | OPTION_QUIET | OPTION_AT | OPTION_PROGRESS | OPTION_BWLIMIT |
		  OPTION_IO_PRIORITY | OPTION_LOCK_TIMEOUT,
	  EXIT_USAGE, "make a plain tree of a checkpoint that a replica has",
	  "Makes in the directory OUT, which must be empty or not exist, the tree of the replica\n"
	  "DEST as it was at a checkpoint that it has kept (see sync --keep), or as it is now.",
	  cmd_restore },
	{ "scrub", "DEST", 1, 1,
	  OPTION_JSON | OPTION_QUIET | OPTION_REPAIR | OPTION_THREADS | OPTION_PROGRESS |
		  OPTION_BWLIMIT | OPTION_IO_PRIORITY | OPTION_LOCK_TIMEOUT,
	  EXIT_VERIFY_ERROR, "prove a replica by its digests, without the source",
	  "Reads every block of every image of the replica DEST, and lists those that aren't\n"
	  "what a sync has written there.  With --repair those are mended which a source still\n"
	  "has: only what the replica's digests prove is written.",
	  cmd_scrub },
	{ "adopt", "DEST", 1, 1, OPTION_JSON | OPTION_QUIET | OPTION_PROGRESS | OPTION_LOCK_TIMEOUT,
	  EXIT_USAGE, "make a directory the replica of the source that syncs to it next",
	  "For a copy of a source that was made by hand, and for a replica whose source has lost\n"
	  "its state, or that can't be recovered.  The next sync compares each image with what\n"
	  "is in its place, by digest, writes what differs, and removes what its source hasn't.",
	  cmd_adopt },
	{ "snapshot", "ACTION SOURCE [NAME]", 2, 3,
	  OPTION_JSON | OPTION_CHECKPOINT | OPTION_PRE_HOOK | OPTION_POST_HOOK, EXIT_USAGE,
	  "keep a mounted source as it is now, to be read",
	  "create SOURCE [NAME]  keeps all of SOURCE as it is at this instant, read-only, and\n"
	  "                      prints where: MOUNT/.mirrorfs/snapshot/NAME\n"
	  "list SOURCE           shows the snapshots that there are\n"
	  "delete SOURCE NAME    lets go of one\n\n"
	  "SOURCE is the mount point of a mirrorfs.  Hooks and --checkpoint are for create.",
	  cmd_snapshot },
	{ "checkpoint", "ACTION SOURCE [NAME]", 2, 3,
	  OPTION_JSON | OPTION_QUIET | OPTION_PRE_HOOK | OPTION_POST_HOOK, EXIT_USAGE,
	  "keep what has changed since an instant of a source",
	  "create SOURCE NAME  makes a checkpoint with a name: what changes from now on is kept,\n"
	  "                    whatever replicas there are, until that name is deleted\n"
	  "list SOURCE         shows the checkpoints that SOURCE keeps, those without a name too:\n"
	  "                    what has changed since, and what is kept only for the name\n"
	  "delete SOURCE NAME  takes the name away, so that nothing is kept for it\n\n"
	  "Hooks and --quiet are for create.",
	  cmd_checkpoint },
	{ "switchover", "SOURCE [DEST]", 1, 2,
	  OPTION_JSON | OPTION_QUIET | OPTION_THREADS | OPTION_TIMEOUT | OPTION_UNDO, EXIT_USAGE,
	  "make the last sync, after which guests can go on from the replica",
	  "Brings the replica DEST up to date, then once more while all writes to SOURCE are\n"
	  "held, and leaves SOURCE read-only, also when it is mounted again: what was held, and\n"
	  "comes later, fails with EROFS.  If anything fails, guests go on as before.  With\n"
	  "--undo, and without DEST, SOURCE can be written to again.",
	  cmd_switchover },
	{ "verify", "SOURCE DEST", 2, 2,
	  OPTION_JSON | OPTION_QUIET | OPTION_DEEP | OPTION_INCLUDE | OPTION_EXCLUDE |
		  OPTION_THREADS | OPTION_PROGRESS | OPTION_BWLIMIT | OPTION_IO_PRIORITY,
	  EXIT_VERIFY_ERROR, "compare two trees",
	  "Compares content and metadata of all that is in SOURCE and DEST, and lists what\n"
	  "differs.  Of a replica's images the digests are compared where that is enough.",
	  cmd_verify },
	{ "help", "[VERB]", 0, 1, 0, EXIT_USAGE, "show help", "Shows help.", cmd_help },
	{ NULL, NULL, 0, 0, 0, 0, NULL, NULL, NULL },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static int print_version(void)
{
	int r;

	puts("mirrorctl " PACKAGE_VERSION);
	r = output_finish();
	if (r < 0)
		output_error("write to standard output: %s", fail_reason(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * A walk has a descriptor for each level of directories, and a sync holds images open from
 * the look at the tree to the copy, so that renames do no harm: as many as we may have.
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char *argv[])
{
	const struct command *command;
	char name[TEXT_NAME];

	signal(SIGPIPE, SIG_IGN); /* an error of writing, and told as such */
	progress_init();
	raise_descriptor_limit();
	if (argc < 2) {
		output_error("a verb is missing; see mirrorctl help");
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(command_find("help"), (char *[]){ NULL }, &(struct options){ 0 });
	command = command_find(argv[1]);
	if (!command) {
		output_error("no verb '%s'; see mirrorctl help",
			     text_quote(argv[1], name, sizeof(name)));
		return EXIT_USAGE;
	}
	return command_run(command, argv + 2);
}
