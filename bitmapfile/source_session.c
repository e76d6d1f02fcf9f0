/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_session.c - the session of an open source: what vouches for sidecars in use
 *
 * Noted on disk before the first sidecar gets in use, moved on while any is, and taken back
 * at a clean close.  None of it can fail a write: what isn't noted is in doubt after a
 * crash, and that is all (I1, I3).
 */
#include "config.h"

#include "bitmapfile/store_internal.h"
#include "bitmapfile/tracker_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

int bmf_source_begin_session(struct bmf_source *s)
{
	struct bmf_session own = { .until_ns = INT64_MAX };
	struct bmf_sessions *known = &s->store->sessions;
	int64_t now = s->io->now_ns(s->io);
	ssize_t got;

	do
		got = getrandom(&own.id, sizeof(own.id), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	own.id |= 1; /* never 0 */
	/* The lock is ours: whoever they were, they have ended by now. */
	for (size_t i = 0; i < known->n; i++)
		if (known->list[i].until_ns > now)
			known->list[i].until_ns = now;
	s->session.id = own.id;
	s->session.sequence = known->sequence;
	bmf_sessions_add(known, &own);
	return 0;
}

/* Writes the earlier sessions, while any of their sidecars may be left, and own if not NULL. */
static int note_locked(struct bmf_source *s, const struct bmf_session *own)
{
	struct bmf_sessions next = s->store->sessions;
	int r;

	next.n = atomic_load(&s->leftovers_gone) ? 0 : next.n - 1;
	next.sequence = s->session.sequence;
	if (own)
		bmf_sessions_add(&next, own);
	r = bmf_sessions_save(s->io, s->store->dir_fd, &next, s->session.sequence == 0);
	if (r == -ENOENT) /* somebody removed it */
		r = bmf_sessions_save(s->io, s->store->dir_fd, &next, true);
	if (r == 0)
		s->session.sequence = next.sequence;
	return r;
}

void bmf_source_vouch(struct bmf_source *s)
{
	struct bmf_session own = { .id = s->session.id };
	int64_t now, left;
	int r = 0;

	pthread_mutex_lock(&s->session.lock);
	now = s->io->now_ns(s->io); /* with the lock: another's writing may have taken long */
	left = s->session.until_ns - now;
	/* more than ahead: the clock was set back */
	if (!s->session.noted || left < BMF_SESSION_LEFT_NS || left > BMF_SESSION_AHEAD_NS) {
		own.until_ns = now + BMF_SESSION_AHEAD_NS;
		r = note_locked(s, &own);
		if (r == 0) {
			s->session.until_ns = own.until_ns;
			s->session.noted = true;
		}
	}
	if (r < 0 && !s->session.failed)
		bmf_source_notice(s, NULL,
				  "write '" BMF_STATE_DIR "/" BMF_SESSIONS_NAME
				  "': %s, a crash would make images in use count as changed",
				  strerror(-r));
	s->session.failed = r < 0;
	pthread_mutex_unlock(&s->session.lock);
}

static bool any_in_use(struct bmf_source *s)
{
	bool any = false;

	pthread_mutex_lock(&s->table_lock);
	for (size_t i = 0; i < BMF_TABLE_BUCKETS && !any; i++)
		for (struct bmf_tracker *t = s->table[i]; t && !any; t = t->next)
			any = atomic_load(&t->in_use);
	pthread_mutex_unlock(&s->table_lock);
	return any;
}

void bmf_source_renew(struct bmf_source *s)
{
	if (any_in_use(s))
		bmf_source_vouch(s);
}

void bmf_source_end_session(struct bmf_source *s)
{
	pthread_mutex_lock(&s->session.lock);
	if (s->session.noted)
		note_locked(s, NULL); /* if it fails: an entry that nobody refers to */
	pthread_mutex_unlock(&s->session.lock);
}
