/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore_deltas.c - makes the tree of a checkpoint that deltas lead back to
 *
 *   1  each delta on the way is read through: nothing is made if one of them is damaged
 *   2  for each image of the tree that is wanted, it is found which of the deltas have something of
 * it, back to one that has all of it, or else to the replica's own file 3  names are made; of files
 * that the replica has, its content 4  the deltas are applied, the newest first; then the wanted
 * tree's metadata
 *
 * An image is known by its UUID, whatever its name was.  Its own file counts only if it is what
 * was published (restore_live.h): somebody else's change of it is no part of any checkpoint.
 */
#include "config.h"

#include "tools/copy.h"
#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/restore_deltas.h"
#include "tools/stop.h"
#include "tools/stream_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY SIZE_MAX

struct link {
	const struct checkpoint *checkpoint;
	int fd;
	struct stream_tree listed;
	size_t *by_image; /* indexes of its nodes, by UUID */
	size_t *wanted;	  /* for each of its nodes: whose it is in the wanted tree, or NOBODY */
};

struct chain {
	const struct replica *replica;
	struct restore_live *live;
	struct link *links; /* borrowed; the newest first; the last lists the wanted tree */
	size_t n;
	struct tree_make *make;
	struct bmf_error *err;
};

static int failed(const struct chain *chain, int code, const char *verb, const char *below)
{
	return fail_errno(chain->err, code, verb, chain->replica->path, below);
}

/* ---- 1 ---- */

static int find_links(struct chain *chain, const struct checkpoints *kept,
		      const struct checkpoint *target)
{
	const struct bmf_uuid *at = &chain->replica->manifest.checkpoint_uuid;

	while (chain->n < kept->n && !bmf_uuid_equal(at, &target->uuid)) {
		const struct checkpoint *delta = checkpoints_delta_from(kept, at);

		if (!delta)
			break;
		chain->links[chain->n++] = (struct link){ .checkpoint = delta, .fd = -1 };
		at = &delta->uuid;
	}
	if (bmf_uuid_equal(at, &target->uuid))
		return 0;
	return fail_text(
		chain->err, -ENOENT, "restore", chain->replica->path, NULL,
		"there is no delta that leads back from checkpoint %llu; mirrorctl status tells "
		"what is kept",
		(unsigned long long)(chain->n ? chain->links[chain->n - 1].checkpoint->number
					      : chain->replica->manifest.checkpoint));
}

static int open_reader(const struct chain *chain, const struct link *link, bool verify,
		       struct stream_reader **ret)
{
	const struct stream_expect expect = { .name = "a kept delta",
					      .replica = &chain->replica->manifest.replica };
	int r = 0;

	if (verify)
		r = stream_verify(link->fd, &expect, NULL, NULL, chain->err);
	if (r == 0 && lseek(link->fd, 0, SEEK_SET) < 0)
		r = failed(chain, -errno, "read a delta of", NULL);
	return r < 0 ? r : stream_reader_open(link->fd, &expect, ret, chain->err);
}

static int compare_images(const void *a, const void *b, void *arg)
{
	const struct stream_tree_node *nodes = arg;

	return memcmp(&nodes[*(const size_t *)a].image, &nodes[*(const size_t *)b].image,
		      sizeof(struct bmf_uuid));
}

static int sort_images(struct link *link)
{
	link->by_image = calloc(link->listed.n + 1, sizeof(size_t));
	link->wanted = calloc(link->listed.n + 1, sizeof(size_t));
	if (!link->by_image || !link->wanted)
		return -ENOMEM;
	for (size_t i = 0; i < link->listed.n; i++) {
		link->by_image[i] = i;
		link->wanted[i] = NOBODY;
	}
	if (link->listed.n > 0)
		qsort_r(link->by_image, link->listed.n, sizeof(size_t), compare_images,
			link->listed.nodes);
	return 0;
}

static int read_link(struct chain *chain, struct link *link, int dir_fd)
{
	struct stream_reader *reader;
	char name[CHECKPOINTS_NAME];
	int r;

	link->fd = openat(dir_fd, checkpoints_name(link->checkpoint, name),
			  O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (link->fd < 0)
		return failed(chain, -errno, "open a delta of", NULL);
	r = open_reader(chain, link, true, &reader);
	if (r < 0)
		return r;
	r = stream_tree_read(reader, chain->replica->path, &link->listed, chain->err);
	stream_reader_close(reader);
	if (r == 0 && sort_images(link) < 0)
		r = failed(chain, -ENOMEM, "restore", NULL);
	return r;
}

static int read_links(struct chain *chain)
{
	int r = 0, dir_fd = checkpoints_open(chain->replica, chain->err);

	if (dir_fd < 0)
		return dir_fd;
	for (size_t i = 0; r == 0 && i < chain->n; i++)
		r = stop_signal() ? -ECANCELED : read_link(chain, &chain->links[i], dir_fd);
	close(dir_fd);
	return r;
}

/* ---- 2 and 3 ---- */

static size_t find_image(const struct link *link, const struct bmf_uuid *image)
{
	size_t low = 0, high = link->listed.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct bmf_uuid *there = &link->listed.nodes[link->by_image[middle]].image;

		if (memcmp(there, image, sizeof(*image)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == link->listed.n ||
	    !bmf_uuid_equal(&link->listed.nodes[link->by_image[low]].image, image))
		return NOBODY;
	return link->by_image[low];
}

static int copy_live(struct chain *chain, size_t index, const struct bmf_uuid *image)
{
	const struct manifest_image *entry = manifest_find(&chain->replica->manifest, image);
	int r, fd;

	if (!entry)
		return fail_text(chain->err, -EBADMSG, "restore", chain->replica->path, NULL,
				 "a kept delta needs an image that the replica doesn't have; "
				 "restore a later checkpoint");
	fd = restore_live_open(chain->live, entry);
	if (fd < 0)
		return fd;
	r = tree_make_copy(chain->make, index, fd);
	close(fd);
	return r;
}

/* Goes from the wanted tree to newer ones, as far as content depends on them. */
static int trace_image(struct chain *chain, size_t index)
{
	const struct stream_tree_node *node = &chain->links[chain->n - 1].listed.nodes[index];
	const struct bmf_uuid image = node->image;
	size_t at = index;

	for (size_t i = chain->n; i > 0; i--) {
		struct link *link = &chain->links[i - 1];

		if (i < chain->n)
			at = find_image(link, &image);
		if (at == NOBODY)
			return fail_text(
				chain->err, -EBADMSG, "restore", chain->replica->path, NULL,
				"the delta to checkpoint %llu lacks an image that the next "
				"one needs; restore a later checkpoint",
				(unsigned long long)link->checkpoint->number);
		link->wanted[at] = index;
		if (link->listed.nodes[at].content == STREAM_WHOLE)
			return 0;
	}
	return copy_live(chain, index, &image);
}

static int make_files(struct chain *chain)
{
	const struct stream_tree *want = &chain->links[chain->n - 1].listed;
	int r = 0;

	for (size_t i = 0; r == 0 && i < want->n; i++) {
		if (want->nodes[i].content == STREAM_NONE || chain->make->plan->nodes[i].vanished)
			continue;
		r = stop_signal() ? -ECANCELED : trace_image(chain, i);
	}
	return r;
}

/* ---- 4 ---- */

/* copy->dest.fd is -1 when nobody wants it. */
static int begin_file(struct chain *chain, const struct link *link, struct copy *copy,
		      const struct stream_record *record)
{
	size_t index = link->wanted[record->content.node];
	int fd;

	if (index == NOBODY)
		return 0;
	fd = tree_make_file(chain->make, index);
	if (fd < 0)
		return fd;
	direct_open(&copy->dest, fd, O_RDWR);
	copy->verb = "set size of a file in";
	return ftruncate(fd, (off_t)record->content.size) < 0 ? -errno : 0;
}

static int end_file(struct copy *copy)
{
	int fd = copy->dest.fd, r = copy_drain(copy);

	direct_close(&copy->dest);
	if (r == 0)
		copy->verb = "close a file in";
	return fd >= 0 && close(fd) < 0 && r == 0 ? -errno : r;
}

static int apply_record(struct chain *chain, const struct link *link, struct copy *copy,
			const struct stream_record *record)
{
	switch (record->type) {
	case STREAM_CONTENT:
		return begin_file(chain, link, copy, record);
	case STREAM_DATA:
		progress_add(record->data.nbytes);
		/* fall through */
	case STREAM_ZERO:
		return copy->dest.fd < 0 ? 0 : stream_tree_put_extent(copy, record);
	case STREAM_CONTENT_END:
		return end_file(copy);
	default:
		return 0;
	}
}

static int apply_link(struct chain *chain, const struct link *link)
{
	struct copy copy = { .ring = chain->make->ring,
			     .sink = &copy_to_file,
			     .dest = { .fd = -1, .direct_fd = -1 } };
	struct stream_record record = { 0 };
	struct stream_reader *reader;
	int r = open_reader(chain, link, false, &reader);

	if (r < 0)
		return r;
	while (r == 0 && record.type != STREAM_FOOTER) {
		if (stop_signal())
			r = -ECANCELED;
		else
			r = stream_next(reader, &record, chain->err);
		if (r < 0)
			break;
		r = apply_record(chain, link, &copy, &record);
		if (r < 0 && r != -ECANCELED && chain->err->code == 0)
			fail_errno(chain->err, r, copy.verb, chain->make->path, NULL);
	}
	end_file(&copy);
	stream_reader_close(reader);
	return r;
}

static int meta_of(void *arg, size_t index, struct meta *ret)
{
	const struct stream_tree *want = arg;
	const struct meta *meta = &want->nodes[index].meta;

	ret->st = meta->st;
	return xattrs_copy(&meta->xattrs, &ret->xattrs);
}

static void forget(struct chain *chain)
{
	for (size_t i = 0; i < chain->n; i++) {
		struct link *link = &chain->links[i];

		if (link->fd >= 0)
			close(link->fd);
		stream_tree_destroy(&link->listed);
		free(link->by_image);
		free(link->wanted);
	}
}

static int make_tree(struct chain *chain, const char *path, int fd)
{
	struct stream_tree *want = &chain->links[chain->n - 1].listed;
	int r = tree_make_begin(chain->make, want->tree, path, fd, chain->err);

	if (r == 0)
		r = make_files(chain);
	for (size_t i = 0; r == 0 && i < chain->n; i++)
		r = apply_link(chain, &chain->links[i]);
	return r < 0 ? r : tree_make_end(chain->make, meta_of, want);
}

int restore_deltas(struct restore_live *live, const struct checkpoints *kept,
		   const struct checkpoint *target, struct tree_make *make, const char *path,
		   int fd, uint64_t *ret_deltas, struct bmf_error *err)
{
	struct chain chain = { .replica = live->replica, .live = live, .make = make, .err = err };
	struct link *links = calloc(kept->n + 1, sizeof(*links));
	int r;

	if (!links)
		return failed(&chain, -ENOMEM, "restore", NULL);
	chain.links = links;
	r = find_links(&chain, kept, target);
	if (r == 0)
		r = read_links(&chain);
	if (r == 0)
		r = make_tree(&chain, path, fd);
	if (r == 0)
		*ret_deltas = chain.n;
	forget(&chain);
	free(links);
	return r;
}
