/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keeper.c - the threads that look after sidecars and snapshots every few seconds */
#include "config.h"

#include "fs/keeper.h"

#include "bitmapfile/source.h"
#include "fs/deadline.h"
#include "fs/fs.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* as bmf_source_renew() asks */
#define RENEW_SECONDS 5

struct mfs_keeper {
	struct mfs *fs;
	unsigned int interval; /* seconds */
	pthread_t thread, renewer;
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* stop has become true */
	bool stop;		/* lock */
};

/* Sleeps; true when it is time to stop. */
static bool rest(struct mfs_keeper *keeper, unsigned int seconds)
{
	struct timespec until = mfs_deadline(seconds * 1000);
	bool stop;
	int r = 0;

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

	while (!rest(keeper, keeper->interval))
		bmf_source_keep(keeper->fs->source);
	return NULL;
}

/*
 * By itself: a pass of keep may wait long for an fsync, and what vouches must not run out, nor
 * the space of broken snapshots be kept.
 */
static void *renew(void *arg)
{
	struct mfs_keeper *keeper = arg;

	while (!rest(keeper, RENEW_SECONDS)) {
		bmf_source_renew(keeper->fs->source);
		mfs_snapshots_keep(keeper->fs);
	}
	return NULL;
}

static void stop(struct mfs_keeper *keeper)
{
	pthread_mutex_lock(&keeper->lock);
	keeper->stop = true;
	pthread_cond_broadcast(&keeper->stopped);
	pthread_mutex_unlock(&keeper->lock);
}

static void keeper_free(struct mfs_keeper *keeper)
{
	pthread_cond_destroy(&keeper->stopped);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

int mfs_keeper_start(struct mfs *fs, unsigned int interval, struct mfs_keeper **ret)
{
	struct mfs_keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	keeper->fs = fs;
	keeper->interval = interval;
	pthread_mutex_init(&keeper->lock, NULL);
	mfs_deadline_cond_init(&keeper->stopped);
	r = -pthread_create(&keeper->thread, NULL, keep, keeper);
	if (r < 0) {
		keeper_free(keeper);
		return r;
	}
	r = -pthread_create(&keeper->renewer, NULL, renew, keeper);
	if (r < 0) {
		stop(keeper);
		pthread_join(keeper->thread, NULL);
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
	stop(keeper);
	pthread_join(keeper->thread, NULL);
	pthread_join(keeper->renewer, NULL);
	keeper_free(keeper);
}
