/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * action.h - the actions of a verb: mirrorctl VERB ACTION SOURCE [WORD]
 *
 * A verb that has actions keeps a table of them, and leaves to action_run() what all of these
 * verbs refuse.
 */
#ifndef TOOLS_ACTION_H
#define TOOLS_ACTION_H

#include "tools/command.h"

struct action {
	const char *name;
	int nargs_min, nargs_max; /* with SOURCE */
	unsigned int options;	  /* OPTION_ bits that it takes */
	/* word is NULL if it wasn't given.  Returns the exit code. */
	int (*run)(const char *source, const char *word, const struct options *options);
};

/*
 * Runs the action that args[0] names.  The table ends with a NULL name; word: what the one after
 * SOURCE is, "a name".  Returns the exit code; a wrong command line has been told about.
 */
int action_run(const struct command *command, const struct action actions[], const char *word,
	       char *const args[], const struct options *options);

#endif
