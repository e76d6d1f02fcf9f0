/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crew.c - how many threads are to receive requests: the rule, without the threads */
#include "config.h"

#include "fs/crew.h"

/* Between looks: at first, and when nothing comes of it. */
#define INTERVAL_MIN_MS 1
#define INTERVAL_MAX_MS 8

/* So long nobody must have been needed before he goes. */
#define WINDOW_MS 100

/* So many say something about the rest, where nothing blocks. */
#define SAMPLES_ENOUGH 16

/* Looks without progress: a thread may have been without a processor for the time of one. */
#define STUCK_ENOUGH 2

static unsigned int min_u(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int max_u(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

static void begin_window(struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	crew->begin = *look;
	crew->window_ms = 0;
	crew->nwaiting_min = MFS_CREW_MAX;
}

void mfs_crew_init(struct mfs_crew *crew)
{
	*crew = (struct mfs_crew){ .wanted = MFS_CREW_MIN };
}

void mfs_crew_begin(struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	begin_window(crew, look);
	crew->last = *look;
	crew->nstuck = 0;
	crew->quiet_ms = 0;
	crew->interval_ms = INTERVAL_MIN_MS;
}

static void want(struct mfs_crew *crew, const struct mfs_crew_look *look, unsigned int n)
{
	crew->wanted = max_u(min_u(n, MFS_CREW_MAX), MFS_CREW_MIN);
	crew->interval_ms = INTERVAL_MIN_MS;
	begin_window(crew, look);
}

/* Requests are there, and nobody has been getting on. */
static bool is_stuck(struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	if (look->nwaiting == 0 && look->is_queued && look->nrequests == crew->last.nrequests)
		crew->nstuck++;
	else
		crew->nstuck = 0;
	return crew->nstuck >= STUCK_ENOUGH;
}

/* What was sampled from one look to another. */
struct samples {
	uint64_t n, nblocked, nqueued;
};

static struct samples samples_since(const struct mfs_crew_look *look,
				    const struct mfs_crew_look *before)
{
	return (struct samples){
		.n = look->nsampled - before->nsampled,
		.nblocked = look->nblocked - before->nblocked,
		.nqueued = look->nqueued - before->nqueued,
	};
}

/* Most requests block, and others wait meanwhile. */
static bool is_blocked(const struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	struct samples samples = samples_since(look, &crew->last);

	return samples.nqueued > 0 && samples.nqueued * 2 >= samples.n &&
	       samples.nblocked * 2 >= samples.n;
}

static bool may_block(const struct samples *samples)
{
	return samples->nblocked * 4 > samples->n;
}

/* Nothing blocks, and yet there is always a next request. */
static bool is_overworked(const struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	struct samples samples = samples_since(look, &crew->begin);

	return look->nworkers < MFS_CREW_BUSY_MAX && samples.n >= SAMPLES_ENOUGH &&
	       !may_block(&samples) && samples.nqueued * 2 >= samples.n;
}

/* Who was not needed is not wanted any more. */
static void end_window(struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	struct samples samples = samples_since(look, &crew->begin);
	unsigned int n = look->nworkers;

	if (may_block(&samples)) /* one may wait, so that the next request finds one */
		n -= crew->nwaiting_min > 1 ? min_u(n, crew->nwaiting_min - 1) : 0;
	else if (samples.n < SAMPLES_ENOUGH)
		return;
	else if (samples.nqueued * 10 <= samples.n)
		n = MFS_CREW_MIN;
	else
		n = min_u(n, MFS_CREW_BUSY_MAX);
	crew->wanted = max_u(n, MFS_CREW_MIN);
	begin_window(crew, look);
}

void mfs_crew_look(struct mfs_crew *crew, const struct mfs_crew_look *look)
{
	crew->nwaiting_min = min_u(crew->nwaiting_min, look->nwaiting);
	crew->window_ms += crew->interval_ms;
	if (look->nrequests == crew->last.nrequests && look->nwaiting > 0)
		crew->quiet_ms += crew->interval_ms;
	else
		crew->quiet_ms = 0;
	if (is_stuck(crew, look) || is_blocked(crew, look)) {
		want(crew, look, max_u(crew->wanted, look->nworkers * 2));
	} else if (look->nhelped != crew->last.nhelped) {
		want(crew, look, crew->wanted + 1);
	} else if (is_overworked(crew, look)) {
		want(crew, look, look->nworkers + 1);
	} else if (crew->quiet_ms >= WINDOW_MS) {
		crew->interval_ms = 0; /* whoever is there may be needed again */
	} else {
		crew->interval_ms = min_u(crew->interval_ms * 2, INTERVAL_MAX_MS);
		if (crew->window_ms >= WINDOW_MS)
			end_window(crew, look);
	}
	crew->last = *look;
}
