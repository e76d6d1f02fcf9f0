/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io_priority.c - how this process stands with those that use the same disks */
#include "config.h"

#include "tools/io_priority.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ioprio_set(2); the header that has them is younger than some kernels. */
#define WHO_PROCESS 1
#define CLASS_NONE 0
#define CLASS_REALTIME 1
#define CLASS_BEST_EFFORT 2
#define CLASS_IDLE 3
#define CLASS_SHIFT 13

#define LEVEL_DEFAULT 4

static const struct {
	const char *name;
	int number;
	bool has_levels;
} classes[] = {
	{ "idle", CLASS_IDLE, false },
	{ "best-effort", CLASS_BEST_EFFORT, true },
	{ "realtime", CLASS_REALTIME, true },
};

static bool is_set;
static int before;

static int priority_of(int class, int level)
{
	return class << CLASS_SHIFT | level;
}

int io_priority_parse(const char *text, int *ret)
{
	size_t n = strcspn(text, ":");
	const char *level = text[n] ? text + n + 1 : NULL;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strlen(classes[i].name) != n || strncmp(classes[i].name, text, n) != 0)
			continue;
		if (!level) {
			*ret = priority_of(classes[i].number,
					   classes[i].has_levels ? LEVEL_DEFAULT : 0);
			return 0;
		}
		if (!classes[i].has_levels || *level < '0' || *level > '7' || level[1])
			return -EINVAL;
		*ret = priority_of(classes[i].number, *level - '0');
		return 0;
	}
	return -EINVAL;
}

int io_priority_set(int priority)
{
	int was = (int)syscall(SYS_ioprio_get, WHO_PROCESS, 0);

	if (was < 0 || syscall(SYS_ioprio_set, WHO_PROCESS, 0, priority) < 0)
		return -errno;
	is_set = true;
	/* up to Linux 5.19 one that was never set reads as level 4 of no class: not to be set */
	before = was >> CLASS_SHIFT == CLASS_NONE ? priority_of(CLASS_NONE, 0) : was;
	return 0;
}

void io_priority_reset(void)
{
	if (is_set)
		syscall(SYS_ioprio_set, WHO_PROCESS, 0, before);
}
