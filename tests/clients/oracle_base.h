/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_base.h - the part of oracle.c that counts, chooses, and judges errors
 *
 * All that is static here belongs to one process of the client, but for the account.
 */
#ifndef TESTS_CLIENTS_ORACLE_BASE_H
#define TESTS_CLIENTS_ORACLE_BASE_H

#include "tests/clients/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#define EXIT_GONE 75
#define EXIT_BUS_ERROR 76      /* between processes: EXIT_GONE, if it is */
#define UNIT 4096u	       /* of O_DIRECT, and of collapsing and inserting */
#define LENGTH_MAX (96u << 10) /* of one change */
#define SMALL_MAX (2u << 20)   /* size of a file that comes and goes */
#define NIMAGES 4u
#define NFILES 5u

struct account {
	_Atomic uint64_t operations, refused, bytes, ranges;
};

static struct account *account; /* shared by all processes */
static uint64_t seed;
static uint32_t process, operation;
static const char *operation_name;
static int top = -1;
static unsigned char *buffer, *back; /* LENGTH_MAX, aligned */

/* ---- how it went ---- */

/*
 * EIO is what the kernel ends a request with that the daemon was just fetching or answering when it
 * was killed (fuse_dev_do_read() and fuse_dev_do_write() in Linux).
 */
static bool is_error_of_gone(int error)
{
	return error == ENOTCONN || error == ECONNABORTED || error == EIO;
}

/* Every statfs goes to the daemon: nothing else tells for sure whether there is one. */
static bool is_gone(void)
{
	struct statfs sfs;

	return fstatfs(top, &sfs) < 0 && is_error_of_gone(errno);
}

/* A page of a mapping that can't be had: so it is when the daemon has died. */
static void on_bus_error(int signal_number)
{
	(void)signal_number;
	_exit(EXIT_BUS_ERROR);
}

static void __attribute__((noreturn)) fatal(const char *what, int error)
{
	if (is_gone())
		exit(EXIT_GONE);
	fprintf(stderr, "oracle: seed %" PRIu64 ", process %u, operation %u (%s): %s: %s\n", seed,
		process, operation, operation_name, what, error ? strerror(error) : "wrong");
	exit(1);
}

/* Errors that come of what others did, or of what the filesystem does not have. */
static bool is_tolerable(int error)
{
	static const int errors[] = { ENOENT, EEXIST,	  ENOTDIR, EISDIR, ENOTEMPTY,
				      EBUSY,  ELOOP,	  EINVAL,  EMLINK, ESTALE,
				      ENXIO,  EOPNOTSUPP, ENODATA, EXDEV,  EWOULDBLOCK };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (error == errors[i])
			return true;
	return geteuid() != 0 && (error == EPERM || error == EACCES);
}

/* True if the call succeeded. */
static bool did(const char *what, int64_t result)
{
	if (result >= 0)
		return true;
	if (!is_tolerable(errno))
		fatal(what, errno);
	atomic_fetch_add(&account->refused, 1);
	return false;
}

/* The same, where one more error is as good. */
static bool did_or(const char *what, int result, int error)
{
	if (result >= 0 || errno != error)
		return did(what, result);
	atomic_fetch_add(&account->refused, 1);
	return false;
}

static void changes(uint64_t nbytes)
{
	atomic_fetch_add(&account->bytes, nbytes);
	atomic_fetch_add(&account->ranges, 1);
}

/* ---- names ---- */

static const char *const directories[] = { "a", "b", "a/c", "e" };
#define NDIRECTORIES (sizeof(directories) / sizeof(directories[0]))

static const char *any_directory(void)
{
	return directories[below(NDIRECTORIES)];
}

struct path {
	char text[64];
};

/* A name of the pool: of special files if kind is 'p', else of anything; few, to collide. */
static struct path any_path(char kind)
{
	struct path path;

	if (kind == 'f' && chance(3))
		snprintf(path.text, sizeof(path.text), "%s", any_directory());
	else if (chance(50))
		snprintf(path.text, sizeof(path.text), "%c%u", kind, (unsigned int)below(NFILES));
	else
		snprintf(path.text, sizeof(path.text), "%s/%c%u", any_directory(), kind,
			 (unsigned int)below(NFILES));
	return path;
}

static struct path any_image(void)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "image%u", (unsigned int)below(NIMAGES));
	return path;
}

/* Whatever may be there. */
static struct path anything(void)
{
	struct path path = any_path(chance(80) ? 'f' : 'p');

	if (chance(15))
		snprintf(path.text, sizeof(path.text), "%s", any_directory());
	return chance(25) ? any_image() : path;
}

#endif
