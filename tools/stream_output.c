/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_output.c - bytes to a descriptor, one after the other */
#include "config.h"

#include "tools/pace.h"
#include "tools/stream_output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Asked for in advance: what makes a file longer isn't written side by side. */
#define ROOM_STEP ((uint64_t)64 << 20)
#define PLENTY_OF_STEPS 16

/* One write after the other is what disks like best. */
#define THREADS 4

void stream_output_init(struct stream_output *output, int fd, bool one_by_one)
{
	off_t pos = lseek(fd, 0, SEEK_CUR);
	struct stat st;

	*output = (struct stream_output){
		.fd = fd, .copy = { .sink = &copy_to_file, .dest = { .fd = -1, .direct_fd = -1 } }
	};
	output->is_file = !one_by_one && pos >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
			  !(fcntl(fd, F_GETFL) & O_APPEND);
	if (output->is_file)
		output->pos = output->room = (uint64_t)pos;
}

void stream_output_destroy(struct stream_output *output)
{
	if (!output->copy.ring)
		return;
	while (copy_drain(&output->copy) < 0)
		;
	direct_close(&output->copy.dest);
	copy_ring_free(output->copy.ring);
	output->copy.ring = NULL;
}

static int write_all(int fd, const char *buf, size_t nbytes)
{
	size_t done = 0;

	while (done < nbytes) {
		ssize_t n = write(fd, buf + done, nbytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Is there so much that nobody lacks what we take in advance: staged files, digests, guests? */
static bool is_plenty(int fd)
{
	struct statvfs fs;

	return fstatvfs(fd, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize >= PLENTY_OF_STEPS * ROOM_STEP;
}

/* If it can't be had in advance, it may be there yet; a part that was got by then is given back. */
static void make_room(struct stream_output *output, size_t nbytes)
{
	if (output->pos + nbytes <= output->room)
		return;
	output->room = output->pos + nbytes;
	if (!is_plenty(output->fd))
		return;
	if (fallocate(output->fd, 0, (off_t)output->pos, ROOM_STEP) == 0)
		output->room = output->pos + ROOM_STEP;
	else if (ftruncate(output->fd, (off_t)output->pos) < 0)
		return;
}

static int begin_ring(struct stream_output *output)
{
	int r = copy_ring_new(THREADS, &output->copy.ring);

	if (r == 0)
		direct_open(&output->copy.dest, output->fd, O_WRONLY);
	return r;
}

int stream_output_write(struct stream_output *output, const void *buf, size_t nbytes)
{
	int r = 0;

	if (!output->copy.ring && output->is_file && nbytes >= COPY_PIECE)
		r = begin_ring(output);
	if (r < 0)
		return r;
	if (!output->copy.ring) {
		pace_write(nbytes);
		r = write_all(output->fd, buf, nbytes);
	} else {
		make_room(output, nbytes);
		r = copy_put(&output->copy, buf, nbytes, output->pos);
	}
	if (r == 0)
		output->pos += nbytes;
	return r;
}

int stream_output_end(struct stream_output *output)
{
	int r;

	if (!output->copy.ring)
		return 0;
	r = copy_drain(&output->copy);
	if (r == 0 && ftruncate(output->fd, (off_t)output->pos) < 0)
		r = -errno;
	if (r == 0 && lseek(output->fd, (off_t)output->pos, SEEK_SET) < 0)
		r = -errno;
	return r;
}
