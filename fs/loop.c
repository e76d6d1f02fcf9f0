/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c - threads that receive requests and carry them out
 *
 * Threads: the caller of mfs_loop() waits, on a signalfd for the signals that end the
 * session, and on an eventfd for a worker that says that it has ended.  Then it
 * cancels all workers.  They can be cancelled only while they receive; so one
 * that is carrying out a request finishes it first.  No worker starts another once
 * `ended` is set, so the joiner knows them all.
 *
 * No thread of libfuse's is used, for these need buffers of their own layout.
 */
#include "config.h"

#include "fs/loop.h"

#include "fs/creds.h"
#include "fs/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

/* Not counted are those that wait (mfs_loop_wait_begin), up to the second figure. */
#define WORKERS_MAX 64
#define WORKERS_ROOM 512

/* The kernel sends INIT at once; who never gets it must not wait for ever. */
#define INIT_TIMEOUT_MS 10000

/* In front of a write's payload: struct fuse_in_header and struct fuse_write_in. */
#define WRITE_HEADERS (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))

/* What libfuse reads at most before INIT has settled it: 256 pages, and a page of headers. */
#define PAYLOAD_PAGES_MAX 256
#define HEADER_ROOM 4096

struct loop {
	struct fuse_session *session;
	int ended_fd;	      /* eventfd */
	atomic_int error;     /* of the first worker that failed */
	atomic_uint nwaiting; /* for a request */
	atomic_uint nheld_up; /* by something else */

	pthread_mutex_t lock;
	/* Below: lock. */
	bool ended;
	unsigned int nworkers;
	pthread_t workers[WORKERS_ROOM];
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

static void end_session(struct loop *loop, int error)
{
	int none = 0;
	uint64_t one = 1;

	if (error < 0)
		atomic_compare_exchange_strong(&loop->error, &none, error);
	if (write(loop->ended_fd, &one, sizeof(one)) < 0)
		mfs_log(LOG_ERR, "end session: %s", mfs_reason(-errno));
}

static void *work(void *arg);

/* A failure is no error as long as there is one worker: requests only wait longer. */
static int start_worker(struct loop *loop)
{
	int r = 0;

	pthread_mutex_lock(&loop->lock);
	if (!loop->ended && loop->nworkers < WORKERS_ROOM &&
	    loop->nworkers < WORKERS_MAX + atomic_load(&loop->nheld_up)) {
		r = -pthread_create(&loop->workers[loop->nworkers], NULL, work, loop);
		if (r == 0)
			loop->nworkers++;
	}
	pthread_mutex_unlock(&loop->lock);
	return r;
}

/* One request: its size; 0 or -errno when the session has ended. */
static int receive(struct loop *loop, struct receive_buffer *b)
{
	int r;

	do {
		b->buf = (struct fuse_buf){ .mem = b->mem };
		atomic_fetch_add(&loop->nwaiting, 1);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		r = fuse_session_receive_buf(loop->session, &b->buf);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (atomic_fetch_sub(&loop->nwaiting, 1) == 1 && r > 0)
			start_worker(loop);
	} while (r == -EINTR || r == -EAGAIN);
	return r;
}

static _Thread_local struct loop *my_loop;

void mfs_loop_wait_begin(void)
{
	if (!my_loop)
		return;
	atomic_fetch_add(&my_loop->nheld_up, 1);
	if (atomic_load(&my_loop->nwaiting) == 0)
		start_worker(my_loop);
}

void mfs_loop_wait_end(void)
{
	if (my_loop)
		atomic_fetch_sub(&my_loop->nheld_up, 1);
}

static void *work(void *arg)
{
	struct loop *loop = arg;
	struct receive_buffer b;
	int r;

	my_loop = loop;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	r = receive_buffer_init(&b);
	if (r < 0) {
		end_session(loop, r);
		return NULL;
	}
	pthread_cleanup_push(receive_buffer_unmap, &b);
	r = mfs_creds_own_umask();
	while (r >= 0) {
		r = receive(loop, &b);
		if (r <= 0)
			break;
		fuse_session_process_buf(loop->session, &b.buf);
		if (fuse_session_exited(loop->session))
			break;
	}
	end_session(loop, r < 0 ? r : 0);
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

/* Until a worker or a signal ends the session. */
static int wait_for_end(struct loop *loop)
{
	struct pollfd fds[2] = { { .fd = loop->ended_fd, .events = POLLIN }, { .events = POLLIN } };
	sigset_t set;
	int r;

	ending_signals(&set);
	fds[1].fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fds[1].fd < 0)
		return -errno;
	do {
		r = poll(fds, 2, -1);
	} while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	if (fds[1].revents)
		mfs_log(LOG_INFO, "end session: got a signal");
	close(fds[1].fd);
	return r;
}

static void stop_workers(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ended = true;
	pthread_mutex_unlock(&loop->lock);
	fuse_session_exit(loop->session);
	for (unsigned int i = 0; i < loop->nworkers; i++)
		pthread_cancel(loop->workers[i]);
	for (unsigned int i = 0; i < loop->nworkers; i++)
		pthread_join(loop->workers[i], NULL);
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

int mfs_loop(struct fuse_session *session, void (*ending)(void *arg), void *arg)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->session = session;
	atomic_init(&loop->error, 0);
	atomic_init(&loop->nwaiting, 0);
	atomic_init(&loop->nheld_up, 0);
	pthread_mutex_init(&loop->lock, NULL);
	loop->ended_fd = eventfd(0, EFD_CLOEXEC);
	r = loop->ended_fd < 0 ? -errno : start_worker(loop);
	if (r == 0)
		r = wait_for_end(loop);
	ending(arg);
	stop_workers(loop);
	if (r == 0)
		r = atomic_load(&loop->error);
	if (loop->ended_fd >= 0)
		close(loop->ended_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return r;
}
