/* SPDX-License-Identifier: GPL-2.0-or-later */
/* workers.c - threads that carry out pieces of work side by side */
#include "config.h"

#include "tools/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* They call pread, pwrite, and little else. */
#define STACK_NBYTES ((size_t)256 << 10)

struct workers {
	pthread_mutex_t lock;
	/* Below: lock. */
	pthread_cond_t work_there, work_done;
	struct work *first, **end; /* what nobody has begun with */
	unsigned int nqueued, nidle, n, max;
	bool ending;
	pthread_t threads[];
};

int workers_new(unsigned int n, struct workers **ret)
{
	struct workers *w = calloc(1, sizeof(*w) + n * sizeof(w->threads[0]));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work_there, NULL);
	pthread_cond_init(&w->work_done, NULL);
	w->end = &w->first;
	w->max = n > 1 ? n : 0;
	*ret = w;
	return 0;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->work_there);
	pthread_mutex_unlock(&w->lock);
	for (unsigned int i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->work_there);
	pthread_cond_destroy(&w->work_done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void take_locked(struct workers *w, struct work **link)
{
	struct work *work = *link;

	*link = work->next;
	if (!work->next)
		w->end = link;
	w->nqueued--;
}

static void *serve(void *arg)
{
	struct workers *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct work *work = w->first;

		if (work) {
			take_locked(w, &w->first);
			pthread_mutex_unlock(&w->lock);
			work->run(work);
			pthread_mutex_lock(&w->lock);
			work->done = true;
			pthread_cond_signal(&w->work_done); /* only the owner waits */
			continue;
		}
		if (w->ending)
			break;
		w->nidle++;
		pthread_cond_wait(&w->work_there, &w->lock);
		w->nidle--;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Without one more, the others or the owner will do it. */
static void add_thread_locked(struct workers *w)
{
	pthread_attr_t attr;
	sigset_t all, old;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_NBYTES);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&w->threads[w->n], &attr, serve, w) == 0)
		w->n++;
	else
		w->max = w->n;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
}

void workers_start(struct workers *w, struct work *work)
{
	work->next = NULL;
	work->done = false;
	pthread_mutex_lock(&w->lock);
	*w->end = work;
	w->end = &work->next;
	/* one that is idle may have been woken for another piece, and not have got to it yet */
	if (++w->nqueued > w->nidle && w->n < w->max)
		add_thread_locked(w);
	else
		pthread_cond_signal(&w->work_there);
	pthread_mutex_unlock(&w->lock);
}

/* Has nobody begun with it?  Then it is taken back. */
static bool take_back_locked(struct workers *w, const struct work *work)
{
	for (struct work **link = &w->first; *link; link = &(*link)->next) {
		if (*link == work) {
			take_locked(w, link);
			return true;
		}
	}
	return false;
}

void workers_wait(struct workers *w, struct work *work)
{
	bool mine;

	pthread_mutex_lock(&w->lock);
	mine = take_back_locked(w, work);
	while (!mine && !work->done)
		pthread_cond_wait(&w->work_done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (mine)
		work->run(work);
}
