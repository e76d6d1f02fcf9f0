/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stream_faults.c - delta streams on full disks, through slow pipes, without memory
 *
 * The program is linked such that read(2) and write(2) come by here (see the Makefile):
 * they do little at a time, are interrupted, or fail when it is their turn.
 */
#include "config.h"

#include "tests/unit/faultmem.h"
#include "tests/unit/streams.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *buf, size_t nbytes);
ssize_t __real_write(int fd, const void *buf, size_t nbytes);
ssize_t __wrap_read(int fd, void *buf, size_t nbytes);
ssize_t __wrap_write(int fd, const void *buf, size_t nbytes);

/* What is done to calls: at most so many bytes (0: any); the nth from now on fails (0: none). */
static struct {
	size_t most;
	unsigned int fail_in;
	int error;
	unsigned int ninterrupted;
	bool interrupt;
} faults;

/* True when the call is to fail, with errno set. */
static bool is_due(size_t *nbytes)
{
	if (faults.interrupt && ++faults.ninterrupted % 2) {
		errno = EINTR;
		return true;
	}
	if (faults.most && *nbytes > faults.most)
		*nbytes = faults.most;
	if (faults.fail_in == 0 || --faults.fail_in > 0)
		return false;
	errno = faults.error;
	return true;
}

ssize_t __wrap_read(int fd, void *buf, size_t nbytes)
{
	return is_due(&nbytes) ? -1 : __real_read(fd, buf, nbytes);
}

ssize_t __wrap_write(int fd, const void *buf, size_t nbytes)
{
	return is_due(&nbytes) ? -1 : __real_write(fd, buf, nbytes);
}

static void no_faults(void)
{
	memset(&faults, 0, sizeof(faults));
	faultmem_arm(0, false);
}

/* A few bytes at a time, every other call interrupted. */
START_TEST(test_short_and_interrupted)
{
	struct streams_file sample = streams_sample(true, 0);
	int fd = streams_fd("", 0), r;
	uint8_t *bytes = malloc(sample.nbytes);
	char *text;

	for (faults.most = 1; faults.most < 60; faults.most += 7) {
		faults.interrupt = true;
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		lseek(fd, 0, SEEK_SET);
		ck_assert_int_eq(streams_write_sample(fd, true, 0), 0);
		ck_assert_int_eq(pread(fd, bytes, sample.nbytes, 0), (ssize_t)sample.nbytes);
		ck_assert_mem_eq(bytes, sample.bytes, sample.nbytes);
		lseek(fd, 0, SEEK_SET);
		text = streams_read(fd, true, &r, NULL);
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(text, sample.text);
		free(text);
	}
	no_faults();
	free(bytes);
	close(fd);
	streams_file_free(&sample);
}
END_TEST

/* Every write fails once, in pieces of a few bytes: told, whatever write it was. */
START_TEST(test_write_fails)
{
	struct streams_file sample = streams_sample(true, 0);
	unsigned int n;
	int fd = streams_fd("", 0), r = -1;

	for (n = 1; r < 0; n++) {
		faults.most = 64;
		faults.fail_in = n;
		faults.error = n % 2 ? ENOSPC : EIO;
		lseek(fd, 0, SEEK_SET);
		r = streams_write_sample(fd, true, 0);
		if (faults.fail_in == 0)
			ck_assert_int_eq(r, n % 2 ? -ENOSPC : -EIO);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(n, sample.nbytes / 64);
	no_faults();
	close(fd);
	streams_file_free(&sample);
}
END_TEST

START_TEST(test_read_fails)
{
	struct streams_file sample = streams_sample(true, 0);
	struct bmf_error err;
	int fd = streams_fd(sample.bytes, sample.nbytes), r = -1;
	unsigned int n;
	char *text = NULL;

	for (n = 1; r < 0; n++) {
		faults.most = 64;
		faults.fail_in = n;
		faults.error = EIO;
		lseek(fd, 0, SEEK_SET);
		text = streams_read(fd, true, &r, &err);
		if (faults.fail_in == 0) {
			ck_assert_int_eq(r, -EIO);
			ck_assert_int_eq(err.code, -EIO);
		}
	}
	ck_assert_str_eq(text, sample.text);
	ck_assert_uint_gt(n, sample.nbytes / 64);
	free(text);
	no_faults();
	close(fd);
	streams_file_free(&sample);
}
END_TEST

/* After its first failure a writer does nothing more, and says the same. */
START_TEST(test_failure_stays)
{
	struct stream_header header = streams_header(false);
	struct stream_node top = { .path = "", .meta.st.st_mode = S_IFDIR | 0755 };
	struct stream_writer *w;
	int fd = streams_fd("", 0);

	ck_assert_int_eq(stream_writer_new(fd, &header, 0, &w), 0);
	ck_assert_int_eq(stream_put_node(w, &top), 0);
	faults.fail_in = 1;
	faults.error = ENOSPC;
	ck_assert_int_eq(stream_finish(w, NULL), -ENOSPC);
	no_faults();
	ck_assert_int_eq(stream_finish(w, NULL), -ENOSPC);
	ck_assert_int_eq(stream_put_link(w, "a"), -ENOSPC);
	ck_assert_int_eq(stream_put_node(w, &top), -ENOSPC);
	ck_assert_int_eq(stream_begin_content(w, 0), -ENOSPC);
	ck_assert_int_eq(stream_put_data(w, 0, "", 1), -ENOSPC);
	ck_assert_int_eq(stream_put_zero(w, 0, 1), -ENOSPC);
	ck_assert_int_eq(stream_put_digests(w, 0, "", 1), -ENOSPC);
	ck_assert_int_eq(stream_end_content(w), -ENOSPC);
	stream_writer_free(w);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	close(fd);
}
END_TEST

/* What the caller does wrong, and what a source has too much of. */
START_TEST(test_writer_refuses)
{
	struct stream_header header = streams_header(false), bad = header;
	struct stream_node top = { .path = "", .meta.st.st_mode = S_IFDIR | 0755 }, node = top;
	char *longest = malloc(STREAM_PATH_MAX + 2);
	struct xattr large = { .name = longest, .value = longest, .nbytes = STREAM_XATTRS_MAX };
	int fd = streams_fd("", 0);
	struct stream_writer *w = NULL;

#define AFTER_TOP(code, call)                                               \
	do {                                                                \
		ck_assert_int_eq(stream_writer_new(fd, &header, 0, &w), 0); \
		ck_assert_int_eq(stream_put_node(w, &top), 0);              \
		ck_assert_int_eq(call, code);                               \
		stream_writer_free(w);                                      \
	} while (0)
	bad.to = 0;
	ck_assert_int_eq(stream_writer_new(fd, &bad, 0, &w), -EINVAL);
	ck_assert_ptr_null(w);
	stream_writer_free(NULL);
	stream_reader_close(NULL);
	AFTER_TOP(-EINVAL, stream_put_node(w, &top));
	AFTER_TOP(-EINVAL, stream_put_link(w, "a"));
	AFTER_TOP(-EINVAL, stream_begin_content(w, 0));
	AFTER_TOP(-EINVAL, stream_put_data(w, 0, "", 1));
	AFTER_TOP(-EINVAL, stream_end_content(w));
	AFTER_TOP(0, stream_finish(w, NULL));
	AFTER_TOP(-EINVAL, (stream_finish(w, NULL), stream_finish(w, NULL)));
	for (size_t i = 0; i < STREAM_PATH_MAX + 1; i++)
		longest[i] = 'a';
	longest[STREAM_PATH_MAX + 1] = '\0';
	node.path = longest;
	AFTER_TOP(-ENAMETOOLONG, stream_put_node(w, &node));
	longest[STREAM_PATH_MAX] = '\0';
	AFTER_TOP(0, stream_put_node(w, &node));
	longest[STREAM_NAME_MAX] = '\0';
	node.meta.xattrs = (struct xattrs){ &large, 1 };
	AFTER_TOP(-E2BIG, stream_put_node(w, &node));
	large.nbytes = 100;
	AFTER_TOP(0, stream_put_node(w, &node));
#undef AFTER_TOP
	free(longest);
	close(fd);
}
END_TEST

START_TEST(test_full_device)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC), ends[2];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(streams_write_sample(fd, false, 0), -ENOSPC);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	ck_assert_int_eq(streams_write_sample(ends[1], false, 0), -EPIPE);
	close(ends[1]);
}
END_TEST

struct feed {
	int fd;
	const struct streams_file *file;
};

static void *feed(void *arg)
{
	struct feed *feed = arg;
	size_t done = 0;

	while (done < feed->file->nbytes) {
		ssize_t n =
			__real_write(feed->fd, feed->file->bytes + done, feed->file->nbytes - done);

		if (n < 0)
			break;
		done += (size_t)n;
	}
	close(feed->fd);
	return NULL;
}

/* A stream of some MiB, through a pipe. */
START_TEST(test_pipe)
{
	struct rng rng = rng_start("test_pipe");

	for (int i = 0; i < 5; i++) {
		struct streams_file file = streams_random(&rng);
		struct feed arg = { .file = &file };
		pthread_t thread;
		int ends[2], r;
		char *text;

		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		arg.fd = ends[1];
		ck_assert_int_eq(pthread_create(&thread, NULL, feed, &arg), 0);
		text = streams_read(ends[0], file.journal, &r, NULL);
		pthread_join(thread, NULL);
		ck_assert_int_eq(r, 0);
		ck_assert_str_eq(text, file.text);
		free(text);
		close(ends[0]);
		streams_file_free(&file);
	}
}
END_TEST

/* Every allocation fails once. */
START_TEST(test_no_memory)
{
	struct streams_file sample = streams_sample(true, 0);
	int fd = streams_fd("", 0), r = -1;
	struct stream_expect expect = { .journal = true };
	struct bmf_error err;
	unsigned long n;

	for (n = 1; r < 0; n++) {
		lseek(fd, 0, SEEK_SET);
		faultmem_arm(n, false);
		r = streams_write_sample(fd, true, 0);
		if (!faultmem_fired())
			break;
		ck_assert_int_eq(r, -ENOMEM);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(n, 4);
	r = -1;
	for (n = 1; r < 0; n++) {
		lseek(fd, 0, SEEK_SET);
		faultmem_arm(n, false);
		r = stream_verify(fd, &expect, NULL, NULL, &err);
		if (!faultmem_fired())
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_int_eq(err.code, -ENOMEM);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(n, 7);
	no_faults();
	close(fd);
	streams_file_free(&sample);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream_faults");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_short_and_interrupted);
	tcase_add_test(tests, test_write_fails);
	tcase_add_test(tests, test_read_fails);
	tcase_add_test(tests, test_failure_stays);
	tcase_add_test(tests, test_writer_refuses);
	tcase_add_test(tests, test_full_device);
	tcase_add_test(tests, test_pipe);
	tcase_add_test(tests, test_no_memory);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
