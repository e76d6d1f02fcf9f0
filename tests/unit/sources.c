/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sources.c - a source in the scratch directory, for tests of what is done to its images */
#include "config.h"

#include "tests/unit/sources.h"

#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REGION_SHIFT 15

struct faultio source_fault;
char source_notices[4096];

static void note(void *arg, const char *text)
{
	size_t used = strlen(source_notices);

	(void)arg;
	snprintf(source_notices + used, sizeof(source_notices) - used, "%s\n", text);
}

struct bmf_source *source_open(unsigned int block_shift)
{
	struct bmf_source_options options = { .block_shift = block_shift,
					      .region_shift = REGION_SHIFT,
					      .create = true,
					      .holder = "test",
					      .notice = note };
	struct bmf_source *s = NULL;
	struct bmf_error err;

	ck_assert_msg(bmf_source_open(&source_fault.io, scratch_fd, &options, &s, &err) == 0, "%s",
		      err.text);
	return s;
}

int source_image(const char *name, uint64_t nblocks)
{
	int fd = openat(scratch_fd, name, O_RDWR | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(nblocks * BLOCK)), 0);
	return fd;
}

uint64_t source_roll(struct bmf_source *s)
{
	struct bmf_commit commit;
	struct bmf_error err;

	bmf_source_advance(s);
	ck_assert_msg(bmf_source_commit(s, NULL, NULL, &commit, &err) == 0, "%s", err.text);
	return commit.checkpoint.number;
}

int source_change(struct bmf_source *s, int fd, uint64_t block)
{
	struct bmf_tracker *t;
	uint64_t word = 1;
	int r;

	r = bmf_source_track(s, fd, &t);
	if (r < 0)
		return r;
	bmf_tracker_opened(t);
	r = bmf_tracker_change(t, block * BLOCK, BLOCK);
	if (r == 0)
		ck_assert_int_eq(pwrite(fd, &word, sizeof(word), (off_t)(block * BLOCK)),
				 sizeof(word));
	bmf_tracker_closed(t);
	bmf_tracker_put(t);
	return r;
}

enum bmf_reason source_reason(int fd, struct bmf_history *ret)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	enum bmf_reason reason;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(bmf_history_load(store, state, fd, state->generation, 0, &history, NULL),
			 0);
	reason = history.reason;
	if (ret)
		*ret = history;
	else
		bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
	return reason;
}

void source_setup(void)
{
	scratch_make();
	faultio_init(&source_fault, &bmf_io_posix);
	source_notices[0] = '\0';
}

void source_teardown(void)
{
	scratch_remove();
}

void source_crash_after(void (*act)(struct bmf_source *s, int fd), int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		act(source_open(12), fd);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
