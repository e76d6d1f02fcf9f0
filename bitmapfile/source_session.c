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
	ssize_t got;

	do
		got = getrandom(&own.id, sizeof(own.id), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	own.id |= 1; /* never 0 */
	s->session.id = own.id;
	s->session.sequence = s->store->sessions.sequence;
	bmf_sessions_add(&s->store->sessions, &own);
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

/*
 * Was an earlier session noted later than now?  A clock that was set back by less than
 * passed between the last note and the crash can't be told from one that wasn't.
 */
static bool clock_was_set_back(const struct bmf_session *earlier, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++)
		if (earlier[i].until_ns - BMF_SESSION_AHEAD_NS > now)
			return true;
	return false;
}

static bool end_all(struct bmf_session *earlier, size_t n, int64_t now)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (earlier[i].until_ns <= now)
			continue;
		earlier[i].until_ns = now;
		any = true;
	}
	return any;
}

/*
 * What was changed later than now, by a clock that was ahead of this one, would be in doubt as soon
 * as the earlier sessions end.  So it is settled before.
 */
static void settle_later(struct bmf_source *s, int64_t now)
{
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	r = bmf_source_settle_locked(s, now);
	pthread_mutex_unlock(&s->rollover_lock);
	if (r < 0)
		bmf_source_notice(s, NULL,
				  "settle images that a crash left in use: %s, they may count as "
				  "changed",
				  bmf_errno_text(r));
}

void bmf_source_end_earlier_sessions(struct bmf_source *s)
{
	struct bmf_session own = { .id = s->session.id };
	struct bmf_sessions *known = &s->store->sessions;
	size_t n = known->n - 1; /* the last one is our own */
	int64_t now = s->io->now_ns(s->io);
	int r = 0;

	if (clock_was_set_back(known->list, n, now))
		settle_later(s, now);
	pthread_mutex_lock(&s->session.lock);
	/* durable at once: in another session now may be long ago, and until_ns yet to come */
	if (end_all(known->list, n, now)) {
		own.until_ns = s->session.until_ns;
		r = note_locked(s, s->session.noted ? &own : NULL);
	}
	if (r < 0)
		s->session.noted = false; /* tried again before anything gets in use */
	pthread_mutex_unlock(&s->session.lock);
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
				  bmf_errno_text(r));
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
