/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoints.c - which older checkpoints of a replica there are */
#include "config.h"

#include "tools/beneath.h"
#include "tools/checkpoints.h"
#include "tools/checkpoints_internal.h"
#include "tools/fail.h"
#include "tools/plan.h"
#include "tools/stream.h"

#include "bitmapfile/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "MFSCHECK"
#define VERSION 1
#define DOCUMENT_LIMIT ((size_t)64 << 10) /* bytes: a larger one isn't ours */
#define DOCUMENT_NAME BMF_STATE_DIR "/" CHECKPOINTS_DOCUMENT

/* ---- the document of a tree ---- */

int checkpoints_encode(const struct bmf_uuid *replica, const struct checkpoint *checkpoint,
		       void **ret_buf, size_t *ret_nbytes)
{
	struct bmf_doc_writer w;

	bmf_doc_begin(&w, MAGIC, VERSION, 0);
	bmf_doc_put_uuid(&w, replica);
	bmf_doc_put_u64(&w, checkpoint->number);
	bmf_doc_put_uuid(&w, &checkpoint->uuid);
	bmf_doc_put_u64(&w, (uint64_t)checkpoint->time_ns);
	return bmf_doc_finish(&w, ret_buf, ret_nbytes);
}

static int decode(const void *buf, size_t nbytes, struct bmf_uuid *ret_replica,
		  struct checkpoint *ret, struct bmf_error *err)
{
	struct bmf_doc_reader reader;
	int r = bmf_doc_open(&reader, buf, nbytes, "checkpoint", MAGIC, VERSION, 0, err);

	if (r < 0)
		return r;
	*ret_replica = bmf_doc_get_uuid(&reader);
	ret->number = bmf_doc_get_u64(&reader);
	ret->uuid = bmf_doc_get_uuid(&reader);
	ret->time_ns = (int64_t)bmf_doc_get_u64(&reader);
	return bmf_doc_end(&reader);
}

/* ---- reading ---- */

struct reading {
	int fd; /* of the directory */
	const char *path;
	const struct bmf_uuid *replica;
	bool measure;
	struct checkpoints *list;
	struct bmf_error *err;
};

static int failed(const struct reading *reading, int code, const char *name)
{
	return fail_errno(reading->err, code, "read checkpoint", reading->path, name);
}

static int add_sizes(const struct reading *reading, int fd, struct checkpoint *checkpoint)
{
	struct tree *tree;
	int r = tree_read(reading->path, fd, 0, &tree, reading->err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < tree->nnodes; i++)
		if (S_ISREG(tree->nodes[i]->st.st_mode))
			checkpoint->nbytes += (uint64_t)tree->nodes[i]->st.st_size;
	tree_free(tree);
	return 0;
}

/* 1: it is one of ours; 0: it isn't. */
static int read_tree_at(const struct reading *reading, int fd, struct checkpoint *ret)
{
	struct bmf_uuid replica;
	size_t nbytes;
	void *buf;
	int r = bmf_io_read_file(&bmf_io_posix, fd, DOCUMENT_NAME, DOCUMENT_LIMIT, &buf, &nbytes);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = decode(buf, nbytes, &replica, ret, NULL);
	free(buf);
	if (r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	if (!bmf_uuid_equal(&replica, reading->replica))
		return 0;
	if (reading->measure)
		r = add_sizes(reading, fd, ret);
	return r < 0 ? r : 1;
}

static int read_delta_at(const struct reading *reading, int fd, struct checkpoint *ret)
{
	const struct stream_expect expect = { .name = "a kept delta", .replica = reading->replica };
	const struct stream_header *header;
	struct stream_reader *reader;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = stream_reader_open(fd, &expect, &reader, NULL);
	if (r < 0)
		return r == -EBADMSG || r == -ESTALE ? 0 : r;
	header = stream_reader_header(reader);
	*ret = (struct checkpoint){ .number = header->to,
				    .uuid = header->to_uuid,
				    .time_ns = header->to_time_ns,
				    .is_delta = true,
				    .from = header->from_uuid,
				    .nbytes = (uint64_t)st.st_blocks * 512 };
	stream_reader_close(reader);
	return 1;
}

static int append(struct checkpoints *list, const struct checkpoint *checkpoint)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		struct checkpoint *bigger = reallocarray(list->items, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->items = bigger;
		list->room = room;
	}
	list->items[list->n++] = *checkpoint;
	return 0;
}

static bool is_name_of(const struct checkpoint *checkpoint, const char *name)
{
	char buf[CHECKPOINTS_NAME];

	return strcmp(checkpoints_name(checkpoint, buf), name) == 0;
}

static int read_one(const char *name, void *arg)
{
	const struct reading *reading = arg;
	struct checkpoint checkpoint = { 0 };
	const char *end = name + strspn(name, "0123456789");
	bool is_delta = strcmp(end, CHECKPOINTS_DELTA) == 0;
	int r, fd;

	if (end == name || (*end && !is_delta))
		return 0;
	fd = openat(reading->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : failed(reading, -errno, name);
	r = is_delta ? read_delta_at(reading, fd, &checkpoint)
		     : read_tree_at(reading, fd, &checkpoint);
	close(fd);
	if (r > 0 && is_name_of(&checkpoint, name))
		r = append(reading->list, &checkpoint);
	return r < 0 ? failed(reading, r, name) : 0;
}

/*
 * By time and not by number: a source that was restored begins anew with numbers that it had, and
 * what came after that is newer.
 */
static int compare_age(const void *a, const void *b)
{
	const struct checkpoint *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns > y->time_ns ? -1 : 1;
	return x->number == y->number ? 0 : x->number > y->number ? -1 : 1;
}

int checkpoints_read(int fd, const char *path, const struct bmf_uuid *replica, bool measure,
		     struct checkpoints *ret, struct bmf_error *err)
{
	struct checkpoints list = { 0 };
	struct reading reading = {
		.path = path, .replica = replica, .measure = measure, .list = &list, .err = err
	};
	int r;

	reading.fd = beneath_open(fd, BMF_STATE_DIR "/" CHECKPOINTS_DIR, O_RDONLY | O_DIRECTORY, 0);
	if (reading.fd == -ENOENT) {
		*ret = list;
		return 0;
	}
	if (reading.fd < 0)
		return failed(&reading, reading.fd, BMF_STATE_DIR "/" CHECKPOINTS_DIR);
	r = bmf_io_posix.each_name(&bmf_io_posix, reading.fd, read_one, &reading);
	close(reading.fd);
	if (r < 0) {
		checkpoints_destroy(&list);
		return r;
	}
	if (list.n > 0)
		qsort(list.items, list.n, sizeof(*list.items), compare_age);
	*ret = list;
	return 0;
}

void checkpoints_destroy(struct checkpoints *list)
{
	free(list->items);
	*list = (struct checkpoints){ 0 };
}

/* ---- looking things up ---- */

bool checkpoints_is(const char *text, uint64_t number, const struct bmf_uuid *uuid)
{
	char digits[CHECKPOINTS_NAME];
	struct bmf_uuid parsed;

	if (bmf_uuid_parse(text, &parsed) == 0)
		return bmf_uuid_equal(&parsed, uuid);
	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	return strcmp(text, digits) == 0;
}

const struct checkpoint *checkpoints_find(const struct checkpoints *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (checkpoints_is(text, list->items[i].number, &list->items[i].uuid))
			return &list->items[i];
	return NULL;
}

const struct checkpoint *checkpoints_tree(const struct checkpoints *list,
					  const struct bmf_uuid *uuid)
{
	for (size_t i = 0; i < list->n; i++)
		if (!list->items[i].is_delta && bmf_uuid_equal(&list->items[i].uuid, uuid))
			return &list->items[i];
	return NULL;
}

const struct checkpoint *checkpoints_delta_from(const struct checkpoints *list,
						const struct bmf_uuid *uuid)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->items[i].is_delta && bmf_uuid_equal(&list->items[i].from, uuid))
			return &list->items[i];
	return NULL;
}

char *checkpoints_name(const struct checkpoint *checkpoint, char buf[CHECKPOINTS_NAME])
{
	snprintf(buf, CHECKPOINTS_NAME, "%" PRIu64 "%s", checkpoint->number,
		 checkpoint->is_delta ? CHECKPOINTS_DELTA : "");
	return buf;
}

const char *checkpoints_touched(const struct replica *replica, const struct tree *tree)
{
	const struct manifest *manifest = &replica->manifest;

	for (size_t i = 0; i < manifest->nimages; i++) {
		bool touched;

		if (!plan_find_file(tree, manifest, &manifest->images[i], &touched) || touched)
			return manifest->images[i].path;
	}
	return NULL;
}
