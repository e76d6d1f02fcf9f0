/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switchover.c - the last sync of a source, after which it is read-only
 *
 *   W1  syncs with guests running, until one is short, so that the last one will be
 *   W2  what programs have changed in mappings is written
 *   W3  all changes are held; those in flight have come back
 *   W4  the last sync: to a checkpoint of what can't change
 *   W5  with the replica locked, the mark is made, then all that waits is refused (fs/switchover.c)
 *
 * Whatever fails before W5, the hold is let go and guests go on; so it is if mirrorctl is killed,
 * as it belongs to a descriptor.  The replica is locked in W5 so that no other sync to it is under
 * way when the mark is made, and every later one sees that: or it would bring what guests have
 * written to the replica by then back to what the source had (sync_checkpoint.c).  Between W4 and
 * W5 it isn't; a sync that came there may have left out images that W4 had brought, or stopped
 * half-way.  So W4 is done again then, in what is left of the time.
 *
 * Of a source that isn't mounted nothing changes anyhow; but it might be mounted while the
 * last sync runs.  So there the mark comes first, W5 before W4, says so, and is taken back if that
 * fails.
 */
#include "config.h"

#include "tools/switchover.h"

#include "tools/argument_order.h"
#include "tools/fail.h"
#include "tools/journal.h"
#include "tools/monotonic.h"
#include "tools/replica.h"
#include "tools/source_seal.h"
#include "tools/stop.h"
#include "tools/switched.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* Syncs before the last one, at most, and how short one is to be that is followed by it. */
#define ROUNDS_MAX 3
#define ROUND_SHORT_SECONDS 1.0

/* Who syncs to the replica just now, as a follower does, will have ended soon. */
#define BUSY_PATIENCE_MS 10000
#define BUSY_PAUSE_MS 100

struct switchover {
	const char *source, *dest;
	const struct switchover_options *options;
	struct source_view view;
	struct switchover_result *result;
	int64_t marked_ns; /* by begin_unmounted(), as its mark has it */
	struct bmf_error *err;
};

static uint64_t now_ms(void)
{
	return (uint64_t)(monotonic_ns() / 1000000);
}

/* Is it worth another try, and has there been a pause before it? */
static bool was_busy(int r, uint64_t until_ms)
{
	if (r != -EBUSY || stop_signal() || now_ms() >= until_ms)
		return false;
	stop_wait(BUSY_PAUSE_MS);
	return true;
}

static void note(struct switchover *s, const struct sync_result *result)
{
	s->result->pair = result->pair;
	s->result->checkpoint = result->checkpoint;
	s->result->checkpoint_uuid = result->checkpoint_uuid;
	s->result->nsyncs++;
	if (s->options->synced)
		s->options->synced(s->options->arg, result);
}

/* One sync; switching: with the source sealed already.  *ret_seconds: it took. */
static int sync_round(struct switchover *s, bool switching, uint64_t until_ms, double *ret_seconds)
{
	struct sync_options options = *s->options->sync;
	struct sync_pair pair = s->result->pair;
	struct sync_result result;
	int r;

	options.mounted = s->result->mounted;
	options.switching = switching;
	options.pair = s->result->nsyncs > 0 ? &pair : NULL;
	for (;;) {
		r = sync_run(s->source, s->dest, &options, &result, s->err);
		if (!was_busy(r, until_ms))
			break;
		sync_result_destroy(&result);
		if (!options.pair) {
			pair.replica = replica_identify(s->dest);
			options.pair = &pair;
		}
	}
	if (r == 0) {
		*ret_seconds = result.seconds;
		note(s, &result);
	}
	sync_result_destroy(&result);
	return r == -EBUSY && stop_signal() ? -ECANCELED : r;
}

static int sync_until_short(struct switchover *s)
{
	double seconds = 0;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < ROUNDS_MAX; i++) {
		r = sync_round(s, false, now_ms() + BUSY_PATIENCE_MS, &seconds);
		if (seconds <= ROUND_SHORT_SECONDS)
			break;
	}
	return r;
}

/* Is the replica at what W4 has brought? */
static bool is_as_left(const struct switchover *s, const struct replica *replica)
{
	const struct manifest *manifest = &replica->manifest;

	return manifest->complete && manifest->checkpoint == s->result->checkpoint &&
	       bmf_uuid_equal(&manifest->checkpoint_uuid, &s->result->checkpoint_uuid) &&
	       bmf_uuid_equal(&manifest->replica, &s->result->pair.replica);
}

/* Does it lead elsewhere, as soon as somebody publishes that?  true too if nobody knows. */
static bool has_journal(const struct replica *replica)
{
	int fd = journal_open(replica->store->dir_fd);

	if (fd >= 0)
		close(fd);
	return fd != -ENOENT;
}

/* Locked, and as W4 has left it; if it isn't, *ret_moved. */
static int open_replica(struct switchover *s, uint64_t until_ms, struct replica *ret,
			bool *ret_moved)
{
	int r;

	*ret_moved = false;
	do {
		r = replica_open_alone(s->dest, ret, s->err);
	} while (r < 0 && was_busy(r, until_ms));
	if (r < 0)
		return r;
	r = switched_check_dest(ret, "switch over to", s->err);
	if (r == 0 && is_as_left(s, ret) && !has_journal(ret))
		return 0;
	*ret_moved = r == 0;
	replica_close(ret);
	if (r < 0)
		return r;
	return fail_text(s->err, -ESTALE, "switch over to", s->dest, NULL,
			 "it isn't as the last sync has left it, and guests go on: see to it that "
			 "nobody else syncs to it, and try again");
}

static int64_t time_ns(void)
{
	return bmf_io_posix.now_ns(&bmf_io_posix);
}

/* W5 of a mounted source */
static int seal(struct switchover *s, uint64_t until_ms, bool *ret_moved)
{
	struct replica replica;
	struct bmf_seal mark;
	int r = open_replica(s, until_ms, &replica, ret_moved);

	if (r < 0)
		return r;
	mark = (struct bmf_seal){ .replica = replica.manifest.replica,
				  .number = replica.manifest.checkpoint,
				  .checkpoint = replica.manifest.checkpoint_uuid,
				  .label = replica.label };
	r = source_seal_set(&s->view, &mark, s->err);
	replica_close(&replica);
	return r;
}

/* W4 and W5, until nobody has come between */
static int last_sync(struct switchover *s)
{
	uint64_t begin = now_ms(), until = begin + s->options->timeout_ms;
	double seconds;
	bool moved;
	int r;

	do {
		moved = false;
		r = sync_round(s, false, until, &seconds);
		if (r == 0 && stop_signal())
			r = -ECANCELED;
		if (r == 0)
			r = seal(s, until, &moved);
	} while (moved && now_ms() < until);
	s->result->held_seconds = (double)(now_ms() - begin) / 1e3;
	return r;
}

/* W2 to W5 */
static int switch_mounted(struct switchover *s)
{
	int r, pin;

	/*
	 * A change of a name in the top directory that is held keeps the kernel from looking up
	 * other names there, but not from finding those that are in use.
	 */
	pin = openat(s->view.mount_fd, MFS_SNAPSHOT_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pin < 0)
		return fail_errno(s->err, -errno, "open", s->source, MFS_SNAPSHOT_DIR);
	syncfs(s->view.mount_fd); /* what it doesn't get there was promised to nobody */
	r = source_seal_hold(&s->view, s->options->timeout_ms, s->err);
	if (r == 0) {
		r = last_sync(s);
		if (r < 0)
			source_seal_let_go(&s->view);
	}
	close(pin);
	return r;
}

/*
 * Looked at once more, now that it is locked: since switch_over() did another may have begun.  The
 * label of the replica isn't known yet, but that is no more than what is told.
 */
static int begin_unmounted(struct switchover *s)
{
	struct bmf_seal mark = { .replica = s->result->pair.replica, .label = (char *)s->dest };
	int r = source_view_read(&s->view, s->err);

	if (r == 0)
		r = source_seal_check(&s->view, s->err);
	if (r < 0)
		return r;
	mark.time_ns = s->marked_ns = time_ns();
	return source_seal_set(&s->view, &mark, s->err);
}

/*
 * 1: the mark has been there since begin_unmounted(), so nobody can have written to the source; 0:
 * it hasn't; or a negative errno, with a message: nobody knows.
 */
static int is_marked(const struct switchover *s, struct bmf_error *err)
{
	struct bmf_seal seal;
	bool ours;
	int r = bmf_seal_load(&bmf_io_posix, s->view.fd, &seal, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	ours = seal.number == 0 && seal.time_ns == s->marked_ns &&
	       bmf_uuid_equal(&seal.replica, &s->result->pair.replica);
	bmf_seal_destroy(&seal);
	return ours;
}

/* With the source locked, so that nobody undoes it meanwhile. */
static int finish_unmounted(struct switchover *s)
{
	struct replica replica;
	struct bmf_seal mark;
	bool moved;
	int r = source_view_read(&s->view, s->err);

	if (r < 0)
		return r;
	r = is_marked(s, s->err);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_text(s->err, -ESTALE, "switch over", s->source, NULL,
				 "somebody undid it meanwhile");
	r = open_replica(s, now_ms() + BUSY_PATIENCE_MS, &replica, &moved);
	if (r < 0)
		return r;
	mark = (struct bmf_seal){ .replica = replica.manifest.replica,
				  .number = replica.manifest.checkpoint,
				  .checkpoint = replica.manifest.checkpoint_uuid,
				  .time_ns = time_ns(),
				  .label = replica.label };
	r = source_seal_set(&s->view, &mark, s->err);
	replica_close(&replica);
	return r;
}

/* A new look at it, which has no lock. */
static int locate_again(struct switchover *s)
{
	source_view_close(&s->view, NULL);
	return source_view_locate(s->source, &s->view, s->err);
}

/* Of our own mark alone; a signal doesn't keep it from waiting for who looks. */
static int take_back(struct switchover *s, struct bmf_error *err)
{
	uint64_t until = now_ms() + BUSY_PATIENCE_MS;
	struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000L };
	int r;

	for (;;) {
		r = locate_again(s);
		if (r < 0)
			*err = *s->err;
		else
			r = is_marked(s, err);
		if (r == 0)
			return 0;
		if (r > 0)
			r = source_seal_undo(&s->view, err);
		if ((r != -EBUSY && r != -ECANCELED) || now_ms() >= until)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int switch_unmounted(struct switchover *s)
{
	struct bmf_error why = { 0 }, first;
	double seconds;
	int r = begin_unmounted(s);

	if (r < 0)
		return r;
	r = locate_again(s);
	if (r == 0)
		r = sync_round(s, true, now_ms() + BUSY_PATIENCE_MS, &seconds);
	if (r == 0)
		r = finish_unmounted(s);
	if (r == 0)
		return 0;
	first = *s->err;
	if (take_back(s, &why) == 0) {
		*s->err = first;
		return r;
	}
	/* not -ECANCELED, of which no more is told than that guests go on */
	return fail_text(s->err, -EROFS, "switch over", s->source, NULL,
			 "it failed (%s), and it is marked as switched over all the same (%s); "
			 "mirrorctl switchover --undo",
			 first.code ? first.text : fail_reason(r), why.code ? why.text : "");
}

static int switch_over(struct switchover *s)
{
	int r = argument_order_check("switchover", &s->view, s->dest, s->err);

	if (r == 0)
		r = source_seal_check(&s->view, s->err);
	if (r < 0)
		return r;
	s->result->mounted = s->view.mount_fd >= 0;
	r = sync_until_short(s);
	if (r == 0 && stop_signal())
		r = -ECANCELED;
	if (r < 0)
		return r;
	return s->result->mounted ? switch_mounted(s) : switch_unmounted(s);
}

int switchover_run(const char *source, const char *dest, const struct switchover_options *options,
		   struct switchover_result *ret, struct bmf_error *err)
{
	struct switchover s = {
		.source = source, .dest = dest, .options = options, .result = ret, .err = err
	};
	int r = source_view_locate(source, &s.view, err);

	*ret = (struct switchover_result){ 0 };
	if (r < 0)
		return r;
	r = switch_over(&s);
	source_view_close(&s.view, NULL);
	return r;
}

int switchover_undo(const char *source, struct bmf_error *err)
{
	struct source_view view;
	int r = source_view_locate(source, &view, err);

	if (r < 0)
		return r;
	r = source_seal_undo(&view, err);
	source_view_close(&view, NULL);
	return r;
}
