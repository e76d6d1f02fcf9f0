/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preserve.c - old blocks that snapshots need: SOURCE/.mirrorfs/preserve/
 *
 * Life of a block: put() adds it to the queue, and to a table in which get() finds it; the
 * thread takes the oldest, writes it, and only then takes it out of the table.  So there is
 * no moment at which it can be found in neither place.
 *
 * Every block that is queued holds a reference to its image's file, and so does the block that
 * the thread is writing.  Hence close() waits for nobody: it marks the file as dead, takes its
 * blocks out of the queue, and whoever gives the last reference back frees it.
 */
#include "config.h"

#include "fs/preserve.h"

#include "fs/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIRECTORY "preserve"

/* Blocks that wait to be written, at most. */
#define QUEUE_MAX ((size_t)64 << 20)

/* What is left to guests of the filesystem's space: this, or a twentieth of it all, if less. */
#define RESERVE_MAX ((uint64_t)1 << 30)

/* Free space is looked at again after so many bytes. */
#define SPACE_STEP ((uint64_t)1 << 20)

/* How long the end waits for a write that hangs. */
#define CLOSE_TIMEOUT_MS 2000

#define BUCKETS 1024 /* a power of two */

struct block {
	struct mfs_preserved *file;
	struct block *next;	/* in the queue */
	struct block *in_chain; /* of its bucket */
	uint64_t offset;
	size_t nbytes;
	void *data;   /* owned; NULL: no block, but the wish to discard all that is written */
	bool dropped; /* nobody reads it any more; preserve->lock */
};

struct mfs_preserved {
	struct mfs_preserve *preserve;
	void *owner;
	/* Below: preserve->lock. */
	unsigned int refs;
	bool dead;
	bool telling;	/* failed() is running */
	bool discarded; /* what is put from now on is refused */
	uint64_t nbytes;
	int fd; /* -1 until the thread has made it; then it doesn't change */
};

struct mfs_preserve {
	const struct bmf_io *io;
	struct mfs_preserve_options options;
	int fd; /* of the directory */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work; /* something is queued, or stop */
	pthread_cond_t room; /* something has left the queue, failed() has returned, or ended */
	/* Below: lock. */
	bool stop, ended;
	struct block *first, **end;
	struct block *buckets[BUCKETS];
	size_t queued;	   /* bytes, with what is being written */
	uint64_t nbytes;   /* of all files, queued or written */
	uint64_t unlooked; /* bytes since free space was looked at */
	uint64_t next_name;
};

/* --- the table */

static struct block **chain_of(struct mfs_preserve *p, const struct mfs_preserved *file,
			       uint64_t offset)
{
	uint64_t key =
		((uint64_t)(uintptr_t)file >> 4) ^ (offset >> 12) * UINT64_C(0x9e3779b97f4a7c15);

	return &p->buckets[(key ^ key >> 32) & (BUCKETS - 1)];
}

static struct block *find_locked(struct mfs_preserve *p, const struct mfs_preserved *file,
				 uint64_t offset)
{
	struct block *b = *chain_of(p, file, offset);

	while (b && (b->file != file || b->offset != offset))
		b = b->in_chain;
	return b;
}

static void unlist_locked(struct mfs_preserve *p, struct block *b)
{
	struct block **link = chain_of(p, b->file, b->offset);

	while (*link != b)
		link = &(*link)->in_chain;
	*link = b->in_chain;
}

/* --- references */

/* Gives one back.  The descriptor to be closed by the caller without the lock, or -1. */
static int put_file_locked(struct mfs_preserved *file)
{
	int fd = file->fd;

	if (--file->refs > 0)
		return -1;
	file->preserve->nbytes -= file->nbytes;
	free(file);
	return fd;
}

/* It has left the queue and the table: what is freed with it may be its file. */
static int block_free_locked(struct mfs_preserve *p, struct block *b)
{
	int fd = put_file_locked(b->file);

	p->queued -= b->nbytes;
	pthread_cond_broadcast(&p->room);
	free(b->data);
	free(b);
	return fd;
}

/*
 * Nobody reads what is queued of that file any more: so that its memory is free for others, also
 * while the thread hangs in the disk.  The caller has a reference.
 */
static void forget_queued_locked(struct mfs_preserve *p, struct mfs_preserved *file)
{
	struct block **link = &p->first, *b;

	p->end = &p->first;
	while ((b = *link)) {
		if (b->file == file && b->data) {
			*link = b->next;
			unlist_locked(p, b);
			block_free_locked(p, b); /* not the last reference */
			continue;
		}
		link = &b->next;
		p->end = link;
	}
}

/* --- the thread */

/* A file without a name: it is gone with its descriptor, however this process ends. */
static int make_file(struct mfs_preserve *p, uint64_t number)
{
	char name[32];
	int fd, r;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
	fd = p->io->openat(p->io, p->fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = p->io->unlinkat(p->io, p->fd, name, 0);
	if (r < 0) {
		p->io->close(p->io, fd);
		return r;
	}
	return fd;
}

static void account_locked(struct mfs_preserved *file, uint64_t less)
{
	file->nbytes -= less;
	file->preserve->nbytes -= less;
}

static int punch(struct mfs_preserve *p, int fd, uint64_t offset, size_t nbytes)
{
	return p->io->fallocate(p->io, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)offset, (off_t)nbytes);
}

static int write_block(struct mfs_preserve *p, const struct block *b, int *fd, uint64_t number)
{
	ssize_t n;

	if (*fd < 0) {
		*fd = make_file(p, number);
		if (*fd < 0)
			return *fd;
	}
	n = p->io->pwrite(p->io, *fd, b->data, b->nbytes, (off_t)b->offset);
	return n < 0 ? (int)n : 0;
}

/* What the thread does with what it has taken from the queue, without the lock. */
static int carry_out(struct mfs_preserve *p, const struct block *b, bool wanted, int *fd,
		     uint64_t number)
{
	if (b->data)
		return wanted ? write_block(p, b, fd, number) : 0;
	if (*fd >= 0)
		p->io->ftruncate(p->io, *fd, 0); /* if it fails the space comes back later */
	return 0;
}

/* One that lives isn't closed while it is told: close() waits for it. */
static void tell_locked(struct mfs_preserve *p, struct mfs_preserved *file, int error)
{
	file->telling = true;
	pthread_mutex_unlock(&p->lock);
	p->options.failed(file->owner, error);
	pthread_mutex_lock(&p->lock);
	file->telling = false;
	pthread_cond_broadcast(&p->room);
}

/* Takes the oldest from the queue.  Called and returns with the lock held. */
static void work_locked(struct mfs_preserve *p)
{
	struct block *b = p->first;
	struct mfs_preserved *file = b->file;
	uint64_t number = p->next_name;
	int fd = file->fd, r, dead_fd;
	bool wanted = !b->dropped && !file->dead;

	p->first = b->next;
	if (!p->first)
		p->end = &p->first;
	p->next_name += fd < 0;
	pthread_mutex_unlock(&p->lock);
	r = carry_out(p, b, wanted, &fd, number);
	pthread_mutex_lock(&p->lock);
	/* Both before the block leaves the table, for from then on get() reads the file. */
	file->fd = fd;
	if (r < 0 && !file->dead)
		tell_locked(p, file, r);
	if (b->data)
		unlist_locked(p, b);
	if (wanted && b->dropped && fd >= 0) { /* meanwhile */
		pthread_mutex_unlock(&p->lock);
		punch(p, fd, b->offset, b->nbytes);
		pthread_mutex_lock(&p->lock);
	}
	dead_fd = block_free_locked(p, b);
	if (dead_fd >= 0) {
		pthread_mutex_unlock(&p->lock);
		p->io->close(p->io, dead_fd);
		pthread_mutex_lock(&p->lock);
	}
}

static void *work(void *arg)
{
	struct mfs_preserve *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->stop || p->first) {
		if (p->first)
			work_locked(p);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	p->ended = true;
	pthread_cond_broadcast(&p->room);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* --- opening and closing */

static int remove_leftover(const char *name, void *arg)
{
	struct mfs_preserve *p = arg;

	p->io->unlinkat(p->io, p->fd, name, 0); /* what stays costs space, and has another name */
	return 0;
}

static int open_directory(struct mfs_preserve *p, int dir_fd)
{
	const struct bmf_io *io = p->io;
	int r = io->mkdirat(io, dir_fd, DIRECTORY, 0700);

	if (r < 0 && r != -EEXIST)
		return r;
	p->fd = io->openat(io, dir_fd, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			   0);
	if (p->fd < 0)
		return p->fd;
	return io->each_name(io, p->fd, remove_leftover, p);
}

int mfs_preserve_open(const struct bmf_io *io, int dir_fd,
		      const struct mfs_preserve_options *options, struct mfs_preserve **ret)
{
	struct mfs_preserve *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->io = io;
	p->options = *options;
	p->fd = -1;
	p->end = &p->first;
	p->unlooked = SPACE_STEP; /* look at the first */
	p->next_name = (uint64_t)getpid() << 32;
	r = open_directory(p, dir_fd);
	if (r == 0) {
		pthread_mutex_init(&p->lock, NULL);
		pthread_cond_init(&p->work, NULL);
		mfs_deadline_cond_init(&p->room);
		r = -pthread_create(&p->thread, NULL, work, p);
	}
	if (r < 0) {
		if (p->fd >= 0)
			io->close(io, p->fd);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void mfs_preserve_close(struct mfs_preserve *p)
{
	struct timespec until = mfs_deadline(CLOSE_TIMEOUT_MS);
	bool ended;
	int r = 0;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->work);
	while (!p->ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&p->room, &p->lock, &until);
	ended = p->ended;
	pthread_mutex_unlock(&p->lock);
	if (!ended)
		return; /* its disk does not let it come back: it goes with the process */
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	p->io->close(p->io, p->fd);
	free(p);
}

int mfs_preserved_open(struct mfs_preserve *p, void *owner, struct mfs_preserved **ret)
{
	struct mfs_preserved *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->preserve = p;
	file->owner = owner;
	file->refs = 1;
	file->fd = -1;
	*ret = file;
	return 0;
}

void mfs_preserved_close(struct mfs_preserved *file)
{
	struct mfs_preserve *p;
	int fd;

	if (!file)
		return;
	p = file->preserve;
	pthread_mutex_lock(&p->lock);
	while (file->telling)
		pthread_cond_wait(&p->room, &p->lock);
	file->dead = true;
	forget_queued_locked(p, file);
	fd = put_file_locked(file);
	pthread_mutex_unlock(&p->lock);
	if (fd >= 0)
		p->io->close(p->io, fd);
}

/* --- putting and getting */

/* Would nbytes more be too much?  Guests come first (I3). */
static int check_space_locked(struct mfs_preserve *p, size_t nbytes)
{
	uint64_t free_bytes, reserve;
	struct statvfs sfs;

	if (p->options.limit_nbytes && p->nbytes + nbytes > p->options.limit_nbytes)
		return -E2BIG;
	p->unlooked += nbytes;
	if (p->unlooked < SPACE_STEP)
		return 0;
	if (fstatvfs(p->fd, &sfs) < 0)
		return -errno;
	reserve = (uint64_t)sfs.f_blocks * sfs.f_frsize / 20;
	if (reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	free_bytes = (uint64_t)sfs.f_bavail * sfs.f_frsize;
	/* what is queued is not written yet */
	if (free_bytes < reserve + p->queued + nbytes)
		return -ENOSPC;
	p->unlooked = 0;
	return 0;
}

static int wait_for_room_locked(struct mfs_preserve *p, size_t nbytes,
				const struct timespec *deadline)
{
	while (p->queued + nbytes > QUEUE_MAX)
		if (pthread_cond_timedwait(&p->room, &p->lock, deadline) == ETIMEDOUT &&
		    p->queued + nbytes > QUEUE_MAX)
			return -ETIMEDOUT;
	return 0;
}

static void queue_locked(struct mfs_preserve *p, struct block *b)
{
	b->file->refs++;
	*p->end = b;
	p->end = &b->next;
	p->queued += b->nbytes;
	pthread_cond_signal(&p->work);
}

int mfs_preserved_put(struct mfs_preserved *file, void *data, size_t nbytes, uint64_t offset,
		      const struct timespec *deadline)
{
	struct mfs_preserve *p = file->preserve;
	struct block *b = calloc(1, sizeof(*b)), **chain;
	int r;

	if (!b) {
		free(data);
		return -ENOMEM;
	}
	*b = (struct block){ .file = file, .offset = offset, .nbytes = nbytes, .data = data };
	pthread_mutex_lock(&p->lock);
	r = wait_for_room_locked(p, nbytes, deadline);
	if (r == 0)
		r = file->discarded ? -ECANCELED : check_space_locked(p, nbytes);
	if (r == 0) {
		chain = chain_of(p, file, offset);
		b->in_chain = *chain;
		*chain = b;
		file->nbytes += nbytes;
		p->nbytes += nbytes;
		queue_locked(p, b);
	}
	pthread_mutex_unlock(&p->lock);
	if (r != 0) {
		free(data);
		free(b);
	}
	return r;
}

int mfs_preserved_get(struct mfs_preserved *file, void *buf, size_t nbytes, uint64_t offset)
{
	struct mfs_preserve *p = file->preserve;
	const struct block *b;
	ssize_t n;
	int fd;

	pthread_mutex_lock(&p->lock);
	b = find_locked(p, file, offset);
	if (b)
		memcpy(buf, b->data, nbytes);
	fd = file->fd;
	pthread_mutex_unlock(&p->lock);
	if (b)
		return 0;
	n = fd < 0 ? -EIO : p->io->pread(p->io, fd, buf, nbytes, (off_t)offset);
	return n < 0 ? (int)n : (size_t)n < nbytes ? -EIO : 0;
}

void mfs_preserved_drop(struct mfs_preserved *file, uint64_t offset, size_t nbytes)
{
	struct mfs_preserve *p = file->preserve;
	struct block *b;
	int fd = -1;

	pthread_mutex_lock(&p->lock);
	if (!file->discarded) {
		account_locked(file, nbytes);
		b = find_locked(p, file, offset);
		if (b)
			b->dropped = true;
		else
			fd = file->fd;
	}
	pthread_mutex_unlock(&p->lock);
	if (fd >= 0)
		punch(p, fd, offset, nbytes); /* if it can't, the space comes back at the end */
}

void mfs_preserved_discard(struct mfs_preserved *file)
{
	struct mfs_preserve *p = file->preserve;
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return; /* the space comes back at the end */
	b->file = file;
	pthread_mutex_lock(&p->lock);
	forget_queued_locked(p, file);
	account_locked(file, file->nbytes);
	file->discarded = true;
	queue_locked(p, b);
	pthread_mutex_unlock(&p->lock);
}

uint64_t mfs_preserved_nbytes(struct mfs_preserved *file)
{
	uint64_t nbytes;

	pthread_mutex_lock(&file->preserve->lock);
	nbytes = file->nbytes;
	pthread_mutex_unlock(&file->preserve->lock);
	return nbytes;
}
