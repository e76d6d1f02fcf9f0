/* SPDX-License-Identifier: GPL-2.0-or-later */
/* action.c - the actions of a verb: finds the one that is asked for, or says what is wrong */
#include "config.h"

#include "tools/action.h"
#include "tools/output.h"
#include "tools/text.h"

#include <stdio.h>
#include <string.h>

static const struct action *find_action(const struct action actions[], const char *name)
{
	for (; actions->name; actions++)
		if (strcmp(actions->name, name) == 0)
			return actions;
	return NULL;
}

static int usage_error(const struct command *command, const char *action, const char *what)
{
	char quoted[TEXT_NAME];

	output_error("%s %s: %s; see mirrorctl help %s", command->name,
		     text_quote(action, quoted, sizeof(quoted)), what, command->name);
	return command->usage_status;
}

int action_run(const struct command *command, const struct action actions[], const char *word,
	       char *const args[], const struct options *options)
{
	const struct action *action = find_action(actions, args[0]);
	int nargs = args[2] ? 2 : 1;
	char missing[64];

	if (!action)
		return usage_error(command, args[0], "no such action");
	if (nargs < action->nargs_min) {
		snprintf(missing, sizeof(missing), "%s is missing", word);
		return usage_error(command, action->name, missing);
	}
	if (nargs > action->nargs_max)
		return usage_error(command, action->name, "one argument too many");
	if (options->given & ~action->options)
		return usage_error(command, action->name, "it doesn't take that option");
	return action->run(args[1], args[2], options);
}
