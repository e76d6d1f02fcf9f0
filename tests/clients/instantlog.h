/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instantlog.h - what many writers did to several images, in one order that all agree on
 *
 * A file that instantwriter's processes, and those who ask for snapshots, have mapped.  One clock
 * counts in it: each operation is stamped before it begins and after it was acknowledged, and
 * so is each request for a snapshot.  An image is NUNITS units (units.h), or fewer while it is
 * truncated.  Who changes a unit has the lock of its stripe, who changes a size that of the size,
 * so operations on the same unit come one after another, and lie in that order in the log.
 *
 * What a write puts there has as its sequence number the operation's place in the log, counted from 1.
 */
#ifndef TESTS_CLIENTS_INSTANTLOG_H
#define TESTS_CLIENTS_INSTANTLOG_H

#include "tests/clients/units.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NIMAGES 6u
#define NUNITS 1024u
#define NUNITS_LEAST 768u /* a size is never less */
#define STRIPE 4u	  /* units; less than a block, so that writers meet in one */
#define NSTRIPES (NUNITS / STRIPE)
#define NOPERATIONS (UINT64_C(1) << 22)
#define INSTANT_MAGIC UINT64_C(0x73746e6174736e69)

enum instant_kind {
	INSTANT_WRITE,	  /* units; makes the image longer, if it ends before them */
	INSTANT_ZERO,	  /* the same with zeros */
	INSTANT_PUNCH,	  /* zeros, but never longer */
	INSTANT_TRUNCATE, /* first is the size, and n what is left up to NUNITS: zeros */
};

struct instant_operation {
	_Atomic uint64_t begun, ended; /* by the clock; 0: not yet */
	uint32_t first, n;	       /* units */
	uint16_t image, kind;
};

struct instant_log {
	uint64_t magic;
	_Atomic uint64_t clock, noperations;
	_Atomic uint32_t stopping, pausing, nrunning; /* writers in an operation */
	pthread_mutex_t stripes[NIMAGES][NSTRIPES], sizes[NIMAGES];
	struct instant_operation operations[NOPERATIONS];
};

static inline uint64_t instant_stamp(struct instant_log *log)
{
	return atomic_fetch_add(&log->clock, 1) + 1;
}

/* The name of an image, which its units have in them too. */
struct instant_name {
	char text[16];
};

static inline struct instant_name instant_image_name(unsigned int image)
{
	struct instant_name name;

	snprintf(name.text, sizeof(name.text), "disk%u", image % NIMAGES);
	return name;
}

/* Maps the log, or ends the program. */
static inline struct instant_log *instant_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct instant_log *log = MAP_FAILED;

	if (fd >= 0)
		log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED) {
		fprintf(stderr, "open '%s': %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
	if (log->magic != INSTANT_MAGIC) {
		fprintf(stderr, "open '%s': not a log of instants\n", path);
		exit(1);
	}
	return log;
}

#endif
