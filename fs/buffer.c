/* SPDX-License-Identifier: GPL-2.0-or-later */
/* buffer.c - page-aligned memory of the calling thread */
#include "config.h"

#include "fs/buffer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Most requests are not larger than what libfuse lets the kernel ask for. */
#define NBYTES_MIN ((size_t)1 << 20)

struct buffer {
	void *mem;
	size_t nbytes;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void buffer_free(void *arg)
{
	struct buffer *buffer = arg;

	if (buffer->mem)
		munmap(buffer->mem, buffer->nbytes);
	free(buffer);
}

static void make_key(void)
{
	pthread_key_create(&key, buffer_free);
}

void *mfs_buffer(size_t nbytes)
{
	struct buffer *buffer;
	void *mem;

	pthread_once(&once, make_key);
	buffer = pthread_getspecific(key);
	if (!buffer) {
		buffer = calloc(1, sizeof(*buffer));
		if (!buffer || pthread_setspecific(key, buffer) != 0) {
			free(buffer);
			return NULL;
		}
	}
	if (buffer->nbytes >= nbytes)
		return buffer->mem;
	if (nbytes < NBYTES_MIN)
		nbytes = NBYTES_MIN;
	/* mmap, not malloc: only the pages that were used take memory */
	mem = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	if (buffer->mem)
		munmap(buffer->mem, buffer->nbytes);
	buffer->mem = mem;
	buffer->nbytes = nbytes;
	return mem;
}
