/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_line.c - the words after a verb, as options and arguments */
#include "config.h"

#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/copy.h"
#include "tools/fail.h"
#include "tools/output.h"
#include "tools/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* How many milliseconds that unit has; 0: it is none. */
static uint64_t unit_ms(const char *unit)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {
		{ "", 1000 },	    { "ms", 1 },	  { "s", 1000 },
		{ "m", 60 * 1000 }, { "min", 60 * 1000 }, { "h", 3600 * 1000 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0)
			return units[i].ms;
	return 0;
}

#define DURATION_TEXT 32

/* As one would write it: in the largest unit that it is a multiple of. */
static const char *duration_text(uint64_t ms, char buf[DURATION_TEXT])
{
	static const char *const units[] = { "h", "m", "s", "ms" };
	size_t i = 0;

	while (ms % unit_ms(units[i]) != 0)
		i++;
	snprintf(buf, DURATION_TEXT, "%llu%s", (unsigned long long)(ms / unit_ms(units[i])),
		 units[i]);
	return buf;
}

int command_duration(const struct command *command, const char *option, const char *text,
		     uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms)
{
	size_t ndigits = strspn(text, "0123456789");
	uint64_t value, unit = unit_ms(text + ndigits);
	char name[TEXT_NAME], min[DURATION_TEXT], max[DURATION_TEXT];

	errno = 0;
	value = strtoull(text, NULL, 10);
	if (ndigits > 0 && errno == 0 && unit > 0 && value <= max_ms / unit &&
	    value * unit >= min_ms) {
		*ret_ms = value * unit;
		return 0;
	}
	output_error("%s: --%s takes a time such as 30s or 5m, from %s to %s, not '%s'; see "
		     "mirrorctl help %s",
		     command->name, option, duration_text(min_ms, min), duration_text(max_ms, max),
		     text_quote(text, name, sizeof(name)), command->name);
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

static int add_patterns(const struct command *command, const char *option,
			const struct option_values *values, bool include, struct filter *filter)
{
	char name[TEXT_NAME];
	int r = 0;

	for (size_t i = 0; r == 0 && i < values->n; i++) {
		r = filter_add(filter, include, values->values[i]);
		if (r == -EINVAL)
			output_error("%s: --%s takes a pattern of names, not '%s'; see mirrorctl "
				     "help %s",
				     command->name, option,
				     text_quote(values->values[i], name, sizeof(name)),
				     command->name);
		else if (r < 0)
			output_error("%s: --%s: %s", command->name, option, fail_reason(r));
	}
	return r;
}

int command_filter(const struct command *command, const struct options *options, struct filter *ret)
{
	struct filter filter = { 0 };
	int r = add_patterns(command, "include", &options->include, true, &filter);

	if (r == 0)
		r = add_patterns(command, "exclude", &options->exclude, false, &filter);
	if (r < 0)
		filter_destroy(&filter);
	else
		*ret = filter;
	return r < 0 ? -EINVAL : 0;
}

static int usage_error(const struct command *command, const char *what, const char *which)
{
	char name[TEXT_NAME];

	output_error("%s: %s%s%s; see mirrorctl help %s", command->name, what, which ? " " : "",
		     text_quote(which ? which : "", name, sizeof(name)), command->name);
	return command->usage_status;
}

/* The option of that name, of n bytes, that the verb takes; or NULL. */
static const struct command_option *find_name(const struct command *command, const char *name,
					      size_t n)
{
	for (const struct command_option *o = command_options; o->name; o++)
		if ((command->options & o->bit) && strlen(o->name) == n &&
		    strncmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

/* The option that word, "--name" or "--name=value", is; *ret_value: what is after the "=". */
static const struct command_option *find_option(const struct command *command, const char *word,
						const char **ret_value)
{
	const char *name = word + 2;
	size_t n = strcspn(name, "=");

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	*ret_value = name[n] ? name + n + 1 : NULL;
	return find_name(command, name, n);
}

/* Where its value is. */
static void *option_place(struct options *options, const struct command_option *option)
{
	return (char *)options + option->offset;
}

static int add_value(struct option_values *values, const char *value)
{
	const char **more = reallocarray(values->values, values->n + 1, sizeof(*more));

	if (!more) {
		output_error("read the command line: %s", fail_reason(-ENOMEM));
		return EXIT_FAILURE;
	}
	more[values->n++] = value;
	values->values = more;
	return 0;
}

/* 0, or the exit code of an error. */
static int put_value(struct options *options, const struct command_option *option,
		     const char *value)
{
	void *place = option_place(options, option);

	options->given |= option->bit;
	if (option->bit & OPTIONS_REPEATED)
		return add_value(place, value);
	if (option->value)
		*(const char **)place = value;
	return 0;
}

/* Takes the option at *words, and moves on to its last word.  0, or the exit code of an error. */
static int take_option(const struct command *command, char **words[], struct options *options)
{
	const char *value = NULL;
	const struct command_option *option = find_option(command, **words, &value);

	if (!option || (!option->value && value))
		return usage_error(command, "unknown option", **words);
	if (option->value && !value)
		value = (*words)[1] ? *++*words : "";
	if (option->value && !*value)
		return usage_error(command, "a value is missing: option", option->name);
	return put_value(options, option, value);
}

/* ---- a file with the rest ---- */

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The argument that key, in lower case, is called in help; -1: none. */
static int find_argument(const struct command *command, const char *key)
{
	const char *at = command->args;
	size_t n;

	for (int i = 0; *at; i++, at += n + strspn(at + n, " ")) {
		n = strcspn(at, " ");
		if (strlen(key) == n && strncasecmp(at, key, n) == 0)
			return strpbrk(key, UPPER) ? -1 : i;
	}
	return -1;
}

static int fail_item(const struct command *command, const char *path,
		     const struct config_item *item, const char *why)
{
	char file[TEXT_NAME], key[TEXT_NAME];

	output_error("%s: '%s' line %u: '%s': %s; see mirrorfs.conf(5)", command->name,
		     text_quote(path, file, sizeof(file)), item->line,
		     text_quote(item->key, key, sizeof(key)), why);
	return command->usage_status;
}

/* Was that key there before? */
static bool is_again(const struct config_file *file, const struct config_item *item)
{
	for (const struct config_item *i = file->items; i < item; i++)
		if (strcmp(i->key, item->key) == 0)
			return true;
	return false;
}

/* 0, or the exit code of an error.  What was given on the command line, with those bits, stays. */
static int take_item(const struct command *command, const char *path,
		     const struct config_file *file, const struct config_item *item, char *args[],
		     unsigned int given, struct options *options)
{
	const struct command_option *option = find_name(command, item->key, strlen(item->key));
	int argument = find_argument(command, item->key);
	bool yes = strcmp(item->value, "yes") == 0;

	if (!(option && (option->bit & OPTIONS_REPEATED)) && is_again(file, item))
		return fail_item(command, path, item, "the key was there before");
	if (argument >= 0) {
		if (!args[argument])
			args[argument] = (char *)item->value;
		return 0;
	}
	if (!option || option->bit == OPTION_CONFIG)
		return fail_item(command, path, item, "there is no such option");
	if (!option->value && !yes && strcmp(item->value, "no") != 0)
		return fail_item(command, path, item, "it takes yes or no");
	if ((given & option->bit) || (!option->value && !yes))
		return 0;
	return put_value(options, option, item->value);
}

static int take_config(const struct command *command, const char *path,
		       const struct config_file *file, char *args[], struct options *options)
{
	unsigned int given = options->given;
	int r = 0;

	for (size_t i = 0; r == 0 && i < file->n; i++)
		r = take_item(command, path, file, &file->items[i], args, given, options);
	return r;
}

/* ---- all of it ---- */

/* Sorts words into options and arguments; "--" ends the options.  0, or an exit code. */
static int take_words(const struct command *command, char *words[], char *args[],
		      struct options *options, bool *ret_help)
{
	bool ended = false;
	int n = 0, r;

	for (; *words; words++) {
		if (!ended && strcmp(*words, "--") == 0) {
			ended = true;
			continue;
		}
		if (!ended && (*words)[0] == '-' && (*words)[1]) {
			*ret_help = strcmp(*words, "--help") == 0;
			r = *ret_help ? 0 : take_option(command, &words, options);
			if (r != 0 || *ret_help)
				return r;
			continue;
		}
		if (n == command->max_args)
			return usage_error(command, "one argument too many:", *words);
		args[n++] = *words;
	}
	return 0;
}

static int run(const struct command *command, char *args[], const struct options *options)
{
	int n = 0, status;

	while (n < command->max_args && args[n])
		n++;
	if (n < command->min_args)
		return usage_error(command, "arguments are missing:", command->args);
	for (int i = 0; i < n; i++)
		if (!*args[i])
			return usage_error(command, "an argument is empty", NULL);
	if (command_begin(command, options) < 0)
		return command->usage_status;
	status = command->run(command, args, options);
	command_end(status);
	return status;
}

static int run_with_config(const struct command *command, char *args[], struct options *options)
{
	struct config_file file = { 0 };
	struct bmf_error err = { 0 };
	int r;

	if (args[0] && !args[command->min_args - 1])
		return usage_error(command,
				   "all arguments, or none besides --config:", command->args);
	if (config_file_read(options->config, &file, &err) < 0) {
		output_error("%s: %s", command->name, err.text);
		return command->usage_status;
	}
	r = take_config(command, options->config, &file, args, options);
	if (r == 0)
		r = run(command, args, options);
	config_file_destroy(&file);
	return r;
}

int command_run(const struct command *command, char *words[])
{
	char *args[COMMAND_ARGS_MAX + 1] = { NULL };
	struct options options = { 0 };
	bool help = false;
	int r = take_words(command, words, args, &options, &help);

	if (r == 0 && help)
		r = cmd_help(command_find("help"), (char *[]){ (char *)command->name, NULL },
			     &options);
	else if (r == 0 && (options.given & OPTION_CONFIG))
		r = run_with_config(command, args, &options);
	else if (r == 0)
		r = run(command, args, &options);
	free(options.include.values);
	free(options.exclude.values);
	return r;
}
