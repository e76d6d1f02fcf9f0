/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_names.c - what is in the directories of a store: sidecars and leftovers */
#include "config.h"

#include "bitmapfile/seal_mark.h"
#include "bitmapfile/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* One that can't be removed is harmless, or stops the next save of its document. */
static void remove_leftover(const struct bmf_io *io, int dirfd, const char *name)
{
	if (io->unlinkat(io, dirfd, name, 0) == -EISDIR)
		io->unlinkat(io, dirfd, name, AT_REMOVEDIR);
}

static int visit_bitmaps(const char *name, void *arg)
{
	const struct bmf_store *store = arg;
	const size_t suffix = strlen(BMF_TEMP_SUFFIX), n = strlen(name);

	if (n > suffix && strcmp(name + n - suffix, BMF_TEMP_SUFFIX) == 0)
		remove_leftover(store->io, store->bitmaps_fd, name);
	return 0;
}

void bmf_store_remove_leftovers(struct bmf_store *store)
{
	/* by name: a source that is a replica too has files of that one beside its state */
	remove_leftover(store->io, store->dir_fd, BMF_STATE_NAME BMF_TEMP_SUFFIX);
	remove_leftover(store->io, store->dir_fd, BMF_SESSIONS_NAME BMF_TEMP_SUFFIX);
	remove_leftover(store->io, store->dir_fd, BMF_SEAL_NAME BMF_TEMP_SUFFIX);
	store->io->each_name(store->io, store->bitmaps_fd, visit_bitmaps, store);
}

struct uuids {
	struct bmf_uuid *list;
	size_t n, capacity;
};

static int collect(const char *name, void *arg)
{
	struct uuids *uuids = arg;
	struct bmf_uuid uuid;
	char text[BMF_UUID_TEXT];

	/* only the form that a sidecar's name is looked up by */
	if (bmf_uuid_parse(name, &uuid) < 0 || bmf_uuid_is_none(&uuid) ||
	    strcmp(bmf_uuid_format(&uuid, text), name) != 0)
		return 0;
	if (uuids->n == uuids->capacity) {
		size_t capacity = uuids->capacity ? 2 * uuids->capacity : 64;
		struct bmf_uuid *list = reallocarray(uuids->list, capacity, sizeof(*list));

		if (!list)
			return -ENOMEM;
		uuids->list = list;
		uuids->capacity = capacity;
	}
	uuids->list[uuids->n++] = uuid;
	return 0;
}

int bmf_store_each_sidecar(struct bmf_store *store,
			   int (*visit)(const struct bmf_uuid *image, void *arg), void *arg)
{
	struct uuids uuids = { 0 };
	int r;

	/*
	 * All of them before the first visit: some filesystems never end a listing
	 * during which files are replaced.
	 */
	r = store->io->each_name(store->io, store->bitmaps_fd, collect, &uuids);
	for (size_t i = 0; r == 0 && i < uuids.n; i++)
		r = visit(&uuids.list[i], arg);
	free(uuids.list);
	return r;
}
