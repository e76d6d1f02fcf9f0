/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * age.c - age SOURCE DAYS: as if that many days had passed since all that its state tells of
 *
 * Of a source that isn't mounted.
 */
#include "config.h"

#include "bitmapfile/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void age(struct bmf_state *state, int64_t by_ns)
{
	for (size_t i = 0; i < state->ncheckpoints; i++)
		state->checkpoints[i].time_ns -= by_ns;
	for (size_t i = 0; i < state->ncursors; i++)
		if (state->cursors[i].time_ns)
			state->cursors[i].time_ns -= by_ns;
}

int main(int argc, char **argv)
{
	struct bmf_state *state = NULL;
	struct bmf_store *store = NULL;
	struct bmf_error err = { 0 };
	int r, fd = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0) {
		fprintf(stderr, "usage: age SOURCE DAYS\n");
		return 2;
	}
	r = bmf_store_open(&bmf_io_posix, fd, BMF_STORE_LOCK, "age", &store, &err);
	if (r == 0)
		r = bmf_store_load_state(store, &state, &err);
	if (r == 0) {
		age(state, strtoll(argv[2], NULL, 10) * 24 * 3600 * INT64_C(1000000000));
		r = bmf_store_save_state(store, state);
	}
	if (r < 0)
		fprintf(stderr, "age: %s\n", err.code ? err.text : strerror(-r));
	bmf_state_free(state);
	bmf_store_close(store);
	close(fd);
	return r < 0 ? 1 : 0;
}
