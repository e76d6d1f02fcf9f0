/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cached.c - what of a file is in the page cache
 *
 * By mincore(2) of a mapping that is made for the purpose.  preadv2(RWF_NOWAIT) would begin to
 * read what isn't there; cachestat(2) is younger than many a kernel.  A mapping for each piece
 * that is copied costs more than reading it: its end is told to all processors.
 */
#include "config.h"

#include "tools/cached.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* What can't be asked about isn't there. */
static void look_at(struct cached *cached, int fd, uint64_t offset)
{
	void *map;

	cached->first = offset / CACHED_WINDOW * CACHED_WINDOW;
	cached->end = cached->first + CACHED_WINDOW;
	map = mmap(NULL, CACHED_WINDOW, PROT_READ, MAP_SHARED, fd, (off_t)cached->first);
	if (map == MAP_FAILED || mincore(map, CACHED_WINDOW, cached->pages) < 0)
		memset(cached->pages, 0, sizeof(cached->pages));
	if (map != MAP_FAILED)
		munmap(map, CACHED_WINDOW);
}

static bool has_in_window(const struct cached *cached, uint64_t offset, uint64_t end)
{
	size_t page = page_size();

	for (uint64_t i = (offset - cached->first) / page; i * page < end - cached->first; i++)
		if (!(cached->pages[i] & 1))
			return false;
	return true;
}

bool cached_has(struct cached *cached, int fd, uint64_t offset, uint64_t nbytes)
{
	uint64_t end = offset + nbytes;

	while (offset < end) {
		uint64_t stop;

		if (offset < cached->first || offset >= cached->end)
			look_at(cached, fd, offset);
		stop = end < cached->end ? end : cached->end;
		if (!has_in_window(cached, offset, stop))
			return false;
		offset = stop;
	}
	return true;
}
