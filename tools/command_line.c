/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_line.c - the words after a verb, as options and arguments */
#include "config.h"

#include "tools/command.h"
#include "tools/copy.h"
#include "tools/output.h"
#include "tools/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int command_number(const struct command *command, const char *option, const char *text,
		   uint64_t min, uint64_t max, uint64_t *ret)
{
	char name[TEXT_NAME];
	uint64_t value;

	errno = 0;
	value = strtoull(text, NULL, 10);
	if (strspn(text, "0123456789") == strlen(text) && errno == 0 && value >= min &&
	    value <= max) {
		*ret = value;
		return 0;
	}
	text_quote(text, name, sizeof(name));
	if (max == UINT64_MAX)
		output_error("%s: --%s takes a number, not '%s'; see mirrorctl help %s",
			     command->name, option, name, command->name);
	else
		output_error("%s: --%s takes a number from %llu to %llu, not '%s'; see mirrorctl "
			     "help %s",
			     command->name, option, (unsigned long long)min,
			     (unsigned long long)max, name, command->name);
	return -EINVAL;
}

int command_threads(const struct command *command, const struct options *options, unsigned int *ret)
{
	uint64_t threads = 0;
	int r = 0;

	if (options->given & OPTION_THREADS)
		r = command_number(command, "threads", options->threads, 1, COPY_THREADS_MAX,
				   &threads);
	if (r == 0)
		*ret = (unsigned int)threads;
	return r;
}

static int usage_error(const struct command *command, const char *what, const char *which)
{
	char name[TEXT_NAME];

	output_error("%s: %s%s%s; see mirrorctl help %s", command->name, what, which ? " " : "",
		     text_quote(which ? which : "", name, sizeof(name)), command->name);
	return command->usage_status;
}

/* The option that word, "--name" or "--name=value", is; *ret_value: what is after the "=". */
static const struct command_option *find_option(const struct command *command, const char *word,
						const char **ret_value)
{
	const char *name = word + 2;
	size_t n = strcspn(name, "=");

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	for (const struct command_option *o = command_options; o->name; o++) {
		if (!(command->options & o->bit) || strlen(o->name) != n ||
		    strncmp(o->name, name, n) != 0)
			continue;
		*ret_value = name[n] ? name + n + 1 : NULL;
		return o;
	}
	return NULL;
}

/* Takes the option at *words, and moves on to its last word.  0, or the exit code of an error. */
static int take_option(const struct command *command, char **words[], struct options *options)
{
	const char *value = NULL, **place;
	const struct command_option *option = find_option(command, **words, &value);

	if (!option || (!option->value && value))
		return usage_error(command, "unknown option", **words);
	options->given |= option->bit;
	if (!option->value)
		return 0;
	if (!value)
		value = (*words)[1] ? *++*words : "";
	if (!*value)
		return usage_error(command, "a value is missing: option", option->name);
	place = (const char **)((char *)options + option->offset);
	*place = value;
	return 0;
}

/* Sorts words into options and arguments; "--" ends the options. */
int command_run(const struct command *command, char *words[])
{
	char *args[COMMAND_ARGS_MAX + 1] = { NULL };
	struct options options = { 0 };
	bool ended = false;
	int n = 0, r;

	for (; *words; words++) {
		if (!ended && strcmp(*words, "--") == 0) {
			ended = true;
			continue;
		}
		if (!ended && (*words)[0] == '-' && (*words)[1]) {
			if (strcmp(*words, "--help") == 0)
				return cmd_help(command_find("help"),
						(char *[]){ (char *)command->name, NULL },
						&options);
			r = take_option(command, &words, &options);
			if (r != 0)
				return r;
			continue;
		}
		if (n == command->max_args)
			return usage_error(command, "one argument too many:", *words);
		args[n++] = *words;
	}
	if (n < command->min_args)
		return usage_error(command, "arguments are missing:", command->args);
	for (int i = 0; i < n; i++)
		if (!*args[i])
			return usage_error(command, "an argument is empty", NULL);
	return command->run(command, args, &options);
}
