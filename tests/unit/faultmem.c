/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faultmem.c - memory that runs out on demand, by the linker's --wrap */
#include "config.h"

#include "tests/unit/faultmem.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

static atomic_ulong fail_nth, calls, failures;
static atomic_bool fail_after, paused;

void faultmem_arm(unsigned long nth, bool sticky)
{
	atomic_store(&fail_nth, 0);
	atomic_store(&calls, 0);
	atomic_store(&failures, 0);
	atomic_store(&fail_after, sticky);
	atomic_store(&fail_nth, nth);
}

void faultmem_pause(bool pause)
{
	atomic_store(&paused, pause);
}

bool faultmem_fired(void)
{
	return atomic_load(&failures) > 0;
}

static bool is_to_fail(void)
{
	unsigned long nth = atomic_load(&fail_nth), call;

	if (nth == 0 || atomic_load(&paused))
		return false;
	call = atomic_fetch_add(&calls, 1) + 1;
	if (call < nth || (call > nth && !atomic_load(&fail_after)))
		return false;
	atomic_fetch_add(&failures, 1);
	errno = ENOMEM;
	return true;
}

/* The linker makes every call of f one of __wrap_f, and __real_f is f itself. */
#define WRAP(name, parameters, arguments)       \
	void *__real_##name parameters;         \
	void *__wrap_##name parameters;         \
	void *__wrap_##name parameters          \
	{                                       \
		if (is_to_fail())               \
			return NULL;            \
		return __real_##name arguments; \
	}

WRAP(malloc, (size_t nbytes), (nbytes))
WRAP(calloc, (size_t n, size_t nbytes), (n, nbytes))
WRAP(realloc, (void *old, size_t nbytes), (old, nbytes))
WRAP(reallocarray, (void *old, size_t n, size_t nbytes), (old, n, nbytes))
WRAP(strdup, (const char *text), (text))
WRAP(fdopendir, (int fd), (fd))

/* The library check, which may be linked statically, must be able to say what failed. */
void *__wrap_emalloc(size_t nbytes);
void *__wrap_erealloc(void *old, size_t nbytes);

void *__wrap_emalloc(size_t nbytes)
{
	return __wrap_erealloc(NULL, nbytes);
}

void *__wrap_erealloc(void *old, size_t nbytes)
{
	void *buf = __real_realloc(old, nbytes);

	if (!buf)
		abort();
	return buf;
}
