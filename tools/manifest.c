/* SPDX-License-Identifier: GPL-2.0-or-later */
/* manifest.c - a replica's manifest as bytes, and back */
#include "config.h"

#include "tools/full.h"
#include "tools/manifest.h"

#include "bitmapfile/doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "MFSREPLI"
#define VERSION 1
/* an image with an empty path; strings begin with their length in 4 bytes or less */
#define IMAGE_MIN (16 + 1 + 1 + 1 + 5 * 8)

void manifest_destroy(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->nimages; i++)
		free(manifest->images[i].path);
	free(manifest->images);
	free(manifest->by_path);
	manifest->images = NULL;
	manifest->by_path = NULL;
	manifest->nimages = manifest->room = 0;
}

static int make_room(struct manifest *manifest)
{
	size_t room = manifest->room ? manifest->room * 2 : 16;
	struct manifest_image *images;

	if (manifest->nimages < manifest->room)
		return 0;
	images = reallocarray(manifest->images, room, sizeof(*images));
	if (!images)
		return -ENOMEM;
	manifest->images = images;
	manifest->room = room;
	return 0;
}

int manifest_add(struct manifest *manifest, const struct bmf_uuid *image, const char *path,
		 unsigned int reason, bool busy, const struct bmf_stamp *stamp)
{
	struct manifest_image *added;
	char *copy;
	int r = make_room(manifest);

	if (r < 0)
		return r;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	added = &manifest->images[manifest->nimages++];
	added->image = *image;
	added->path = copy;
	added->reason = reason;
	added->busy = busy;
	added->stamp = *stamp;
	return 0;
}

static int compare_images(const void *a, const void *b)
{
	const struct manifest_image *x = a, *y = b;

	return memcmp(x->image.b, y->image.b, sizeof(x->image.b));
}

const struct manifest_image *manifest_find(const struct manifest *manifest,
					   const struct bmf_uuid *image)
{
	struct manifest_image key = { .image = *image };

	if (manifest->nimages == 0)
		return NULL;
	return bsearch(&key, manifest->images, manifest->nimages, sizeof(key), compare_images);
}

static int compare_paths(const void *a, const void *b)
{
	const struct manifest_image *x = *(struct manifest_image *const *)a;
	const struct manifest_image *y = *(struct manifest_image *const *)b;

	return strcmp(x->path, y->path);
}

static int compare_path_key(const void *key, const void *member)
{
	return strcmp(key, (*(struct manifest_image *const *)member)->path);
}

const struct manifest_image *manifest_find_path(const struct manifest *manifest, const char *path)
{
	struct manifest_image **found;

	if (manifest->nimages == 0)
		return NULL;
	found = bsearch(path, manifest->by_path, manifest->nimages, sizeof(*manifest->by_path),
			compare_path_key);
	return found ? *found : NULL;
}

bool manifest_is_seeded(const struct manifest *manifest)
{
	if (manifest->complete || manifest->checkpoint == 0)
		return false;
	for (size_t i = 0; i < manifest->nimages; i++)
		if (manifest->images[i].busy)
			return false;
	return true;
}

const char *manifest_why_incomplete(const struct manifest *manifest)
{
	if (manifest_is_adopted(manifest))
		return "it was adopted, and no sync has compared it yet";
	return manifest_is_seeded(manifest)
		       ? "it was said to be a copy, and no sync to it has been finished yet"
		       : "it is incomplete, as a sync in place was interrupted";
}

int manifest_sort(struct manifest *manifest)
{
	if (manifest->nimages == 0)
		return 0;
	free(manifest->by_path);
	manifest->by_path = calloc(manifest->nimages, sizeof(*manifest->by_path));
	if (!manifest->by_path)
		return -ENOMEM;
	qsort(manifest->images, manifest->nimages, sizeof(*manifest->images), compare_images);
	for (size_t i = 0; i < manifest->nimages; i++)
		manifest->by_path[i] = &manifest->images[i];
	qsort(manifest->by_path, manifest->nimages, sizeof(*manifest->by_path), compare_paths);
	return 0;
}

static void put_image(struct bmf_doc_writer *w, const struct manifest_image *image)
{
	bmf_doc_put_uuid(w, &image->image);
	bmf_doc_put_string(w, image->path);
	bmf_doc_put_u8(w, (uint8_t)image->reason);
	bmf_doc_put_u8(w, image->busy);
	bmf_doc_put_u64(w, image->stamp.inode);
	bmf_doc_put_u64(w, image->stamp.handle);
	bmf_doc_put_u64(w, image->stamp.size);
	bmf_doc_put_u64(w, (uint64_t)image->stamp.mtime_ns);
	bmf_doc_put_u64(w, (uint64_t)image->stamp.ctime_ns);
}

int manifest_encode(const struct manifest *manifest, void **ret_buf, size_t *ret_nbytes)
{
	struct bmf_doc_writer w;

	bmf_doc_begin(&w, MAGIC, VERSION, 0);
	bmf_doc_put_uuid(&w, &manifest->replica);
	bmf_doc_put_uuid(&w, &manifest->source);
	bmf_doc_put_u64(&w, manifest->checkpoint);
	bmf_doc_put_uuid(&w, &manifest->checkpoint_uuid);
	bmf_doc_put_u8(&w, manifest->complete);
	bmf_doc_put_u64(&w, (uint64_t)manifest->time_ns);
	bmf_doc_put_u32(&w, manifest->block_shift);
	bmf_doc_put_u64(&w, manifest->nimages);
	for (size_t i = 0; i < manifest->nimages; i++)
		put_image(&w, &manifest->images[i]);
	return bmf_doc_finish(&w, ret_buf, ret_nbytes);
}

static int get_image(struct bmf_doc_reader *r, struct manifest *manifest)
{
	struct bmf_uuid image = bmf_doc_get_uuid(r);
	char *path = bmf_doc_get_string(r);
	unsigned int reason = bmf_doc_get_u8(r);
	unsigned int busy = bmf_doc_get_u8(r);
	struct bmf_stamp stamp;
	int ret = -EBADMSG;

	stamp.inode = bmf_doc_get_u64(r);
	stamp.handle = bmf_doc_get_u64(r);
	stamp.size = bmf_doc_get_u64(r);
	stamp.mtime_ns = (int64_t)bmf_doc_get_u64(r);
	stamp.ctime_ns = (int64_t)bmf_doc_get_u64(r);
	if (path && !r->error && full_known(reason) && busy <= 1)
		ret = manifest_add(manifest, &image, path, reason, busy == 1, &stamp);
	free(path);
	return ret;
}

static int get_body(struct bmf_doc_reader *r, struct manifest *manifest)
{
	unsigned int complete;
	uint64_t n;
	int ret = 0;

	manifest->replica = bmf_doc_get_uuid(r);
	manifest->source = bmf_doc_get_uuid(r);
	manifest->checkpoint = bmf_doc_get_u64(r);
	manifest->checkpoint_uuid = bmf_doc_get_uuid(r);
	complete = bmf_doc_get_u8(r);
	manifest->complete = complete == 1;
	manifest->time_ns = (int64_t)bmf_doc_get_u64(r);
	manifest->block_shift = bmf_doc_get_u32(r);
	n = bmf_doc_get_u64(r);
	if (complete > 1 || n > bmf_doc_room(r, IMAGE_MIN))
		return -EBADMSG;
	for (uint64_t i = 0; ret == 0 && i < n; i++)
		ret = get_image(r, manifest);
	return ret < 0 ? ret : bmf_doc_end(r);
}

int manifest_decode(const void *buf, size_t nbytes, struct manifest *ret, struct bmf_error *err)
{
	struct manifest manifest = { 0 };
	struct bmf_doc_reader reader;
	int r;

	r = bmf_doc_open(&reader, buf, nbytes, "replica manifest", MAGIC, VERSION, 0, err);
	if (r < 0)
		return r;
	r = get_body(&reader, &manifest);
	if (r == 0)
		r = manifest_sort(&manifest);
	if (r < 0) {
		manifest_destroy(&manifest);
		return bmf_error_set(err, r, "read replica manifest: %s",
				     r == -EBADMSG ? "its content makes no sense"
						   : bmf_errno_text(r));
	}
	*ret = manifest;
	return 0;
}
