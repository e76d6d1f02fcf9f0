/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scrub_repair.c - mends what a scrub has found in a replica, from its source */
#include "config.h"

#include "tools/beneath.h"
#include "tools/copy.h"
#include "tools/digests.h"
#include "tools/fail.h"
#include "tools/pace.h"
#include "tools/progress.h"
#include "tools/scrub_repair.h"
#include "tools/stop.h"
#include "tools/switched.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

struct mender {
	struct scrub_repair *repair;
	struct replica *replica;
	struct bmf_error *err;
	struct source_view view;
	struct tree *source, *dest;
	int digests_fd;
	uint64_t seed;
	size_t block_nbytes;
	void *block, *other; /* of the source, and of the replica or for a sink */
	struct digest zero;
	bool any_stamp; /* the manifest has new ones */

	/* The image at hand. */
	const struct manifest_image *image;
	struct digests *digests;
	int fd, source_fd;
	bool written, any_left;

	/* What was told last, to be joined with what follows it. */
	struct scrub_found part;
	enum scrub_left left;
};

static const struct {
	const char *word, *text;
} names[] = {
	[SCRUB_REPAIRED] = { "repaired", "repaired" },
	[SCRUB_LEFT_CHANGED] = { "changed", "left: the source has something else there; sync, then "
					    "scrub again" },
	[SCRUB_LEFT_SAME] = { "digest",
			      "left: the source has the same there, so its digest is damaged" },
	[SCRUB_LEFT_UNKNOWN] = { "unknown", "left: there is nothing to prove it by" },
	[SCRUB_LEFT_GONE] = { "gone", "left: there is no file to mend; sync, then scrub again" },
	[SCRUB_LEFT_NO_IMAGE] = { "no-image", "left: the source doesn't have that image; sync, "
					      "then scrub again" },
	[SCRUB_LEFT_LINKED] = { "linked", "left: it has hard links outside of the replica; sync, "
					  "then scrub again" },
	[SCRUB_LEFT_WRITTEN] = { "written",
				 "left: somebody has written to the image since its last "
				 "sync, perhaps a guest; if that isn't wanted, sync" },
	[SCRUB_LEFT_CHANGING] = { "changing", "left: somebody is changing it" },
	[SCRUB_LEFT_SOURCE] = { "source", "left: the source can't be read there" },
};

const char *scrub_left_word(enum scrub_left left)
{
	return names[left].word;
}

const char *scrub_left_text(enum scrub_left left)
{
	return names[left].text;
}

int scrub_repair_note(struct scrub_repair *repair, const struct scrub_found *found)
{
	if (repair->nfound == repair->room) {
		size_t room = repair->room ? repair->room * 2 : 64;
		struct scrub_found *bigger = reallocarray(repair->found, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		repair->found = bigger;
		repair->room = room;
	}
	repair->found[repair->nfound++] = *found;
	return 0;
}

void scrub_repair_destroy(struct scrub_repair *repair)
{
	free(repair->found);
	repair->found = NULL;
	repair->nfound = repair->room = 0;
}

static int failed(struct mender *m, int code, const char *verb)
{
	return fail_errno(m->err, code, verb, m->replica->path, m->image ? m->image->path : NULL);
}

/* ---- telling ---- */

static void flush_told(struct mender *m)
{
	if (m->part.nbytes == 0)
		return;
	if (m->left != SCRUB_REPAIRED)
		m->repair->nleft++;
	else if (m->part.what == SCRUB_DAMAGED || m->part.what == SCRUB_UNREADABLE)
		m->repair->bytes_repaired += m->part.nbytes;
	m->any_left |= m->left != SCRUB_REPAIRED;
	m->repair->done(m->repair->arg, &m->part, m->left);
	m->part.nbytes = 0;
}

static void tell(struct mender *m, const struct scrub_found *found, uint64_t offset,
		 uint64_t nbytes, enum scrub_left left)
{
	if (m->part.nbytes > 0 && m->left == left && m->part.what == found->what &&
	    m->part.offset + m->part.nbytes == offset) {
		m->part.nbytes += nbytes;
		return;
	}
	flush_told(m);
	m->part = *found;
	m->part.offset = offset;
	m->part.nbytes = nbytes;
	m->left = left;
	if (nbytes == 0) { /* an empty image, that is gone */
		m->repair->nleft++;
		m->any_left = true;
		m->repair->done(m->repair->arg, &m->part, left);
	}
}

/* ---- a block ---- */

/* All of a block, with zeros after the end.  0 or a negative errno. */
static int read_block(const struct mender *m, int fd, void *block, size_t nbytes, uint64_t offset)
{
	ssize_t n;

	pace_read(nbytes);
	n = bmf_io_posix.pread(&bmf_io_posix, fd, block, nbytes, (off_t)offset);

	if (n < 0)
		return (int)n;
	memset((char *)block + n, 0, m->block_nbytes - (size_t)n);
	return 0;
}

/* The replica's own: if that is what the source has, then it isn't the content that is wrong. */
static bool has_same(const struct mender *m, size_t nbytes, uint64_t offset)
{
	return read_block(m, m->fd, m->other, nbytes, offset) == 0 &&
	       memcmp(m->block, m->other, m->block_nbytes) == 0;
}

static int mend_block(struct mender *m, uint64_t offset, size_t nbytes, enum scrub_left *ret)
{
	struct copy copy = { .dest = { .fd = m->fd, .direct_fd = -1, .off = 1 } };
	struct digest wanted, is;
	int r = digests_read(m->digests, offset / m->block_nbytes, 1, &wanted);

	if (r < 0)
		return failed(m, r, "read digests of");
	if (!digest_is_known(&wanted)) {
		*ret = SCRUB_LEFT_UNKNOWN;
		return 0;
	}
	if (read_block(m, m->source_fd, m->block, nbytes, offset) < 0) {
		*ret = SCRUB_LEFT_SOURCE;
		return 0;
	}
	is = digest_of(m->block, m->block_nbytes, m->seed);
	if (!digest_equal(&wanted, &is)) {
		*ret = has_same(m, nbytes, offset) ? SCRUB_LEFT_SAME : SCRUB_LEFT_CHANGED;
		return 0;
	}
	m->written = true;
	pace_write(nbytes);
	if (digest_equal(&wanted, &m->zero))
		r = copy_to_file.zeros(&copy, offset, offset + nbytes);
	else
		r = copy_to_file.data(&copy, m->block, nbytes, offset);
	if (r < 0)
		return r == -ECANCELED ? r : failed(m, r, copy.verb);
	*ret = SCRUB_REPAIRED;
	return 0;
}

/* Of what a scrub has found only the ends of an image aren't whole blocks. */
static int mend_range(struct mender *m, const struct scrub_found *found)
{
	uint64_t offset = found->offset, end = offset + found->nbytes;
	enum scrub_left left = SCRUB_REPAIRED;
	int r;

	if (found->what == SCRUB_UNKNOWN || found->what == SCRUB_MISSING) {
		tell(m, found, offset, found->nbytes,
		     found->what == SCRUB_UNKNOWN ? SCRUB_LEFT_UNKNOWN : SCRUB_LEFT_GONE);
		return 0;
	}
	if (found->what == SCRUB_LONGER || found->what == SCRUB_SHORTER) {
		/* its blocks have been told already; the size is as it should be by now */
		tell(m, found, offset, found->nbytes, SCRUB_REPAIRED);
		return 0;
	}
	while (offset < end) {
		size_t n =
			end - offset < m->block_nbytes ? (size_t)(end - offset) : m->block_nbytes;

		if (stop_signal())
			return -ECANCELED;
		r = mend_block(m, offset, n, &left);
		if (r < 0)
			return r;
		tell(m, found, offset, n, left);
		progress_add(n);
		offset += n;
	}
	return 0;
}

/* ---- an image ---- */

static struct tree_node *node_at(const struct tree *tree, const char *path)
{
	struct tree_entry *entry = tree_find(tree, path);

	return entry && S_ISREG(entry->node->st.st_mode) ? entry->node : NULL;
}

static bool has_id(struct mender *m, const struct tree_node *node)
{
	int fd = tree_open(m->source, node);
	struct bmf_uuid id;
	bool has;

	if (fd < 0)
		return false;
	has = bmf_identity_read(&bmf_io_posix, fd, &id) == 0 &&
	      bmf_uuid_equal(&id, &m->image->image);
	close(fd);
	return has;
}

/* A snapshot hides ids, so a name is as good: what is taken from it is proved. */
static const struct tree_node *find_in_source(struct mender *m)
{
	struct tree_node *named = node_at(m->source, m->image->path);

	if (named && has_id(m, named))
		return named;
	for (size_t i = 0; i < m->source->nnodes; i++)
		if (S_ISREG(m->source->nodes[i]->st.st_mode) && has_id(m, m->source->nodes[i]))
			return m->source->nodes[i];
	return named;
}

/* SCRUB_REPAIRED: m->source_fd is open; otherwise why not. */
static enum scrub_left open_source(struct mender *m)
{
	const struct tree_node *node = find_in_source(m);
	int path_fd = node ? tree_open(m->source, node) : -ENOENT;

	if (path_fd < 0)
		return SCRUB_LEFT_NO_IMAGE;
	m->source_fd = beneath_reopen(path_fd, O_RDONLY);
	close(path_fd);
	return m->source_fd < 0 ? SCRUB_LEFT_SOURCE : SCRUB_REPAIRED;
}

/*
 * The replica's file, as it was scrubbed: all but what was found is proved, and stays so.  A disk
 * that loses bits leaves the times alone, and who writes moves them: that isn't damage.
 */
static int open_dest(struct mender *m, const struct scrub_found *found, enum scrub_left *ret)
{
	const struct tree_node *node = node_at(m->dest, m->image->path);
	struct bmf_stamp now;
	int r;

	*ret = SCRUB_LEFT_GONE;
	if (!node || found->what == SCRUB_MISSING)
		return 0;
	*ret = SCRUB_LEFT_LINKED;
	if (node->st.st_nlink != node->nentries)
		return 0;
	*ret = SCRUB_LEFT_WRITTEN;
	if (found->as_read.mtime_ns != m->image->stamp.mtime_ns)
		return 0;
	m->fd = beneath_open(m->replica->fd, m->image->path, O_RDWR, 0);
	if (m->fd < 0)
		return failed(m, m->fd, "open");
	r = bmf_stamp_take(&bmf_io_posix, m->fd, &now);
	if (r < 0)
		return failed(m, r, "stat");
	*ret = bmf_stamp_equal(&now, &found->as_read) ? SCRUB_REPAIRED : SCRUB_LEFT_CHANGING;
	return 0;
}

static int open_digests(struct mender *m, enum scrub_left *ret)
{
	const struct manifest *manifest = &m->replica->manifest;
	struct digests_key key = { manifest->replica, m->image->image, manifest->block_shift };
	struct bmf_error why;
	int r = digests_open(&bmf_io_posix, m->digests_fd, &key, false, &m->digests, &why);

	if (r != -ENOENT && r != -EBADMSG && r != -EPROTONOSUPPORT)
		return r < 0 ? failed(m, r, "read digests of") : 0;
	*ret = SCRUB_LEFT_UNKNOWN;
	return 0;
}

static int open_all(struct mender *m, const struct scrub_found *found, enum scrub_left *ret)
{
	int r = open_dest(m, found, ret);

	if (r == 0 && *ret == SCRUB_REPAIRED)
		r = open_digests(m, ret);
	if (r == 0 && *ret == SCRUB_REPAIRED)
		*ret = open_source(m);
	return r;
}

static int set_size(struct mender *m, const struct scrub_found *found)
{
	if (found->as_read.size == m->image->stamp.size)
		return 0;
	m->written = true;
	return ftruncate(m->fd, (off_t)m->image->stamp.size) < 0 ? failed(m, -errno, "set size of")
								 : 0;
}

/* Whatever else became of it: or the next repair takes what this one has written for a guest's. */
static int put_times_back(const struct mender *m)
{
	int64_t mtime = m->image->stamp.mtime_ns, second = INT64_C(1000000000);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	times[1].tv_sec = mtime / second - (mtime % second < 0);
	times[1].tv_nsec = mtime % second + (mtime % second < 0 ? second : 0);
	return futimens(m->fd, times) < 0 || fsync(m->fd) < 0 ? -errno : 0;
}

/*
 * Durable first, then its times as published, then its stamp.  A file that somebody had touched
 * gets a new stamp only if all of it is as it was published; of one that nobody had, blocks that
 * the source has changed since have their bits there (I1), and the next sync copies them.
 */
static int finish(struct mender *m, bool touched)
{
	struct manifest *manifest = &m->replica->manifest;
	struct bmf_stamp stamp;
	int r;

	if (fsync(m->fd) < 0)
		return failed(m, -errno, "flush");
	r = put_times_back(m);
	if (r < 0)
		return failed(m, r, "set times of");
	if (touched && m->any_left)
		return 0;
	r = bmf_stamp_take(&bmf_io_posix, m->fd, &stamp);
	if (r < 0)
		return failed(m, r, "stat");
	manifest->images[m->image - manifest->images].stamp = stamp;
	m->any_stamp = true;
	return 0;
}

/* found: n ranges of one image. */
static int mend_image(struct mender *m, const struct scrub_found *found, size_t n)
{
	bool touched = !bmf_stamp_equal(&found->as_read, &found->image->stamp);
	enum scrub_left left;
	int r;

	m->image = found->image;
	m->fd = m->source_fd = -1;
	m->written = m->any_left = false;
	r = open_all(m, found, &left);
	if (r == 0 && left == SCRUB_REPAIRED)
		r = set_size(m, found);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (left == SCRUB_REPAIRED)
			r = mend_range(m, &found[i]);
		else
			tell(m, &found[i], found[i].offset, found[i].nbytes, left);
	flush_told(m);
	if (r == 0 && m->written)
		r = finish(m, touched);
	else if (m->written)
		(void)put_times_back(m);
	digests_close(m->digests);
	m->digests = NULL;
	if (m->source_fd >= 0)
		close(m->source_fd);
	if (m->fd >= 0)
		close(m->fd);
	return r;
}

/* ---- all of them ---- */

static int mend_all(struct mender *m)
{
	const struct scrub_found *found = m->repair->found;
	size_t n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->repair->nfound; i += n) {
		for (n = 1; i + n < m->repair->nfound && found[i + n].image == found[i].image;)
			n++;
		r = mend_image(m, &found[i], n);
	}
	m->image = NULL;
	return r;
}

static int open_sides(struct mender *m, const char *source)
{
	int r = source_view_locate_tree(source, &m->view, m->err);

	if (r == 0)
		r = switched_check_dest(m->replica, "repair", m->err);
	if (r == 0)
		r = switched_check(&m->view, NULL, m->replica, m->err);
	if (r == 0)
		r = digest_of_zero_block(m->replica->manifest.block_shift, m->seed, &m->zero);
	if (r == 0)
		r = tree_new(m->view.path, m->view.fd, &m->source);
	if (r == 0)
		r = tree_add(m->source, m->view.fd, "", 0, m->err);
	if (r == 0)
		r = tree_finish(m->source);
	if (r == 0)
		r = replica_read_tree(m->replica, &m->dest, m->err);
	if (r < 0)
		return r;
	m->digests_fd = replica_open_digests(m->replica);
	return m->digests_fd < 0 ? failed(m, m->digests_fd, "open digests of") : 0;
}

int scrub_repair_run(struct scrub_repair *repair, const char *source, struct replica *replica,
		     struct bmf_error *err)
{
	size_t block_nbytes = (size_t)1 << replica->manifest.block_shift;
	struct mender m = { .repair = repair,
			    .replica = replica,
			    .err = err,
			    .view = { .fd = -1, .mount_fd = -1, .tree_fd = -1, .path = source },
			    .digests_fd = -1,
			    .seed = digest_seed(&replica->manifest.replica),
			    .block_nbytes = block_nbytes,
			    .block = malloc(block_nbytes),
			    .other = malloc(block_nbytes) };
	struct bmf_error why;
	int saved = 0, r = m.block && m.other ? open_sides(&m, source) : -ENOMEM;

	progress_enter(PROGRESS_REPAIRING);
	if (r == 0)
		r = mend_all(&m);
	/* what was finished holds, however the rest went */
	if (m.any_stamp)
		saved = replica_save(replica, &replica->manifest, r < 0 ? &why : err);
	r = r < 0 ? r : saved;
	if (r < 0 && r != -ECANCELED && err->code == 0)
		failed(&m, r, "repair");
	source_view_close(&m.view, NULL);
	tree_free(m.source);
	tree_free(m.dest);
	if (m.digests_fd >= 0)
		close(m.digests_fd);
	free(m.block);
	free(m.other);
	return r;
}
