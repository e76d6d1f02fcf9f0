/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.c - opening and closing a source, and the table of its trackers
 *
 * Rollovers are in rollover.c, the upkeep of trackers in keep.c.
 */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/tracker_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void bmf_source_notice(struct bmf_source *s, const struct bmf_tracker *t, const char *format, ...)
{
	char what[256], text[PATH_MAX + 300], link[64], path[PATH_MAX];
	ssize_t n = -1;
	va_list args;

	if (!s->options.notice)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (t) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", t->fd);
		n = readlink(link, path, sizeof(path) - 1);
	}
	if (n >= 0) {
		path[n] = '\0';
		snprintf(text, sizeof(text), "image '%s': %s", path, what);
	} else {
		snprintf(text, sizeof(text), "%s", what);
	}
	s->options.notice(s->options.notice_arg, text);
}

static int note_newest(const struct bmf_uuid *image, void *arg)
{
	struct bmf_source *s = arg;
	struct bmf_sidecar *sidecar;

	if (bmf_store_load_sidecar(s->store, image, &sidecar, NULL) == 0) {
		if (sidecar->active > s->state->generation)
			s->state->generation = sidecar->active;
		bmf_sidecar_free(sidecar);
	}
	return 0;
}

static int remove_sidecar(const struct bmf_uuid *image, void *arg)
{
	struct bmf_source *s = arg;

	return bmf_store_remove_sidecar(s->store, image);
}

/*
 * A state from nothing.  If there was one that is lost, the source is still the same,
 * so its replicas needn't be given up; but what its sidecars say refers to checkpoints that
 * nobody knows any more (I1).  They go first: a crash on the way leaves no
 * state, and this begins again.  The numbers of checkpoints still only grow.
 */
static int begin_state(struct bmf_source *s)
{
	unsigned int shift = s->options.block_shift;
	struct bmf_uuid source;
	int r;

	r = bmf_state_new(shift ? shift : BMF_BLOCK_SHIFT_DEFAULT, &s->state);
	if (r < 0)
		return r;
	r = bmf_identity_read(s->io, s->store->dir_fd, &source);
	if (r == 0)
		s->state->source = source;
	else if (r != -ENODATA && r != -EINVAL && r != -EOPNOTSUPP)
		return r; /* it may have one, and must not get another */
	r = bmf_store_each_sidecar(s->store, note_newest, s);
	if (r == 0)
		r = bmf_store_each_sidecar(s->store, remove_sidecar, s);
	return r == 0 ? bmf_store_save_state(s->store, s->state) : r;
}

/* The state; a damaged one is not repaired but begun anew, and that is said (I4). */
static int load_state(struct bmf_source *s, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	unsigned int shift = s->options.block_shift;
	int r;

	r = bmf_store_load_state(s->store, &s->state, &why);
	if (r == -ENOENT || r == -EBADMSG) {
		if (r == -EBADMSG)
			bmf_source_notice(s, NULL, "%s: everything counts as changed", why.text);
		r = begin_state(s);
		if (r < 0)
			return bmf_error_set(err, r, "begin anew in '%s': %s", BMF_STATE_DIR,
					     bmf_errno_text(r));
	}
	if (r < 0)
		return bmf_error_set(err, r, "%s", why.code ? why.text : bmf_errno_text(r));
	if (shift && s->state->block_shift != shift) {
		s->state->block_shift = shift;
		r = bmf_store_save_state(s->store, s->state);
	}
	if (r < 0)
		return bmf_error_set(err, r, "save state in '%s': %s", BMF_STATE_DIR,
				     bmf_errno_text(r));
	return 0;
}

/*
 * An earlier daemon may have removed a sidecar and ended before that was durable.  From
 * here on its image changes untracked, so it must not come back (I1).
 */
static int settle_names(struct bmf_source *s, struct bmf_error *err)
{
	int r = bmf_store_sync_names(s->store);

	return r < 0 ? bmf_error_set(err, r, "sync '%s/bitmaps': %s", BMF_STATE_DIR,
				     bmf_errno_text(r))
		     : 0;
}

/* The state directory carries the source's UUID as its id: that also tries the xattrs. */
static int mark_directory(struct bmf_source *s, struct bmf_error *err)
{
	struct bmf_uuid found;
	int r = bmf_identity_read(s->io, s->store->dir_fd, &found);

	if (r == 0 && bmf_uuid_equal(&found, &s->state->source))
		return 0;
	r = bmf_identity_write(s->io, s->store->dir_fd, &s->state->source);
	if (r == -EOPNOTSUPP)
		return bmf_error_set(err, r,
				     "set xattr '" BMF_XATTR_ID
				     "': the filesystem has no user extended "
				     "attributes, which mirrorfs needs");
	if (r < 0)
		return bmf_error_set(err, r, "set xattr '" BMF_XATTR_ID "' on '%s': %s",
				     BMF_STATE_DIR, bmf_errno_text(r));
	return 0;
}

int bmf_source_open(const struct bmf_io *io, int source_fd,
		    const struct bmf_source_options *options, struct bmf_source **ret,
		    struct bmf_error *err)
{
	struct bmf_source *s = calloc(1, sizeof(*s));
	pthread_rwlockattr_t attr;
	int r;

	if (!s)
		return bmf_error_set(err, -ENOMEM, "open source: %s", bmf_errno_text(-ENOMEM));
	s->io = io;
	s->options = *options;
	pthread_mutex_init(&s->rollover_lock, NULL);
	/* by default a walk would wait for as long as there are moves */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->moves_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&s->state_lock, NULL);
	pthread_mutex_init(&s->table_lock, NULL);
	pthread_mutex_init(&s->session.lock, NULL);
	r = bmf_store_open(io, source_fd, BMF_STORE_LOCK | (options->create ? BMF_STORE_CREATE : 0),
			   options->holder, &s->store, err);
	if (r == 0) {
		r = bmf_source_begin_session(s);
		if (r < 0)
			bmf_error_set(err, r, "open source: %s", bmf_errno_text(r));
	}
	if (r == 0)
		r = settle_names(s, err);
	if (r == 0)
		r = load_state(s, err);
	if (r == 0)
		r = mark_directory(s, err);
	if (r < 0) {
		bmf_source_close(s);
		return r;
	}
	s->block_shift = s->state->block_shift;
	s->region_shift = options->region_shift ? options->region_shift : BMF_REGION_SHIFT_DEFAULT;
	if (s->region_shift < s->block_shift)
		s->region_shift = s->block_shift;
	s->crashed_at = s->state->generation;
	atomic_store(&s->generation, s->state->generation);
	atomic_store(&s->durable_generation, s->state->generation);
	bmf_source_end_earlier_sessions(s);
	*ret = s;
	return 0;
}

/* Saves one tracker for good. */
static int close_tracker(struct bmf_tracker *t)
{
	int r = 0;

	if (atomic_load(&t->unlinked) || atomic_load(&t->mode) != BMF_MODE_TRACKED ||
	    (!atomic_load(&t->in_use) && !atomic_load(&t->unsaved) && !t->doubt_unsaved))
		return 0;
	bmf_tracker_sync_image(t);
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->active, false);
	r = bmf_tracker_clean_locked(t);
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		bmf_source_notice(t->source, t, "save sidecar: %s", bmf_errno_text(r));
	return r;
}

int bmf_source_close(struct bmf_source *s)
{
	int result = 0;

	for (size_t i = 0; i < BMF_TABLE_BUCKETS; i++) {
		struct bmf_tracker *t, *next;

		for (t = s->table[i]; t; t = next) {
			int r = close_tracker(t);

			if (result == 0)
				result = r;
			next = t->next;
			bmf_tracker_free(t);
		}
	}
	if (result == 0 && s->store)
		bmf_source_end_session(s);
	bmf_store_close(s->store);
	bmf_state_free(s->state);
	pthread_mutex_destroy(&s->rollover_lock);
	pthread_rwlock_destroy(&s->moves_lock);
	pthread_mutex_destroy(&s->state_lock);
	pthread_mutex_destroy(&s->table_lock);
	pthread_mutex_destroy(&s->session.lock);
	free(s);
	return result;
}

int bmf_source_dir_fd(const struct bmf_source *s)
{
	return s->store->dir_fd;
}

unsigned int bmf_source_block_shift(const struct bmf_source *s)
{
	return s->block_shift;
}

int bmf_source_state(struct bmf_source *s, struct bmf_state **ret)
{
	int r;

	pthread_mutex_lock(&s->state_lock);
	r = bmf_state_copy(s->state, ret);
	pthread_mutex_unlock(&s->state_lock);
	return r;
}

static size_t bucket_of(dev_t dev, ino_t ino)
{
	uint64_t key = ((uint64_t)ino ^ ((uint64_t)dev << 40)) * UINT64_C(0x9e3779b97f4a7c15);

	return key >> 52;
}
_Static_assert(BMF_TABLE_BUCKETS == 1 << (64 - 52), "bucket_of gives a bucket");

static struct bmf_tracker *find_locked(struct bmf_source *s, const struct stat *st)
{
	struct bmf_tracker *t = s->table[bucket_of(st->st_dev, st->st_ino)];

	while (t && (t->ino != st->st_ino || t->dev != st->st_dev))
		t = t->next;
	return t;
}

bool bmf_source_has(struct bmf_source *s, const struct stat *st)
{
	bool has;

	pthread_mutex_lock(&s->table_lock);
	has = find_locked(s, st) != NULL;
	pthread_mutex_unlock(&s->table_lock);
	return has;
}

void bmf_source_unlinked(struct bmf_source *s, const struct stat *st)
{
	struct bmf_tracker *t;

	pthread_mutex_lock(&s->table_lock);
	t = find_locked(s, st);
	if (t)
		atomic_store(&t->unlinked, true);
	pthread_mutex_unlock(&s->table_lock);
}

int bmf_source_track(struct bmf_source *s, int fd, struct bmf_tracker **ret)
{
	struct bmf_tracker *t;
	struct stat st;
	size_t bucket;
	int r;

	r = s->io->fstat(s->io, fd, &st);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->table_lock);
	t = find_locked(s, &st);
	if (!t) {
		r = bmf_tracker_new(s, fd, &st, &t);
		if (r < 0) {
			pthread_mutex_unlock(&s->table_lock);
			return r;
		}
		bucket = bucket_of(st.st_dev, st.st_ino);
		t->next = s->table[bucket];
		s->table[bucket] = t;
		s->ntrackers++;
	}
	t->refs++;
	pthread_mutex_unlock(&s->table_lock);

	/* Whoever comes first loads it; the others wait here until that is done, or try again. */
	pthread_mutex_lock(&t->lock);
	r = t->loaded ? 0 : bmf_tracker_load_locked(t);
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		bmf_tracker_put(t);
	else
		*ret = t;
	return r;
}

void bmf_source_unlist_locked(struct bmf_source *s, struct bmf_tracker *t)
{
	struct bmf_tracker **link = &s->table[bucket_of(t->dev, t->ino)];

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	s->ntrackers--;
	atomic_fetch_add(&s->departed, 1);
}

uint64_t bmf_source_departed(struct bmf_source *s)
{
	return atomic_load(&s->departed);
}

int bmf_source_collect(struct bmf_source *s, struct bmf_tracker ***ret, size_t *ret_n)
{
	struct bmf_tracker **all;
	size_t n = 0;

	pthread_mutex_lock(&s->table_lock);
	all = calloc(s->ntrackers + 1, sizeof(struct bmf_tracker *));
	for (size_t i = 0; all && i < BMF_TABLE_BUCKETS; i++)
		for (struct bmf_tracker *t = s->table[i]; t; t = t->next) {
			t->refs++;
			all[n++] = t;
		}
	pthread_mutex_unlock(&s->table_lock);
	if (!all)
		return -ENOMEM;
	*ret = all;
	*ret_n = n;
	return 0;
}
