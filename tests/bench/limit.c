/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.c - limit [OPTION...] FROM TO: the least that a copy of given blocks can take
 *
 * What the benchmarks compare with: it finds nothing out, proves nothing and keeps nothing
 * consistent.  The blocks are copied by io_uring, 32 pieces of up to 256 KiB at a time, and TO is
 * fdatasynced.  A piece that is in the page cache is read from there, any other past it; all are
 * written past it.  TO exists, has the size of FROM, and is patched in place.
 *
 *	--blocks FILE	a pair of numbers a line, offset and length in bytes; stdin unless given
 *	--data		all that isn't a hole, of a TO that has nothing but holes
 *	--json		how much it was, on stdout
 *
 * Offsets are multiples of 4 KiB, and so are lengths but at the end of the file.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NSLOTS 32
#define PIECE (256u << 10)
#define ALIGN 4096u

struct range {
	uint64_t offset, nbytes;
};

struct slot {
	char *buf;
	int index; /* of the buffer, as the kernel knows it */
	uint64_t offset;
	unsigned int nbytes; /* whole pages */
	unsigned int done;   /* of these, of what is being done now */
	int from;	     /* the descriptor that it is read by */
	bool writing;
};

static const char *from_path, *to_path, *blocks_path = "stdin";
static int from_cached, from_direct, to;
static uint64_t size, cached_bytes, copied_bytes;
static unsigned char *map; /* of FROM, to ask mincore about */

static struct range *ranges;
static size_t nranges;

static struct io_uring ring;
static bool registered; /* the buffers */

static void __attribute__((noreturn)) die(const char *verb, const char *path, int error)
{
	fprintf(stderr, "limit: %s '%s': %s\n", verb, path, strerror(error));
	exit(1);
}

static int check(int r, const char *verb, const char *path)
{
	if (r < 0)
		die(verb, path, errno);
	return r;
}

/* --- what is to be copied */

/* Neighbours become one range, so that a piece is as large as can be. */
static void add_range(uint64_t offset, uint64_t nbytes)
{
	static size_t room;
	struct range *last = nranges ? &ranges[nranges - 1] : NULL;

	if (last && last->offset + last->nbytes == offset) {
		last->nbytes += nbytes;
		return;
	}
	if (nranges == room) {
		room = room ? room * 2 : 1024;
		ranges = reallocarray(ranges, room, sizeof(*ranges));
		if (!ranges)
			die("read", blocks_path, ENOMEM);
	}
	ranges[nranges++] = (struct range){ offset, nbytes };
}

static void read_blocks(FILE *list)
{
	unsigned long long offset, nbytes;
	int n;

	while ((n = fscanf(list, "%llu %llu", &offset, &nbytes)) == 2) {
		bool to_the_end = nbytes <= size && offset == size - nbytes;

		if (offset % ALIGN || (nbytes % ALIGN && !to_the_end) || nbytes > size ||
		    offset > size - nbytes)
			die("read", blocks_path, ERANGE);
		if (nbytes)
			add_range(offset, nbytes);
	}
	if (ferror(list))
		die("read", blocks_path, errno);
	if (n != EOF)
		die("read", blocks_path, EINVAL);
}

static void find_data(void)
{
	off_t hole = 0, data;

	while ((data = lseek(from_cached, hole, SEEK_DATA)) >= 0) {
		hole = lseek(from_cached, data, SEEK_HOLE);
		check(hole < 0 ? -1 : 0, "seek", from_path);
		add_range((uint64_t)data / ALIGN * ALIGN,
			  (uint64_t)hole - (uint64_t)data / ALIGN * ALIGN);
	}
	if (errno != ENXIO)
		die("seek", from_path, errno);
}

/* --- copying it */

/* Not by trying (RWF_NOWAIT): that would make the kernel read ahead. */
static bool is_cached(uint64_t offset, unsigned int nbytes)
{
	unsigned char pages[PIECE / ALIGN];

	if (mincore(map + offset, nbytes, pages) < 0)
		return false;
	for (unsigned int i = 0; i < nbytes / ALIGN; i++)
		if (!(pages[i] & 1))
			return false;
	return true;
}

/* The next piece into the slot; false if there is none. */
static bool next_piece(struct slot *slot)
{
	static size_t current;
	static uint64_t at; /* in that range */
	uint64_t left, nbytes;

	if (current == nranges)
		return false;
	left = ranges[current].nbytes - at;
	nbytes = left < PIECE ? left : PIECE;
	slot->offset = ranges[current].offset + at;
	slot->nbytes = (unsigned int)((nbytes + ALIGN - 1) / ALIGN * ALIGN);
	slot->done = 0;
	slot->writing = false;
	slot->from = from_direct;
	if (is_cached(slot->offset, slot->nbytes)) {
		slot->from = from_cached;
		cached_bytes += nbytes;
	}
	copied_bytes += nbytes;
	at += nbytes;
	if (at == ranges[current].nbytes) {
		current++;
		at = 0;
	}
	return true;
}

/* What is left of reading or of writing the piece. */
static void submit(struct slot *slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring); /* as many as slots */
	int fd = slot->writing ? to : slot->from;
	char *buf = slot->buf + slot->done;
	unsigned int nbytes = slot->nbytes - slot->done;
	uint64_t offset = slot->offset + slot->done;

	if (slot->writing && registered)
		io_uring_prep_write_fixed(sqe, fd, buf, nbytes, offset, slot->index);
	else if (slot->writing)
		io_uring_prep_write(sqe, fd, buf, nbytes, offset);
	else if (registered)
		io_uring_prep_read_fixed(sqe, fd, buf, nbytes, offset, slot->index);
	else
		io_uring_prep_read(sqe, fd, buf, nbytes, offset);
	io_uring_sqe_set_data(sqe, slot);
}

/* Called with the result of what was submitted; true if the piece is written. */
static bool finish(struct slot *slot, int r)
{
	const char *path = slot->writing ? to_path : from_path;

	if (r == -EINTR || r == -EAGAIN)
		r = 0;
	else if (r < 0)
		die(slot->writing ? "write" : "read", path, -r);
	else if (r == 0 && slot->offset + slot->done < size)
		die(slot->writing ? "write" : "read", path, EIO);
	slot->done += (unsigned int)r;
	/* what is read by O_DIRECT ends in whole sectors, or where the file does */
	if (!slot->writing && slot->offset + slot->done >= size) {
		memset(slot->buf + slot->done, 0, slot->nbytes - slot->done);
		slot->done = slot->nbytes;
	}
	if (slot->done == slot->nbytes) {
		if (slot->writing)
			return true;
		slot->writing = true;
		slot->done = 0;
	}
	submit(slot);
	return false;
}

static void copy(struct slot *slots)
{
	unsigned int busy = 0;

	for (int i = 0; i < NSLOTS && next_piece(&slots[i]); i++) {
		submit(&slots[i]);
		busy++;
	}
	while (busy) {
		struct io_uring_cqe *cqe;
		unsigned int head, n = 0;
		int r = io_uring_submit_and_wait(&ring, 1);

		if (r < 0 && r != -EINTR)
			die("copy", to_path, -r);
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			struct slot *slot = io_uring_cqe_get_data(cqe);

			n++;
			if (!finish(slot, cqe->res))
				continue;
			if (next_piece(slot))
				submit(slot);
			else
				busy--;
		}
		io_uring_cq_advance(&ring, n);
	}
}

static void prepare(struct slot *slots)
{
	struct iovec vecs[NSLOTS];
	/* whole huge pages make for few segments a request */
	char *buf = aligned_alloc(2u << 20, (size_t)NSLOTS * PIECE);
	int r = io_uring_queue_init(NSLOTS, &ring, 0);

	if (r < 0)
		die("copy", to_path, -r);
	if (!buf)
		die("copy", to_path, ENOMEM);
	madvise(buf, (size_t)NSLOTS * PIECE, MADV_HUGEPAGE);
	for (int i = 0; i < NSLOTS; i++) {
		slots[i].buf = buf + (size_t)i * PIECE;
		slots[i].index = i;
		vecs[i] = (struct iovec){ slots[i].buf, PIECE };
	}
	/* not so for a user whose memory to lock is limited: then each request maps its pages */
	registered = io_uring_register_buffers(&ring, vecs, NSLOTS) == 0;
}

static int open_file(const char *path, int flags)
{
	return check(open(path, flags | O_CLOEXEC), "open", path);
}

static void open_files(void)
{
	struct stat st, to_st;

	from_cached = open_file(from_path, O_RDONLY);
	from_direct = open_file(from_path, O_RDONLY | O_DIRECT);
	to = open_file(to_path, O_WRONLY | O_DIRECT);
	check(fstat(from_cached, &st), "stat", from_path);
	check(fstat(to, &to_st), "stat", to_path);
	if (st.st_size != to_st.st_size) {
		fprintf(stderr, "limit: write '%s': its size isn't that of '%s'\n", to_path,
			from_path);
		exit(1);
	}
	size = (uint64_t)st.st_size;
	if (!size)
		return;
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, from_cached, 0);
	if (map == MAP_FAILED)
		die("map", from_path, errno);
}

/* The last page was written whole. */
static void make_durable(void)
{
	if (size % ALIGN)
		check(ftruncate(to, (off_t)size), "truncate", to_path);
	check(fdatasync(to), "sync", to_path);
	check(close(to), "close", to_path);
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: limit [--blocks FILE | --data] [--json] FROM TO\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "blocks", required_argument, NULL, 'b' },
		{ "data", no_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	struct slot slots[NSLOTS] = { 0 };
	bool data = false, json = false;
	FILE *list = stdin;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'b')
			blocks_path = optarg;
		else if (option == 'd')
			data = true;
		else if (option == 'j')
			json = true;
		else
			usage();
	}
	if (argc - optind != 2)
		usage();
	from_path = argv[optind];
	to_path = argv[optind + 1];
	open_files();
	if (data) {
		find_data();
	} else {
		if (strcmp(blocks_path, "stdin") != 0)
			list = fopen(blocks_path, "re");
		if (!list)
			die("open", blocks_path, errno);
		read_blocks(list);
	}
	prepare(slots);
	copy(slots);
	make_durable();
	if (json)
		printf("{\"bytes_copied\": %llu, \"bytes_cached\": %llu}\n",
		       (unsigned long long)copied_bytes, (unsigned long long)cached_bytes);
	if (fflush(stdout) == EOF)
		die("write", "stdout", errno);
	return 0;
}
