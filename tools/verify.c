/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c - compares two trees: names, kinds, metadata, links and content */
#include "config.h"

#include "tools/beneath.h"
#include "tools/compare.h"
#include "tools/fail.h"
#include "tools/meta.h"
#include "tools/progress.h"
#include "tools/replica.h"
#include "tools/stop.h"
#include "tools/text.h"
#include "tools/tree.h"
#include "tools/verify.h"
#include "tools/verify_digests.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

struct verify {
	const struct verify_options *options;
	struct verify_result *result;
	struct bmf_error *err;
	struct source_view view;
	const char *dest_path;
	int dest_fd;
	struct tree *source, *dest;
	struct verify_digests digests;
	uint64_t ticked;
	struct copy_ring *ring;
};

static void __attribute__((format(printf, 4, 5)))
differs(struct verify *v, const char *path, const char *what, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	v->result->differences++;
	v->options->differs(v->options->arg, path, what, text);
}

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "regular file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character device";
	default:
		return "block device";
	}
}

/* ---- metadata ---- */

static void time_difference(struct verify *v, const char *path, const struct stat *a,
			    const struct stat *b)
{
	char x[TEXT_TIME], y[TEXT_TIME];

	text_time(a->st_mtim.tv_sec * INT64_C(1000000000), x);
	text_time(b->st_mtim.tv_sec * INT64_C(1000000000), y);
	x[strlen(x) - 1] = y[strlen(y) - 1] = '\0'; /* the fraction comes before the Z */
	differs(v, path, "mtime", "mtime %s.%09ldZ != %s.%09ldZ", x, a->st_mtim.tv_nsec, y,
		b->st_mtim.tv_nsec);
}

static void report_meta(struct verify *v, const char *path, const struct meta *a,
			const struct meta *b)
{
	unsigned int what = meta_compare(a, b);
	char quoted[128];

	if (what & META_MODE)
		differs(v, path, "mode", "mode %04o != %04o", a->st.st_mode & 07777,
			b->st.st_mode & 07777);
	if (what & META_OWNER)
		differs(v, path, "owner", "owner %u != %u", a->st.st_uid, b->st.st_uid);
	if (what & META_GROUP)
		differs(v, path, "group", "group %u != %u", a->st.st_gid, b->st.st_gid);
	if (what & META_MTIME)
		time_difference(v, path, &a->st, &b->st);
	if (what & META_XATTRS)
		differs(v, path, "xattr", "extended attribute '%s' differs",
			text_quote(xattrs_difference(&a->xattrs, &b->xattrs), quoted,
				   sizeof(quoted)));
}

/* ---- content ---- */

static void tick(void *arg, uint64_t nbytes)
{
	struct verify *v = arg;

	v->ticked += nbytes;
	progress_update(v->ticked, v->result->bytes_total);
}

static int open_content(int path_fd)
{
	int fd = beneath_reopen(path_fd, O_RDONLY | O_NOATIME);

	return fd == -EPERM ? beneath_reopen(path_fd, O_RDONLY) : fd;
}

static int fail_read(struct verify *v, const char *top, const char *path, int code, uint64_t offset)
{
	if (code == -ECANCELED)
		return code;
	return fail_text(v->err, code, "read", top, path, "%s at offset %llu", fail_reason(code),
			 (unsigned long long)offset);
}

/* What digests don't prove, of all blocks or of the doubtful ones, by both files. */
static int compare_bytes(struct verify *v, const char *path, const struct verify_image *image,
			 size_t block, bool proved)
{
	struct compare compare = { .a_fd = image->a_fd,
				   .b_fd = image->b_fd,
				   .ring = image->ring,
				   .block = block,
				   .only = proved ? image->doubtful : NULL,
				   .tick = proved ? NULL : tick,
				   .tick_arg = v };
	int r = compare_files(&compare, image->size);

	v->result->bytes_compared += compare.compared;
	if (r == -ENOMEM)
		return fail_errno(v->err, r, "compare", v->view.path, path);
	if (r < 0)
		return fail_read(v, compare.failed_at_b ? v->dest_path : v->view.path, path, r,
				 compare.failed_offset);
	if (compare.blocks > 0)
		differs(v, path, "content", "content differs at offset %llu (%llu block%s)",
			(unsigned long long)compare.first_offset,
			(unsigned long long)compare.blocks, compare.blocks == 1 ? "" : "s");
	return 0;
}

/* same_size: otherwise the last block that both have isn't what a digest is of. */
static int compare_opened(struct verify *v, const char *path, struct verify_image *image,
			  bool same_size)
{
	size_t block = VERIFY_BLOCK;
	uint64_t ticked = v->ticked;
	bool proved;
	int r = 0;

	image->doubtful = bmf_bits_new();
	if (!image->doubtful)
		return fail_errno(v->err, -ENOMEM, "compare", v->view.path, path);
	proved = same_size && verify_digests_begin(&v->digests, path, image->b_fd);
	if (proved) {
		block = (size_t)1 << v->digests.manifest.block_shift;
		r = verify_digests_prove(&v->digests, image);
		v->result->bytes_by_digest += image->known;
		proved = r == 0;
		if (r > 0)
			v->ticked = ticked; /* all of it once more */
	}
	if (r < 0)
		r = fail_read(v, v->view.path, path, r, image->failed_offset);
	else
		r = compare_bytes(v, path, image, block, proved);
	verify_digests_end(&v->digests);
	bmf_bits_free(image->doubtful);
	return r;
}

static int compare_content(struct verify *v, const char *path, int a_fd, int b_fd, uint64_t size,
			   bool same_size)
{
	struct verify_image image = { .size = size, .ring = v->ring, .tick = tick, .tick_arg = v };
	int r;

	progress_image(path);
	image.a_fd = open_content(a_fd);
	if (image.a_fd < 0)
		return fail_errno(v->err, image.a_fd, "open", v->view.path, path);
	image.b_fd = open_content(b_fd);
	if (image.b_fd < 0) {
		r = fail_errno(v->err, image.b_fd, "open", v->dest_path, path);
	} else {
		r = compare_opened(v, path, &image, same_size);
		close(image.b_fd);
	}
	close(image.a_fd);
	return r;
}

static int compare_image(struct verify *v, const char *path, int a_fd, int b_fd,
			 const struct meta *a, const struct meta *b)
{
	uint64_t size = (uint64_t)a->st.st_size, other = (uint64_t)b->st.st_size;

	if (size != other)
		differs(v, path, "size", "size %llu != %llu", (unsigned long long)size,
			(unsigned long long)other);
	return compare_content(v, path, a_fd, b_fd, size < other ? size : other, size == other);
}

/* ---- entries ---- */

/* Content of the same kind of thing, once for each node. */
static int compare_kind(struct verify *v, const struct tree_entry *a, const struct tree_entry *b,
			int fds[2], const struct meta metas[2])
{
	const struct stat *x = &metas[0].st, *y = &metas[1].st;

	if (S_ISREG(x->st_mode))
		return compare_image(v, a->path, fds[0], fds[1], &metas[0], &metas[1]);
	if (S_ISLNK(x->st_mode) && strcmp(a->node->target, b->node->target) != 0)
		differs(v, a->path, "target", "symlink targets differ");
	if ((S_ISCHR(x->st_mode) || S_ISBLK(x->st_mode)) && x->st_rdev != y->st_rdev)
		differs(v, a->path, "device", "device %u:%u != %u:%u", major(x->st_rdev),
			minor(x->st_rdev), major(y->st_rdev), minor(y->st_rdev));
	return 0;
}

static int read_both(struct verify *v, const char *path, int fds[2], struct meta metas[2])
{
	int r = meta_read(fds[0], &metas[0]);

	if (r < 0)
		return fail_errno(v->err, r, "read metadata of", v->view.path, path);
	r = meta_read(fds[1], &metas[1]);
	if (r < 0)
		return fail_errno(v->err, r, "read metadata of", v->dest_path, path);
	return 0;
}

static int compare_nodes(struct verify *v, const struct tree_entry *a, const struct tree_entry *b)
{
	struct meta metas[2] = { 0 };
	int fds[2], r = 0;

	fds[0] = tree_open(v->source, a->node);
	fds[1] = tree_open(v->dest, b->node);
	if (fds[0] < 0 || fds[1] < 0) {
		int gone = fds[0] < 0 ? fds[0] : fds[1];

		if (gone == -ENOENT || gone == -ESTALE || gone == -ENOTDIR)
			differs(v, a->path, "changing", "it changed while it was compared");
		else
			r = fail_errno(v->err, gone, "open",
				       fds[0] < 0 ? v->view.path : v->dest_path, a->path);
	} else {
		r = read_both(v, a->path, fds, metas);
		if (r == 0)
			report_meta(v, a->path, &metas[0], &metas[1]);
		if (r == 0)
			r = compare_kind(v, a, b, fds, metas);
	}
	for (int i = 0; i < 2; i++) {
		meta_destroy(&metas[i]);
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return r;
}

/* Both names exist.  Names of one node have to be names of one node on the other side too. */
static int compare_entries(struct verify *v, const struct tree_entry *a, const struct tree_entry *b)
{
	const char *first = a->node->first->path, *other = b->node->first->path;
	char quoted[200];

	if ((a->node->st.st_mode ^ b->node->st.st_mode) & S_IFMT) {
		differs(v, a->path, "type", "%s != %s", kind_of(a->node->st.st_mode),
			kind_of(b->node->st.st_mode));
		return 0;
	}
	if (strcmp(first, other) != 0) {
		bool linked = strcmp(first, a->path) != 0;

		differs(v, a->path, "links", "only in the %s a hard link of '%s'",
			linked ? "source" : "replica",
			text_quote(linked ? first : other, quoted, sizeof(quoted)));
		/* compared with what it should have been, it would only say so again */
	} else if (strcmp(a->path, first) != 0) {
		return 0; /* compared by its first name */
	}
	return compare_nodes(v, a, b);
}

/* What a fresh filesystem has is no difference, where the other side has no such name. */
static bool is_ignored(const struct tree *other, const char *path)
{
	char top[NAME_MAX + 1];
	size_t n = strcspn(path, "/");

	if (n >= sizeof(top))
		return false;
	memcpy(top, path, n);
	top[n] = '\0';
	return replica_ignores(top) && !tree_find(other, top);
}

static int compare_trees(struct verify *v)
{
	size_t i = 0, k = 0;
	int r = 0;

	progress_enter(PROGRESS_COMPARING);
	while (r == 0 && (i < v->source->nentries || k < v->dest->nentries)) {
		const struct tree_entry *a = &v->source->entries[i], *b = &v->dest->entries[k];
		int order = i == v->source->nentries ? 1
			    : k == v->dest->nentries ? -1
						     : tree_compare_paths(a->path, b->path);

		if (stop_signal())
			return -ECANCELED;
		i += order <= 0;
		k += order >= 0;
		v->result->entries++;
		if (order == 0)
			r = compare_entries(v, a, b);
		else if (order < 0)
			differs(v, a->path, "only-in-source", "only in source");
		else if (!is_ignored(v->source, b->path))
			differs(v, b->path, "only-in-replica", "only in replica");
	}
	return r;
}

static int read_trees(struct verify *v)
{
	int r = tree_new(v->view.path, v->view.fd, &v->source);

	if (r == 0)
		r = tree_new(v->dest_path, v->dest_fd, &v->dest);
	if (r == 0)
		r = tree_add(v->source, v->view.fd, "", 0, v->err);
	if (r == 0)
		r = tree_add(v->dest, v->dest_fd, "", 0, v->err);
	/* not of the replica: what isn't taken must not be there */
	if (r == 0 && v->options->filter)
		filter_tree(v->options->filter, v->source);
	if (r == 0)
		r = tree_finish(v->source);
	if (r == 0)
		r = tree_finish(v->dest);
	for (size_t i = 0; r == 0 && i < v->source->nnodes; i++) {
		const struct stat *st = &v->source->nodes[i]->st;

		if (S_ISREG(st->st_mode)) {
			v->result->images++;
			v->result->bytes_total += (uint64_t)st->st_size;
		}
	}
	return r;
}

static int run(struct verify *v, const char *source)
{
	int r = source_view_locate_tree(source, &v->view, v->err);

	if (r < 0)
		return r;
	v->dest_fd = open(v->dest_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dest_fd < 0)
		return fail_errno(v->err, -errno, "open replica", v->dest_path, NULL);
	r = verify_digests_open(v->dest_fd, v->dest_path, &v->digests, v->err);
	if (r == 0 && v->options->deep)
		verify_digests_close(&v->digests);
	if (r == 0)
		r = read_trees(v);
	return r < 0 ? r : compare_trees(v);
}

int verify_run(const char *source, const char *dest, const struct verify_options *options,
	       struct verify_result *ret, struct bmf_error *err)
{
	struct verify v = { .options = options,
			    .result = ret,
			    .err = err,
			    .view = { .fd = -1, .mount_fd = -1, .tree_fd = -1, .path = source },
			    .dest_path = dest,
			    .dest_fd = -1,
			    .digests = { .dir_fd = -1 } };
	struct timespec begin, end;
	int r;

	*ret = (struct verify_result){ 0 };
	*err = (struct bmf_error){ 0 };
	clock_gettime(CLOCK_MONOTONIC, &begin);
	r = copy_ring_new(options->threads, &v.ring);
	if (r == 0)
		r = run(&v, source);
	if (r < 0 && err->code == 0)
		bmf_error_set(err, r, "verify '%s': %s", dest, fail_reason(r));
	verify_digests_close(&v.digests);
	source_view_close(&v.view, NULL);
	if (v.dest_fd >= 0)
		close(v.dest_fd);
	tree_free(v.source);
	tree_free(v.dest);
	copy_ring_free(v.ring);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ret->seconds =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	return r;
}
