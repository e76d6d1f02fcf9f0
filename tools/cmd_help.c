/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_help.c - mirrorctl help: what the tables in mirrorctl.c say */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/output.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>

static void print_all(void)
{
	puts("usage: mirrorctl VERB [OPTION...] ARGUMENT...\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-10s %-23s  %s\n", c->name, c->args, c->summary);
	puts("\nmirrorctl help VERB tells more of a verb, mirrorctl-VERB(8) all of it.\n"
	     "mirrorctl --version prints the version.");
}

/* "keep N".  Returns its length. */
static int option_form(const struct command_option *option, char form[64])
{
	return snprintf(form, 64, "%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
}

/* What is said of a longer one comes after it all the same: completion reads it there. */
#define WIDTH_MAX 23

static void print_options(const struct command *command)
{
	char form[64];
	int width = 14;

	for (const struct command_option *o = command_options; o->name; o++)
		if ((command->options & o->bit) && option_form(o, form) > width)
			width = option_form(o, form);
	if (width > WIDTH_MAX)
		width = WIDTH_MAX;
	for (const struct command_option *o = command_options; o->name; o++)
		if (command->options & o->bit) {
			option_form(o, form);
			printf("  --%-*s %s\n", width, form, o->summary);
		}
}

static void print_one(const struct command *command)
{
	printf("usage: mirrorctl %s%s %s\n\n%s\n", command->name,
	       command->options ? " [OPTION...]" : "", command->args, command->description);
	if (command->options)
		puts("");
	print_options(command);
}

int cmd_help(const struct command *command, char *const args[], const struct options *options)
{
	const struct command *about = NULL;
	char name[TEXT_NAME];
	int r;

	(void)options;
	if (args[0]) {
		about = command_find(args[0]);
		if (!about) {
			output_error("help: no verb '%s'; mirrorctl help lists them",
				     text_quote(args[0], name, sizeof(name)));
			return command->usage_status;
		}
		print_one(about);
	} else {
		print_all();
	}
	r = output_finish();
	if (r < 0)
		output_error("write to standard output: %s", fail_reason(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
