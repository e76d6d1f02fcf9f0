/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan.c - what a sync has to do: decided before anything in the replica is changed */
#include "config.h"

#include "tools/fail.h"
#include "tools/meta.h"
#include "tools/plan.h"
#include "tools/replica.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/identity.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct planner {
	const struct plan_input *in;
	struct plan *plan;
	struct bmf_error *err;
};

struct plan_node *plan_at(const struct plan *plan, const char *path)
{
	struct tree_entry *entry = tree_find(plan->source, path);
	struct plan_node *node = entry ? &plan->nodes[entry->node->index] : NULL;

	return node && !node->vanished ? node : NULL;
}

bool plan_keeps(const struct plan *plan, const struct tree_entry *dest)
{
	struct plan_node *node = plan_at(plan, dest->path);

	return node && node->dest == dest->node;
}

bool plan_ignores(const struct plan *plan, const struct tree_entry *dest)
{
	char top[NAME_MAX + 1];
	size_t n = strcspn(dest->path, "/");

	if (n >= sizeof(top))
		return false;
	memcpy(top, dest->path, n);
	top[n] = '\0';
	return replica_ignores(top) && !tree_find(plan->source, top);
}

static void claim(struct plan *plan, struct plan_node *node, struct tree_node *dest)
{
	node->dest = dest;
	plan->claims[dest->index] = node;
}

/* ---- what isn't an image is what its path says ---- */

void plan_by_path(struct plan *plan, struct plan_node *node)
{
	const struct tree_node *a = node->source, *b;
	struct tree_entry *entry = tree_find(plan->dest, a->first->path);

	if (!entry || plan->claims[entry->node->index])
		return;
	b = entry->node;
	if ((a->st.st_mode ^ b->st.st_mode) & S_IFMT)
		return;
	if (!S_ISDIR(b->st.st_mode) && b->st.st_nlink != b->nentries)
		return; /* somebody's outside of the replica too: not ours to change */
	if (S_ISLNK(a->st.st_mode) && strcmp(a->target, b->target) != 0)
		return;
	if ((S_ISCHR(a->st.st_mode) || S_ISBLK(a->st.st_mode)) && a->st.st_rdev != b->st.st_rdev)
		return;
	claim(plan, node, entry->node);
}

/* ---- images ---- */

struct tree_node *plan_find_file(const struct tree *dest, const struct manifest *manifest,
				 const struct manifest_image *entry, bool *ret_touched)
{
	struct tree_node *file;

	*ret_touched = false;
	if (entry->stamp.inode == 0)
		return NULL;
	file = tree_find_file(dest, &entry->stamp);
	if (!file)
		return NULL;
	if (file->st.st_nlink != file->nentries) {
		*ret_touched = true;
		return NULL;
	}
	*ret_touched = (manifest->complete || !entry->busy) &&
		       !bmf_stamp_equal(&entry->stamp, &file->stamp);
	return file;
}

/*
 * The digests on record are those of what is in the file, as long as nobody else changed it, and
 * no sync in place that was killed.
 */
static void claim_image(struct planner *p, struct plan_node *node, struct tree_node *file,
			const struct manifest_image *entry)
{
	claim(p->plan, node, file);
	/* not entry->stamp: a killed sync may have changed it since */
	node->stamp = file->stamp;
	if (entry && bmf_stamp_equal(&entry->stamp, &file->stamp) &&
	    (p->in->manifest->complete || !entry->busy)) {
		node->proved = true;
		node->had = entry->image;
	}
}

/* The blocks to be copied, or the reason why that isn't known. */
static int find_delta(struct planner *p, struct plan_node *node, const struct bmf_history *history)
{
	int r;

	node->reason = history->reason;
	if (!history->sidecar)
		return 0;
	r = bmf_chain_delta(history->sidecar, p->in->manifest->checkpoint, p->in->to, &node->bits);
	if (r == -ENOENT) {
		node->reason = history->sidecar->reason;
		if (node->reason == FULL_NONE)
			node->reason = BMF_REASON_DROPPED;
		return 0;
	}
	return r;
}

/* Did the replica have another image under one of the node's names? */
static bool takes_a_place(const struct manifest *manifest, const struct tree_node *node)
{
	for (const struct tree_entry *entry = node->first; entry; entry = entry->next)
		if (manifest_find_path(manifest, entry->path))
			return true;
	return false;
}

/* The replica doesn't have that image; but perhaps what it was before it got a new id. */
static unsigned int without_entry(const struct planner *p, const struct plan_node *node,
				  const struct bmf_history *history)
{
	/* no id after a checkpoint: it couldn't get one, or was made since */
	if (!node->has_id && !p->in->estimate) {
		if (history->reason != BMF_REASON_NEW)
			return history->reason;
		if (p->in->untrackable)
			return BMF_REASON_NO_ID;
	}
	if (!takes_a_place(p->in->manifest, node->source))
		return FULL_NEW;
	if (history->reason == BMF_REASON_COPIED ||
	    (history->sidecar && history->sidecar->reason == BMF_REASON_COPIED))
		return BMF_REASON_COPIED;
	return FULL_REPLACED;
}

/* The replica is at no checkpoint yet. */
static unsigned int without_checkpoint(const struct manifest *manifest,
				       const struct manifest_image *entry)
{
	if (entry && entry->reason != FULL_NONE)
		return entry->reason;
	return manifest_is_adopted(manifest) ? FULL_ADOPTED : FULL_FIRST;
}

/* Has an fsync of it failed, perhaps since a checkpoint that the replica knows? */
static bool is_suspect(const struct plan_node *node, const struct bmf_history *history)
{
	return node->reason == BMF_REASON_IO_ERROR || source_view_doubts(history);
}

/* Why the image has to be copied in full, or FULL_NONE and node->bits (I4). */
static int decide(struct planner *p, struct plan_node *node, const struct bmf_history *history)
{
	const struct manifest *manifest = p->in->manifest;
	const struct manifest_image *entry = NULL;
	bool touched = false;

	if (node->has_id)
		entry = manifest_find(manifest, &node->id);
	if (entry) {
		struct tree_node *file = plan_find_file(p->in->dest, manifest, entry, &touched);

		if (file && p->plan->claims[file->index]) {
			touched = false; /* another image's by now */
		} else if (file) {
			claim_image(p, node, file, entry);
		}
	}

	if (manifest->checkpoint == 0)
		node->reason = without_checkpoint(manifest, entry);
	else if (!entry)
		node->reason = without_entry(p, node, history);
	else if (!p->in->known)
		node->reason = FULL_LINEAGE;
	else if (entry->reason != FULL_NONE)
		node->reason = entry->reason;
	else if (touched)
		node->reason = FULL_TOUCHED;
	else if (!node->dest)
		node->reason = FULL_GONE;
	else
		return find_delta(p, node, history);
	return 0;
}

/* How many bytes the bits stand for in an image of that size. */
static uint64_t dirty_bytes(const struct bmf_bits *bits, unsigned int shift, uint64_t size)
{
	uint64_t nblocks = (size + (UINT64_C(1) << shift) - 1) >> shift;
	uint64_t nbytes = bmf_bits_count(bits, 0, nblocks) << shift;

	if (nblocks > 0 && bmf_bits_test(bits, nblocks - 1))
		nbytes -= (nblocks << shift) - size;
	return nbytes;
}

/* In a dry run images may not have got their ids yet. */
static bool may_have_digests(const struct planner *p, const struct plan_node *node)
{
	return node->has_id || p->in->estimate;
}

/*
 * The replica may be shorter than at its checkpoint, if a killed sync has cut it
 * off: what it lacks is dirty whatever the bits say.
 */
static int measure(struct planner *p, struct plan_node *node, uint64_t size)
{
	unsigned int shift = p->plan->block_shift;
	uint64_t had;
	int r;

	if (node->reason != FULL_NONE) {
		node->work = true;
		node->scan = size;
		node->by_digest = may_have_digests(p, node) && node->dest;
		return 0;
	}
	had = (uint64_t)node->dest->st.st_size;
	if (size > had) {
		uint64_t first = had >> shift;

		r = bmf_bits_set(node->bits, first, ((size - 1) >> shift) - first + 1);
		if (r < 0)
			return r;
	}
	node->scan = dirty_bytes(node->bits, shift, size);
	node->work = node->scan > 0 || size != had;
	if (!node->work) {
		bmf_bits_free(node->bits);
		node->bits = NULL;
	}
	return 0;
}

/* What of an image is looked at only because mirrorfs crashed. */
static uint64_t crash_bytes(const struct planner *p, const struct bmf_history *history,
			    uint64_t scan)
{
	uint64_t nbytes = bmf_chain_crash_nbytes(history->sidecar, p->in->manifest->checkpoint);

	return nbytes < scan ? nbytes : scan; /* a block counts once for each crash */
}

static int plan_image(struct planner *p, struct plan_node *node, int fd)
{
	struct bmf_history history = { .reason = BMF_REASON_NEW };
	uint64_t size = (uint64_t)node->source->st.st_size;
	struct bmf_error why = { 0 };
	int r = 0;

	if (p->in->state)
		r = source_view_history(p->in->view, p->in->state, fd, node->source->st.st_ino,
					p->in->estimate, &history, &why);
	if (r < 0)
		return r;
	node->has_id = history.has_id && history.reason != BMF_REASON_COPIED &&
		       history.reason != BMF_REASON_NO_ID;
	node->id = history.id;
	r = decide(p, node, &history);
	node->suspect = is_suspect(node, &history);
	if (r == 0)
		r = measure(p, node, size);
	p->plan->images++;
	p->plan->bytes_total += size;
	p->plan->armed_bytes += history.armed_bytes;
	if (node->reason == FULL_NONE && node->work)
		p->plan->crash_bytes += crash_bytes(p, &history, node->scan);
	p->plan->images_changed += node->work;
	p->plan->scan_total += node->scan;
	bmf_history_destroy(&history);
	return r;
}

/* ---- all of it ---- */

/* In a snapshot all is as it was when its tree was read. */
static int read_source_meta(const struct planner *p, const struct plan_node *node, int fd,
			    struct meta *ret)
{
	const struct stat *st = &node->source->st;

	if (!S_ISREG(st->st_mode) || !source_view_has_no_xattrs(p->in->view, st->st_ino))
		return meta_read(fd, ret);
	ret->st = *st;
	return 0;
}

static int compare_meta(struct planner *p, struct plan_node *node, int source_fd)
{
	struct meta source = { 0 }, dest = { 0 };
	int r, dest_fd = tree_open(p->in->dest, node->dest);

	if (dest_fd < 0)
		return fail_errno(p->err, dest_fd, "open", p->in->dest->top,
				  node->dest->first->path);
	r = read_source_meta(p, node, source_fd, &source);
	if (r < 0)
		fail_errno(p->err, r, "read metadata of", p->in->source->top,
			   node->source->first->path);
	if (r == 0) {
		r = meta_read(dest_fd, &dest);
		if (r < 0)
			fail_errno(p->err, r, "read metadata of", p->in->dest->top,
				   node->dest->first->path);
	}
	if (r == 0)
		node->meta = meta_compare(&source, &dest) != 0;
	if (node->meta && !node->work)
		p->plan->any_meta = true;
	meta_destroy(&source);
	meta_destroy(&dest);
	close(dest_fd);
	return r;
}

static int plan_node(struct planner *p, struct plan_node *node)
{
	int fd = tree_open(p->in->source, node->source), r = 0;

	/* what is gone from a snapshot wasn't removed: it is the snapshot that is gone */
	if ((fd == -ENOENT || fd == -ESTALE || fd == -ENOTDIR) &&
	    !source_view_has_snapshot(p->in->view)) {
		/* a directory stays for now: what was in it may have been found before */
		if (S_ISDIR(node->source->st.st_mode))
			plan_by_path(p->plan, node);
		else
			node->vanished = true;
		return 0;
	}
	if (fd < 0)
		return fail_errno(p->err, fd, "open", p->in->source->top,
				  node->source->first->path);
	if (S_ISREG(node->source->st.st_mode)) {
		r = plan_image(p, node, fd);
		if (r < 0)
			fail_errno(p->err, r, "read bitmaps of", p->in->source->top,
				   node->source->first->path);
	} else {
		plan_by_path(p->plan, node);
	}
	if (r == 0 && node->dest)
		r = compare_meta(p, node, fd);
	close(fd);
	return r;
}

/* ---- images that the replica doesn't know ---- */

/*
 * What has the place of an image is most likely what it was before: the source was restored from
 * a backup, or the replica was, or somebody made it by hand.  Digests tell how much of it is.
 * After all others have found their files, as those may have moved.
 */
static int plan_by_place(struct planner *p, struct plan_node *node)
{
	struct tree_entry *entry = tree_find(p->in->dest, node->source->first->path);
	struct tree_node *file = entry ? entry->node : NULL;
	int r, fd;

	if (!file || !S_ISREG(file->st.st_mode) || file->st.st_nlink != file->nentries ||
	    p->plan->claims[file->index])
		return 0;
	fd = tree_open(p->in->source, node->source);
	if (fd < 0)
		return 0; /* it has left meanwhile, and whoever copies it will see that */
	claim_image(p, node, file, manifest_find_path(p->in->manifest, node->source->first->path));
	node->by_digest = true;
	if (node->reason == FULL_GONE)
		node->reason = FULL_TOUCHED;
	r = compare_meta(p, node, fd);
	close(fd);
	return r;
}

static int plan_by_places(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->in->source->nnodes; i++) {
		struct plan_node *node = &p->plan->nodes[i];

		if (node->work && may_have_digests(p, node) && !node->dest &&
		    node->reason != FULL_FIRST)
			r = plan_by_place(p, node);
		if (node->by_digest && !node->proved)
			p->plan->scan_total += (uint64_t)node->dest->st.st_size;
	}
	return r;
}

int plan_make(const struct plan_input *input, struct plan **ret, struct bmf_error *err)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct planner planner = { .in = input, .plan = plan, .err = err };
	int r = 0;

	if (!plan)
		return bmf_error_set(err, -ENOMEM, "plan: %s", fail_reason(-ENOMEM));
	plan->source = input->source;
	plan->dest = input->dest;
	plan->block_shift = input->state ? input->state->block_shift : BMF_BLOCK_SHIFT_DEFAULT;
	plan->nnodes = input->source->nnodes;
	plan->nodes = calloc(plan->nnodes + 1, sizeof(*plan->nodes));
	plan->claims = calloc(input->dest->nnodes + 1, sizeof(struct plan_node *));
	if (!plan->nodes || !plan->claims)
		r = bmf_error_set(err, -ENOMEM, "plan: %s", fail_reason(-ENOMEM));
	for (size_t i = 0; r == 0 && i < input->source->nnodes; i++) {
		plan->nodes[i].source = input->source->nodes[i];
		r = plan_node(&planner, &plan->nodes[i]);
	}
	if (r == 0)
		r = plan_by_places(&planner);
	if (r < 0) {
		plan_free(plan);
		return r;
	}
	*ret = plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; plan->nodes && i < plan->nnodes; i++) {
		bmf_bits_free(plan->nodes[i].bits);
		free(plan->nodes[i].aside);
	}
	free(plan->nodes);
	free(plan->claims);
	free(plan);
}
