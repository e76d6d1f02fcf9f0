/* SPDX-License-Identifier: GPL-2.0-or-later */
/* listing.c - which images a source had at a named checkpoint, on disk and back */
#include "config.h"

#include "tools/fail.h"
#include "tools/listing.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "MFSNAMED"
#define VERSION 1
/* a name with an empty path */
#define ITEM_MIN (16 + 4 + 8)
#define LIMIT ((size_t)1 << 30) /* bytes: a larger one isn't ours */

void listing_destroy(struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		free(listing->items[i].path);
	free(listing->items);
	*listing = (struct listing){ 0 };
}

int listing_add(struct listing *listing, const struct bmf_uuid *image, const char *path,
		uint64_t size)
{
	char *copy;

	if (listing->n == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 32;
		struct listing_item *items = reallocarray(listing->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		listing->items = items;
		listing->room = room;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	listing->items[listing->n++] =
		(struct listing_item){ .image = *image, .path = copy, .size = size };
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct listing_item *x = a, *y = b;

	return strcmp(x->path, y->path);
}

const struct listing_item *listing_find(const struct listing *listing, const char *path)
{
	const struct listing_item key = { .path = (char *)path };

	if (listing->n == 0)
		return NULL;
	return bsearch(&key, listing->items, listing->n, sizeof(key), compare);
}

/* ---- bytes ---- */

int listing_encode(const struct listing *listing, void **ret_buf, size_t *ret_nbytes)
{
	struct bmf_doc_writer w;

	bmf_doc_begin(&w, MAGIC, VERSION, 0);
	bmf_doc_put_uuid(&w, &listing->source);
	bmf_doc_put_uuid(&w, &listing->checkpoint);
	bmf_doc_put_u64(&w, listing->number);
	bmf_doc_put_u64(&w, listing->n);
	for (size_t i = 0; i < listing->n; i++) {
		bmf_doc_put_uuid(&w, &listing->items[i].image);
		bmf_doc_put_string(&w, listing->items[i].path);
		bmf_doc_put_u64(&w, listing->items[i].size);
	}
	return bmf_doc_finish(&w, ret_buf, ret_nbytes);
}

static int get_item(struct bmf_doc_reader *r, struct listing *listing)
{
	struct bmf_uuid image = bmf_doc_get_uuid(r);
	char *path = bmf_doc_get_string(r);
	uint64_t size = bmf_doc_get_u64(r);
	int ret = -EBADMSG;

	if (path && !r->error)
		ret = listing_add(listing, &image, path, size);
	free(path);
	return ret;
}

static int get_body(struct bmf_doc_reader *r, struct listing *listing)
{
	uint64_t n;
	int ret = 0;

	listing->source = bmf_doc_get_uuid(r);
	listing->checkpoint = bmf_doc_get_uuid(r);
	listing->number = bmf_doc_get_u64(r);
	n = bmf_doc_get_u64(r);
	if (n > bmf_doc_room(r, ITEM_MIN))
		return -EBADMSG;
	for (uint64_t i = 0; ret == 0 && i < n; i++)
		ret = get_item(r, listing);
	return ret < 0 ? ret : bmf_doc_end(r);
}

/* Two images can't have had the same name: whoever says so knows nothing. */
static int check_names(const struct listing *listing)
{
	for (size_t i = 1; i < listing->n; i++)
		if (compare(&listing->items[i - 1], &listing->items[i]) == 0)
			return -EBADMSG;
	return 0;
}

int listing_decode(const void *buf, size_t nbytes, struct listing *ret, struct bmf_error *err)
{
	struct listing listing = { 0 };
	struct bmf_doc_reader reader;
	int r = bmf_doc_open(&reader, buf, nbytes, "list of images", MAGIC, VERSION, 0, err);

	if (r < 0)
		return r;
	r = get_body(&reader, &listing);
	if (r == 0 && listing.n > 0)
		qsort(listing.items, listing.n, sizeof(*listing.items), compare);
	if (r == 0)
		r = check_names(&listing);
	if (r < 0) {
		listing_destroy(&listing);
		return bmf_error_set(err, r, "read list of images: %s",
				     r == -EBADMSG ? "its content makes no sense" : fail_reason(r));
	}
	*ret = listing;
	return 0;
}

/* ---- files ---- */

static int open_dir(int dir_fd)
{
	int fd = openat(dir_fd, LISTING_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Root may do this for a source that is another's, who has to be able to go on alone. */
static int give_to_owner(int fd, int dir_fd)
{
	struct stat st;

	if (fstat(dir_fd, &st) < 0)
		return -errno;
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	return fchown(fd, st.st_uid, st.st_gid) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* A descriptor of the directory, which is made if need be, and its name durable. */
static int make_dir(int dir_fd)
{
	int fd, r;

	/* also if it is there: who made it may have been killed before that was durable */
	if ((mkdirat(dir_fd, LISTING_DIR, 0700) < 0 && errno != EEXIST) || fsync(dir_fd) < 0)
		return -errno;
	fd = open_dir(dir_fd);
	r = fd < 0 ? fd : give_to_owner(fd, dir_fd);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int save(int dir_fd, const char *name, const void *buf, size_t nbytes)
{
	int file_fd, fd = make_dir(dir_fd), r;

	if (fd < 0)
		return fd;
	r = bmf_io_replace_file(&bmf_io_posix, fd, name, buf, nbytes, true, &file_fd);
	if (r == 0) {
		r = give_to_owner(file_fd, dir_fd);
		close(file_fd);
	}
	close(fd);
	return r;
}

int listing_save(int dir_fd, const struct listing *listing)
{
	char name[BMF_UUID_TEXT];
	size_t nbytes;
	void *buf;
	int r = listing_encode(listing, &buf, &nbytes);

	if (r < 0)
		return r;
	r = save(dir_fd, bmf_uuid_format(&listing->checkpoint, name), buf, nbytes);
	free(buf);
	return r;
}

static bool is_of(const struct listing *listing, const struct bmf_state *state,
		  const struct bmf_checkpoint *checkpoint)
{
	return bmf_uuid_equal(&listing->source, &state->source) &&
	       bmf_uuid_equal(&listing->checkpoint, &checkpoint->uuid) &&
	       listing->number == checkpoint->number;
}

int listing_load(int dir_fd, const struct bmf_state *state, const struct bmf_checkpoint *checkpoint,
		 struct listing *ret, struct bmf_error *err)
{
	char name[BMF_UUID_TEXT];
	struct bmf_error why = { 0 };
	struct listing listing;
	size_t nbytes;
	void *buf;
	int r, fd = open_dir(dir_fd);

	r = fd < 0 ? fd
		   : bmf_io_read_file(&bmf_io_posix, fd, bmf_uuid_format(&checkpoint->uuid, name),
				      LIMIT, &buf, &nbytes);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return bmf_error_set(err, r, "%s", fail_reason(r));
	r = listing_decode(buf, nbytes, &listing, &why);
	free(buf);
	if (r < 0)
		return bmf_error_set(err, r, "%s", why.text);
	if (!is_of(&listing, state, checkpoint)) {
		listing_destroy(&listing);
		return bmf_error_set(err, -EBADMSG, "it is another checkpoint's");
	}
	*ret = listing;
	return 0;
}

/* ---- what is there for nobody ---- */

struct names {
	struct bmf_uuid *list;
	size_t n, room;
};

/* Also of a temporary file. */
static int collect(const char *name, void *arg)
{
	struct names *names = arg;
	char text[BMF_UUID_TEXT];
	struct bmf_uuid uuid;

	snprintf(text, sizeof(text), "%s", name);
	if (bmf_uuid_parse(text, &uuid) < 0)
		return 0;
	if (names->n == names->room) {
		size_t room = names->room ? names->room * 2 : 16;
		struct bmf_uuid *list = reallocarray(names->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		names->list = list;
		names->room = room;
	}
	names->list[names->n++] = uuid;
	return 0;
}

static void remove_both(int fd, const struct bmf_uuid *uuid)
{
	char name[BMF_UUID_TEXT], temporary[BMF_UUID_TEXT + sizeof(BMF_TEMP_SUFFIX)];

	bmf_uuid_format(uuid, name);
	snprintf(temporary, sizeof(temporary), "%s" BMF_TEMP_SUFFIX, name);
	unlinkat(fd, name, 0);
	unlinkat(fd, temporary, 0);
}

static bool is_kept(const struct bmf_state *state, const struct bmf_uuid *uuid)
{
	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (bmf_uuid_equal(&state->checkpoints[i].uuid, uuid))
			return true;
	return false;
}

void listing_sweep(int dir_fd, int (*read_state)(void *arg, struct bmf_state **ret), void *arg)
{
	struct names names = { 0 };
	struct bmf_state *state = NULL;
	int fd = open_dir(dir_fd);

	if (fd < 0)
		return;
	if (bmf_io_posix.each_name(&bmf_io_posix, fd, collect, &names) == 0 && names.n > 0 &&
	    read_state(arg, &state) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (!is_kept(state, &names.list[i]))
				remove_both(fd, &names.list[i]);
	bmf_state_free(state);
	free(names.list);
	close(fd);
}

void listing_remove(int dir_fd, const struct bmf_uuid *checkpoint)
{
	int fd = open_dir(dir_fd);

	if (fd < 0)
		return;
	remove_both(fd, checkpoint);
	close(fd);
}
