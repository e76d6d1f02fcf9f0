/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diskmix.c - diskmix KEPT FLUSHED PERCENT SEED: what a power cut leaves of a disk
 *
 * KEPT has every write that the disk was given, FLUSHED those that it had to have on the platter.
 * Where they differ, in pieces of 4 KiB, a write was still in the disk's cache: so many percent
 * of these pieces are taken from KEPT, by chance, the others from FLUSHED.  Both files
 * are then what is left.  Prints how many pieces differed.
 */
#include "config.h"

#include "tests/clients/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 4096

static int kept, flushed;
static uint64_t percent, ndiffering;

static void __attribute__((noreturn)) fatal(const char *what)
{
	fprintf(stderr, "diskmix: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void mix_piece(off_t offset)
{
	unsigned char new[PIECE], old[PIECE];

	if (pread(kept, new, PIECE, offset) != PIECE || pread(flushed, old, PIECE, offset) != PIECE)
		fatal("read");
	if (memcmp(new, old, PIECE) == 0)
		return;
	ndiffering++;
	if (next_random() % 100 < percent ? pwrite(flushed, new, PIECE, offset) != PIECE
					  : pwrite(kept, old, PIECE, offset) != PIECE)
		fatal("write");
}

/* The first offset from here on that is data in one of them, or the end. */
static off_t next_data(off_t from, off_t end)
{
	off_t a = lseek(kept, from, SEEK_DATA), b = lseek(flushed, from, SEEK_DATA);

	if ((a < 0 || b < 0) && errno != ENXIO)
		fatal("seek");
	if (a < 0 || a > end)
		a = end;
	if (b < 0 || b > end)
		b = end;
	return (a < b ? a : b) / PIECE * PIECE;
}

int main(int argc, char **argv)
{
	struct stat st;
	off_t end;

	if (argc != 5)
		return 2;
	kept = open(argv[1], O_RDWR | O_CLOEXEC);
	flushed = open(argv[2], O_RDWR | O_CLOEXEC);
	if (kept < 0 || flushed < 0 || fstat(kept, &st) < 0)
		fatal("open");
	end = st.st_size / PIECE * PIECE;
	if (lseek(flushed, 0, SEEK_END) != st.st_size || end != st.st_size) {
		errno = EINVAL;
		fatal("sizes");
	}
	percent = strtoull(argv[3], NULL, 0);
	rng = strtoull(argv[4], NULL, 0);
	for (off_t at = next_data(0, end); at < end; at = next_data(at + PIECE, end))
		mix_piece(at);
	printf("%" PRIu64 "\n", ndiffering);
	return close(kept) < 0 || close(flushed) < 0;
}
