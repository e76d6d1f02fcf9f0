/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_anew.c - images that are written anew where the replica's filesystem can't clone them */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/holes.h"
#include "tools/sync_anew.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- does it pay? ---- */

/* Finds the data of [offset, end), as source_image_next_data() does. */
typedef int find_data(void *arg, uint64_t offset, uint64_t end, uint64_t *ret_first,
		      uint64_t *ret_end);

static int find_in_source(void *arg, uint64_t offset, uint64_t end, uint64_t *ret_first,
			  uint64_t *ret_end)
{
	return source_image_next_data(arg, offset, end, ret_first, ret_end);
}

static int find_in_replica(void *arg, uint64_t offset, uint64_t end, uint64_t *ret_first,
			   uint64_t *ret_end)
{
	return holes_next_data(*(const int *)arg, offset, end, ret_first, ret_end);
}

/* Adds the data in [offset, end) to *total, which is enough when it has reached that. */
static int add_data(find_data *find, void *arg, uint64_t offset, uint64_t end, uint64_t enough,
		    uint64_t *total)
{
	uint64_t first, last;
	int r = 0;

	while (*total < enough && (r = find(arg, offset, end, &first, &last)) > 0) {
		*total += last - first;
		offset = last;
	}
	return r < 0 ? r : 0;
}

/* The data in those blocks that the bits name, or in all others. */
static int count(const struct sync *s, const struct plan_node *node, bool set, find_data *find,
		 void *arg, uint64_t enough, uint64_t *ret)
{
	unsigned int shift = s->plan->block_shift;
	uint64_t size = (uint64_t)node->source->st.st_size, at = 0, first, n;
	int r = 0;

	*ret = 0;
	while (r == 0 && at < size && *ret < enough) {
		bool found = bmf_bits_next(node->bits, at >> shift, ((size - 1) >> shift) + 1,
					   &first, &n);
		uint64_t begin = found ? first << shift : size;
		uint64_t end = found && size - begin > n << shift ? begin + (n << shift) : size;

		r = set ? add_data(find, arg, begin, end, enough, ret)
			: add_data(find, arg, at, begin, enough, ret);
		at = end;
	}
	return r;
}

static int count_kept(const struct sync *s, const struct plan_node *node, uint64_t enough,
		      uint64_t *ret)
{
	int r, fd = beneath_open(s->replica.fd, node->dest->first->path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	r = count(s, node, false, find_in_replica, &fd, enough, ret);
	close(fd);
	return r;
}

static int count_changed(struct sync *s, const struct plan_node *node, uint64_t enough,
			 uint64_t *ret)
{
	int r = sync_open_image(s, node);

	if (r < 0)
		return r;
	r = count(s, node, true, find_in_source, &s->image, enough, ret);
	source_image_close(&s->image);
	return r;
}

bool sync_anew_pays(struct sync *s, const struct plan_node *node, uint64_t room, uint64_t *ret_kept)
{
	/* of what has changed there is no more than that: with so much kept, all is clear */
	uint64_t most = node->scan < room ? node->scan + 1 : room + 1;
	uint64_t changed, enough;

	if (node->scan == 0 || !node->bits || count_kept(s, node, most, ret_kept) < 0 ||
	    *ret_kept >= most)
		return false;
	enough = *ret_kept > 0 ? *ret_kept : 1;
	return count_changed(s, node, enough, &changed) == 0 && changed >= enough;
}

/* ---- then it is done ---- */

int sync_anew_fill(struct sync *s, const struct plan_node *node, int dir_fd)
{
	struct copy rest = { .ring = s->copy.ring, .sink = &copy_to_new, .old_fd = -1 };
	struct source_image old;
	int r = s->copy.old_fd < 0 ? s->copy.old_fd : source_image_open(s->copy.old_fd, 0, &old);

	if (r < 0)
		return fail_errno(s->err, r, "open", s->replica.path, node->dest->first->path);
	rest.source = &old;
	direct_open_cached(&rest.dest, s->copy.dest.fd);
	s->rest = &rest;
	r = sync_copy_image(s, node, dir_fd, node->size);
	s->rest = NULL;
	source_image_close(&old);
	return r;
}
