/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dentries.c - makes the kernel let go of snapshots that were deleted */
#include "config.h"

#include "fs/dentries.h"

#include "fs/control.h"
#include "fs/deadline.h"
#include "fs/ops_snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_TIMEOUT_MS 2000

struct gone {
	struct gone *next;
	char name[MFS_SNAPSHOT_NAME_MAX + 1];
};

struct mfs_dentries {
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* any of the below */
	/* Below: lock. */
	struct gone *first;
	bool stop, ended;
};

static void *work(void *arg)
{
	struct mfs_dentries *dentries = arg;
	struct gone *gone;

	pthread_mutex_lock(&dentries->lock);
	while (!dentries->stop) {
		gone = dentries->first;
		if (!gone) {
			pthread_cond_wait(&dentries->changed, &dentries->lock);
			continue;
		}
		dentries->first = gone->next;
		pthread_mutex_unlock(&dentries->lock);
		fuse_lowlevel_notify_inval_entry(dentries->session,
						 mfs_snapshot_number(&mfs_snapshot_dir), gone->name,
						 strlen(gone->name));
		free(gone);
		pthread_mutex_lock(&dentries->lock);
	}
	dentries->ended = true;
	pthread_cond_broadcast(&dentries->changed);
	pthread_mutex_unlock(&dentries->lock);
	return NULL;
}

int mfs_dentries_start(struct fuse_session *session, struct mfs_dentries **ret)
{
	struct mfs_dentries *dentries = calloc(1, sizeof(*dentries));
	int r;

	if (!dentries)
		return -ENOMEM;
	dentries->session = session;
	pthread_mutex_init(&dentries->lock, NULL);
	mfs_deadline_cond_init(&dentries->changed);
	r = -pthread_create(&dentries->thread, NULL, work, dentries);
	if (r < 0) {
		pthread_cond_destroy(&dentries->changed);
		pthread_mutex_destroy(&dentries->lock);
		free(dentries);
		return r;
	}
	*ret = dentries;
	return 0;
}

void mfs_dentries_drop(struct mfs_dentries *dentries, const char *name)
{
	struct gone *gone = dentries ? malloc(sizeof(*gone)) : NULL;

	if (!gone)
		return;
	snprintf(gone->name, sizeof(gone->name), "%s", name);
	pthread_mutex_lock(&dentries->lock);
	gone->next = dentries->first;
	dentries->first = gone;
	pthread_cond_broadcast(&dentries->changed);
	pthread_mutex_unlock(&dentries->lock);
}

void mfs_dentries_stop(struct mfs_dentries *dentries)
{
	struct timespec until = mfs_deadline(STOP_TIMEOUT_MS);
	int r = 0;

	pthread_mutex_lock(&dentries->lock);
	dentries->stop = true;
	pthread_cond_broadcast(&dentries->changed);
	while (!dentries->ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&dentries->changed, &dentries->lock, &until);
	pthread_mutex_unlock(&dentries->lock);
}

bool mfs_dentries_free(struct mfs_dentries *dentries)
{
	struct gone *gone;

	if (!dentries)
		return true;
	if (!dentries->stop)
		mfs_dentries_stop(dentries);
	if (!dentries->ended)
		return false; /* it goes with the process */
	pthread_join(dentries->thread, NULL);
	while ((gone = dentries->first)) {
		dentries->first = gone->next;
		free(gone);
	}
	pthread_cond_destroy(&dentries->changed);
	pthread_mutex_destroy(&dentries->lock);
	free(dentries);
	return true;
}
