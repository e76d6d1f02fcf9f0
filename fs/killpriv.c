/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * killpriv.c - asks the kernel for FUSE_HANDLE_KILLPRIV_V2, also where libfuse doesn't know it
 *
 * Reads what the kernel offers in INIT, and adds the flag to libfuse's answer.  INIT is the first
 * request and answered before any other is received, by the thread that received it.
 */
#include "config.h"

#include "fs/killpriv.h"

#include "fs/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#if HAVE_FUSE_CUSTOM_IO && !HAVE_FUSE_CAP_HANDLE_KILLPRIV_V2 && defined(FUSE_HANDLE_KILLPRIV_V2)

/* Of INIT: not 0 from its receipt to its answer if the kernel offers the flag. */
static uint64_t unique_of_init;
static bool is_initialized;

static void see_request(const void *buf, size_t nbytes)
{
	const struct fuse_in_header *in = buf;
	const struct fuse_init_in *init = (const void *)(in + 1);

	if (nbytes >= sizeof(*in) + 16 && in->opcode == FUSE_INIT &&
	    (init->flags & FUSE_HANDLE_KILLPRIV_V2))
		unique_of_init = in->unique;
}

static void see_answer(const struct iovec *iov, int n)
{
	const struct fuse_out_header *out = iov[0].iov_base;

	/* 24: what libfuse answers to kernels that are older than the flag is shorter */
	if (out->unique != unique_of_init || out->error != 0 || n < 2 || iov[1].iov_len <= 24)
		return;
	((struct fuse_init_out *)iov[1].iov_base)->flags |= FUSE_HANDLE_KILLPRIV_V2;
	unique_of_init = 0;
	is_initialized = true;
}

static ssize_t read_request(int fd, void *buf, size_t nbytes, void *userdata)
{
	ssize_t n = read(fd, buf, nbytes);

	(void)userdata;
	if (!is_initialized && n > 0)
		see_request(buf, (size_t)n);
	return n;
}

static ssize_t write_answer(int fd, struct iovec *iov, int n, void *userdata)
{
	(void)userdata;
	if (unique_of_init != 0)
		see_answer(iov, n);
	return writev(fd, iov, n);
}

void mfs_killpriv_prepare(struct fuse_session *session)
{
	static const struct fuse_custom_io io = { .read = read_request, .writev = write_answer };

	if (fuse_session_custom_io(session, &io, fuse_session_fd(session)) < 0)
		mfs_log(LOG_INFO, "start: this libfuse can't ask for FUSE_HANDLE_KILLPRIV_V2, so "
				  "writes through the cache are slower");
}

#else

void mfs_killpriv_prepare(struct fuse_session *session)
{
	(void)session;
}

#endif
