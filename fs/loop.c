/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c - threads that receive requests and carry them out
 *
 * Threads: the caller of mfs_loop() waits, on a signalfd for the signals that end the
 * session, and on an eventfd for a worker that says that it has ended, or that all workers are
 * busy.  At the end it cancels all workers.  They can be cancelled only while they receive; so one
 * that is carrying out a request finishes it first.  No worker starts or leaves once
 * `ended` is set, so the joiner knows them all.
 *
 * While all are busy, and for a while after that, the caller looks from time to time how they are
 * getting on, and crew.h says how many there should be.  Why it never sleeps while all are
 * blocked: a worker counts itself out of `nwaiting`, and if it was the last one, reads `looking`;
 * the caller sets `looking` to false, then reads `nwaiting`.  Both are sequentially consistent, so
 * one of them sees the other.
 *
 * No thread of libfuse's is used, for these need buffers of their own layout.
 */
#include "config.h"

#include "fs/loop.h"

#include "fs/creds.h"
#include "fs/crew.h"
#include "fs/log.h"
#include "fs/spin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

/* With those that wait (mfs_loop_wait_begin), which the crew does not count. */
#define WORKERS_ROOM 512

/* Of how many requests one is looked at more closely; that takes three system calls. */
#define SAMPLE_EVERY 8

/* The kernel sends INIT at once; who never gets it must not wait for ever. */
#define INIT_TIMEOUT_MS 10000

/* In front of a write's payload: struct fuse_in_header and struct fuse_write_in. */
#define WRITE_HEADERS (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

/* What libfuse reads at most before INIT has settled it: 256 pages, and a page of headers. */
#define PAYLOAD_PAGES_MAX 256
#define HEADER_ROOM 4096

/* One in each line of the cache, as each thread counts its requests. */
struct worker {
	alignas(64) struct loop *loop;
	/* By all threads that were this one; see crew.h. */
	atomic_ulong nrequests, nsampled, nblocked, nqueued;
	struct mfs_spin spin;
	pthread_t thread; /* below: loop->lock */
	enum { ABSENT, AT_WORK, LEFT } state;
};

struct loop {
	struct fuse_session *session;
	int event_fd; /* eventfd: one of the next two */
	atomic_bool has_ended;
	atomic_bool looking;		  /* false: to be woken when there is something to see */
	atomic_int error;		  /* of the first worker that failed */
	atomic_uint wanted;		  /* workers: the crew's */
	atomic_uint nworkers;		  /* changed with lock */
	atomic_ulong nhelped;		  /* times that one was started for it */
	atomic_uint nheld_up;		  /* of them, by something that they have told of */
	alignas(64) atomic_uint nwaiting; /* of them, for a request */

	alignas(64) pthread_mutex_t lock;
	/* Below: lock. */
	bool ended;
	struct worker workers[WORKERS_ROOM];
	atomic_uint nplaces; /* of these that were ever taken; changed with lock */
};

struct receive_buffer {
	char *map;
	size_t map_nbytes;
	struct fuse_buf buf; /* mem is not the start of map: see above */
	void *mem;
};

static int receive_buffer_init(struct receive_buffer *b)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	/* One page in front, whose last bytes hold a write's headers; the rest as libfuse reads. */
	b->map_nbytes = page + PAYLOAD_PAGES_MAX * page + HEADER_ROOM + page;
	b->map = mmap(NULL, b->map_nbytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->map == MAP_FAILED)
		return -errno;
	b->mem = b->map + page - WRITE_HEADERS;
	return 0;
}

static void receive_buffer_unmap(void *arg)
{
	struct receive_buffer *b = arg;

	munmap(b->map, b->map_nbytes);
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	if (write(loop->event_fd, &one, sizeof(one)) < 0)
		mfs_log(LOG_ERR, "wake the main thread: %s", mfs_reason(-errno));
}

static void end_session(struct loop *loop, int error)
{
	int none = 0;

	if (error < 0)
		atomic_compare_exchange_strong(&loop->error, &none, error);
	atomic_store(&loop->has_ended, true);
	wake(loop);
}

static void *work(void *arg);

/* More than are wanted?  Those that are held up are no help. */
static bool is_surplus(struct loop *loop)
{
	return atomic_load_explicit(&loop->nworkers, memory_order_relaxed) >
	       atomic_load_explicit(&loop->wanted, memory_order_relaxed) +
		       atomic_load_explicit(&loop->nheld_up, memory_order_relaxed);
}

/* A place for one more, or NULL. */
static struct worker *free_place_locked(struct loop *loop)
{
	unsigned int nplaces = atomic_load(&loop->nplaces);

	for (unsigned int i = 0; i < nplaces; i++) {
		struct worker *worker = &loop->workers[i];

		if (worker->state == LEFT) { /* it has nothing more to do */
			pthread_join(worker->thread, NULL);
			worker->state = ABSENT;
		}
		if (worker->state == ABSENT)
			return worker;
	}
	if (nplaces == WORKERS_ROOM)
		return NULL;
	atomic_store(&loop->nplaces, nplaces + 1);
	return &loop->workers[nplaces];
}

static int start_worker_locked(struct loop *loop)
{
	struct worker *worker = free_place_locked(loop);
	int r;

	if (!worker)
		return -EAGAIN;
	worker->loop = loop;
	r = -pthread_create(&worker->thread, NULL, work, worker);
	if (r == 0) {
		worker->state = AT_WORK;
		atomic_fetch_add(&loop->nworkers, 1);
	}
	return r;
}

/*
 * Up to `most`, besides those that are held up.  A failure is no error as long as there is one
 * worker: requests only wait longer.
 */
static int start_workers(struct loop *loop, unsigned int most)
{
	int r = 0;

	pthread_mutex_lock(&loop->lock);
	while (r == 0 && !loop->ended &&
	       atomic_load(&loop->nworkers) < most + atomic_load(&loop->nheld_up))
		r = start_worker_locked(loop);
	if (atomic_load(&loop->nworkers) > 0)
		r = 0;
	pthread_mutex_unlock(&loop->lock);
	return r;
}

/* Is this one surplus, and has it left? */
static bool leave(struct worker *worker)
{
	struct loop *loop = worker->loop;

	pthread_mutex_lock(&loop->lock);
	if (!loop->ended && is_surplus(loop)) {
		worker->state = LEFT;
		atomic_fetch_sub(&loop->nworkers, 1);
	}
	pthread_mutex_unlock(&loop->lock);
	return worker->state == LEFT;
}

/* There is something to see. */
static void ask_for_looks(struct loop *loop)
{
	if (!atomic_load(&loop->looking) && !atomic_exchange(&loop->looking, true))
		wake(loop);
}

/* One request: its size; 0 or -errno when the session has ended. */
static int receive(struct worker *worker, struct receive_buffer *b)
{
	struct loop *loop = worker->loop;
	int r;

	do {
		b->buf = (struct fuse_buf){ .mem = b->mem };
		atomic_fetch_add(&loop->nwaiting, 1);
		if (atomic_load_explicit(&loop->nworkers, memory_order_relaxed) == 1)
			mfs_spin(&worker->spin, fuse_session_fd(loop->session));
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		r = fuse_session_receive_buf(loop->session, &b->buf);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (atomic_fetch_sub(&loop->nwaiting, 1) == 1)
			ask_for_looks(loop);
	} while (r == -EINTR || r == -EAGAIN);
	return r;
}

static _Thread_local struct loop *my_loop;

void mfs_loop_wait_begin(void)
{
	if (!my_loop)
		return;
	atomic_fetch_add(&my_loop->nheld_up, 1);
	/* At once: it is known that it takes long. */
	if (atomic_load(&my_loop->nwaiting) == 0) {
		atomic_fetch_add(&my_loop->nhelped, 1);
		start_workers(my_loop, atomic_load(&my_loop->wanted));
		ask_for_looks(my_loop);
	}
}

void mfs_loop_wait_end(void)
{
	if (my_loop)
		atomic_fetch_sub(&my_loop->nheld_up, 1);
}

/* Voluntary context switches of this thread. */
static unsigned long nswitches(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ? (unsigned long)usage.ru_nvcsw : 0;
}

/* Nobody else writes it. */
static void count(atomic_ulong *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* The next request: its size; 0 or -errno as receive(). */
static int serve_next(struct worker *worker, struct receive_buffer *b)
{
	int r = receive(worker, b);

	if (r > 0) {
		count(&worker->nrequests);
		fuse_session_process_buf(worker->loop->session, &b->buf);
	}
	return r;
}

/* Is there a request that nobody has received? */
static bool is_queued(const struct loop *loop)
{
	struct pollfd fd = { .fd = fuse_session_fd(loop->session), .events = POLLIN };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

/* The same, and looks how it goes: *ret_blocked. */
static int serve_sampled(struct worker *worker, struct receive_buffer *b, bool *ret_blocked)
{
	struct loop *loop = worker->loop;
	unsigned long before;
	int r;

	r = receive(worker, b);
	if (r <= 0)
		return r;
	count(&worker->nrequests);
	if (atomic_load(&loop->nwaiting) == 0 && is_queued(loop))
		count(&worker->nqueued);
	before = nswitches();
	fuse_session_process_buf(loop->session, &b->buf);
	*ret_blocked = nswitches() != before;
	if (*ret_blocked)
		count(&worker->nblocked);
	else if (atomic_load_explicit(&loop->nworkers, memory_order_relaxed) > MFS_CREW_MIN)
		ask_for_looks(loop); /* some may be in the way */
	count(&worker->nsampled);
	return r;
}

/* Until the session ends: 0 or -errno; or until it leaves: 1. */
static int serve(struct worker *worker, struct receive_buffer *b)
{
	struct loop *loop = worker->loop;
	bool blocked = false;
	int r;

	r = mfs_creds_own_umask();
	for (unsigned int i = 0; r >= 0; i++) {
		/* What blocks has time for it. */
		r = blocked || i % SAMPLE_EVERY == 0 ? serve_sampled(worker, b, &blocked)
						     : serve_next(worker, b);
		if (r <= 0)
			break;
		if (fuse_session_exited(loop->session))
			return 0;
		if (is_surplus(loop) && leave(worker))
			return 1;
	}
	return r;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct receive_buffer b;
	int r;

	my_loop = worker->loop;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	r = receive_buffer_init(&b);
	if (r < 0) {
		end_session(worker->loop, r);
		return NULL;
	}
	pthread_cleanup_push(receive_buffer_unmap, &b);
	r = serve(worker, &b);
	if (r <= 0)
		end_session(worker->loop, r);
	pthread_cleanup_pop(1);
	return NULL;
}

static void ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

void mfs_loop_block_signals(void)
{
	sigset_t set;

	ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit of the daemon's gives the writer EFBIG */
}

static struct mfs_crew_look look_at(struct loop *loop)
{
	unsigned int nworkers = atomic_load(&loop->nworkers);
	unsigned int nheld_up = atomic_load(&loop->nheld_up);
	struct mfs_crew_look look = {
		.nworkers = nworkers > nheld_up ? nworkers - nheld_up : 0,
		.nwaiting = atomic_load(&loop->nwaiting),
		.is_queued = is_queued(loop),
		.nhelped = atomic_load(&loop->nhelped),
	};
	unsigned int nplaces = atomic_load(&loop->nplaces);

	for (unsigned int i = 0; i < nplaces; i++) {
		struct worker *worker = &loop->workers[i];

		look.nrequests += atomic_load_explicit(&worker->nrequests, memory_order_relaxed);
		look.nsampled += atomic_load_explicit(&worker->nsampled, memory_order_relaxed);
		look.nblocked += atomic_load_explicit(&worker->nblocked, memory_order_relaxed);
		look.nqueued += atomic_load_explicit(&worker->nqueued, memory_order_relaxed);
	}
	return look;
}

/* What is to be done after a while, or after having been woken. */
static void look_after(struct loop *loop, struct mfs_crew *crew)
{
	struct mfs_crew_look look = look_at(loop);

	if (crew->interval_ms == 0)
		mfs_crew_begin(crew, &look);
	else
		mfs_crew_look(crew, &look);
	atomic_store(&loop->wanted, crew->wanted);
	if (look.nworkers < crew->wanted)
		start_workers(loop, crew->wanted);
	if (crew->interval_ms > 0)
		return;
	atomic_store(&loop->looking, false);
	if (atomic_load(&loop->nwaiting) == 0 && !atomic_exchange(&loop->looking, true))
		mfs_crew_begin(crew, &look);
}

/* What a poll of these says: 0, -ECANCELED at the end of the session, or -errno. */
static int after_poll(struct loop *loop, const struct pollfd fds[2])
{
	uint64_t n;

	if (fds[1].revents) {
		mfs_log(LOG_INFO, "end session: got a signal");
		return -ECANCELED;
	}
	if (fds[0].revents && read(loop->event_fd, &n, sizeof(n)) < 0)
		return -errno;
	return atomic_load(&loop->has_ended) ? -ECANCELED : 0;
}

/* Until a worker or a signal ends the session. */
static int wait_for_end(struct loop *loop)
{
	struct pollfd fds[2] = { { .fd = loop->event_fd, .events = POLLIN }, { .events = POLLIN } };
	struct mfs_crew crew;
	sigset_t set;
	int r;

	mfs_crew_init(&crew);
	ending_signals(&set);
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fds[1].fd < 0)
		return -errno;
	do {
		r = poll(fds, 2, crew.interval_ms > 0 ? (int)crew.interval_ms : -1);
		if (r < 0 && errno == EINTR)
			r = 0;
		r = r < 0 ? -errno : after_poll(loop, fds);
		if (r == 0)
			look_after(loop, &crew);
	} while (r == 0);
	close(fds[1].fd);
	return r == -ECANCELED ? 0 : r;
}

static void stop_workers(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ended = true;
	pthread_mutex_unlock(&loop->lock);
	fuse_session_exit(loop->session);
	for (unsigned int i = 0; i < loop->nplaces; i++)
		if (loop->workers[i].state == AT_WORK)
			pthread_cancel(loop->workers[i].thread);
	for (unsigned int i = 0; i < loop->nplaces; i++)
		if (loop->workers[i].state != ABSENT)
			pthread_join(loop->workers[i].thread, NULL);
}

static int receive_first(struct fuse_session *session, struct receive_buffer *b)
{
	struct pollfd fd = { .fd = fuse_session_fd(session), .events = POLLIN };
	int r;

	do {
		r = poll(&fd, 1, INIT_TIMEOUT_MS);
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0) {
			r = -errno;
			continue;
		}
		b->buf = (struct fuse_buf){ .mem = b->mem };
		r = fuse_session_receive_buf(session, &b->buf);
	} while (r == -EINTR || r == -EAGAIN);
	return r == 0 ? -ENODEV : r;
}

int mfs_loop_initialize(struct fuse_session *session, const bool *initialized)
{
	struct receive_buffer b;
	int r;

	r = receive_buffer_init(&b);
	if (r < 0)
		return r;
	do {
		r = receive_first(session, &b);
		if (r < 0)
			break;
		fuse_session_process_buf(session, &b.buf);
		r = fuse_session_exited(session) ? -EPROTO : 0;
	} while (r == 0 && !*initialized);
	receive_buffer_unmap(&b);
	return r;
}

static struct loop *loop_new(struct fuse_session *session)
{
	struct loop *loop = aligned_alloc(alignof(struct loop), sizeof(*loop));

	if (!loop)
		return NULL;
	memset(loop, 0, sizeof(*loop));
	loop->session = session;
	atomic_init(&loop->wanted, MFS_CREW_MIN);
	pthread_mutex_init(&loop->lock, NULL);
	return loop;
}

int mfs_loop(struct fuse_session *session, void (*ending)(void *arg), void *arg)
{
	struct loop *loop = loop_new(session);
	int r;

	if (!loop)
		return -ENOMEM;
	loop->event_fd = eventfd(0, EFD_CLOEXEC);
	r = loop->event_fd < 0 ? -errno : start_workers(loop, MFS_CREW_MIN);
	if (r == 0)
		r = wait_for_end(loop);
	ending(arg);
	stop_workers(loop);
	if (r == 0)
		r = atomic_load(&loop->error);
	if (loop->event_fd >= 0)
		close(loop->event_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return r;
}
