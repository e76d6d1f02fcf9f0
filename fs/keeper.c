/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keeper.c - the thread that keeps the sidecars close to what is in memory */
#include "config.h"

#include "fs/keeper.h"

#include "bitmapfile/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* as bmf_source_renew() asks */
#define RENEW_SECONDS 5

struct mfs_keeper {
	struct bmf_source *source;
	unsigned int interval; /* seconds */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* stop has become true */
	bool stop;		/* lock */
};

/* Sleeps; true when it is time to stop. */
static bool rest(struct mfs_keeper *keeper, unsigned int seconds)
{
	struct timespec until;
	bool stop;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&keeper->lock);
	while (!keeper->stop && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&keeper->stopped, &keeper->lock, &until);
	stop = keeper->stop;
	pthread_mutex_unlock(&keeper->lock);
	return stop;
}

static void *keep(void *arg)
{
	struct mfs_keeper *keeper = arg;
	unsigned int left = keeper->interval;

	for (;;) {
		unsigned int seconds = left < RENEW_SECONDS ? left : RENEW_SECONDS;

		if (rest(keeper, seconds))
			return NULL;
		left -= seconds;
		if (left > 0) {
			bmf_source_renew(keeper->source);
			continue;
		}
		bmf_source_keep(keeper->source);
		left = keeper->interval;
	}
}

static void keeper_free(struct mfs_keeper *keeper)
{
	pthread_cond_destroy(&keeper->stopped);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

int mfs_keeper_start(struct bmf_source *source, unsigned int interval, struct mfs_keeper **ret)
{
	struct mfs_keeper *keeper = calloc(1, sizeof(*keeper));
	pthread_condattr_t attr;
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->source = source;
	keeper->interval = interval;
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->stopped, &attr);
	pthread_condattr_destroy(&attr);
	r = -pthread_create(&keeper->thread, NULL, keep, keeper);
	if (r < 0) {
		keeper_free(keeper);
		return r;
	}
	*ret = keeper;
	return 0;
}

void mfs_keeper_stop(struct mfs_keeper *keeper)
{
	if (!keeper)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->stop = true;
	pthread_cond_signal(&keeper->stopped);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	keeper_free(keeper);
}
