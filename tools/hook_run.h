/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook_run.h - one command of the user, and what it finds in its environment */
#ifndef TOOLS_HOOK_RUN_H
#define TOOLS_HOOK_RUN_H

#include <stdint.h>

struct hook_scene {
	const char *source;	 /* as given */
	uint64_t number;	 /* that the checkpoint will get */
	const char *images;	 /* one a line; NULL: too long */
	const char *images_file; /* with all of them */
	const char *result;	 /* "ok" or "failed"; NULL in the pre-hook */
};

/* Standard input is empty from here on, and standard output leads to standard error. */
void hook_redirect(void);

/* In a process made for it: becomes the command. */
_Noreturn void hook_exec(const struct hook_scene *scene, const char *command);

/* Waits for such a process, a child of this one; its status, as waitpid() has it. */
int hook_wait(int pid);

#endif
