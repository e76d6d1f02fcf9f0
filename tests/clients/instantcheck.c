/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instantcheck.c - instantcheck DIR LOG FROM TO: was DIR all that the images were at one instant?
 *
 * Each unit and each size is there in one of the versions that the log (instantlog.h) speaks of.
 * It was so from when an operation made it so, which had its effect at some moment between its
 * two stamps, until a later one changed it.  So a version stands for the instants
 *
 *   between the stamp when its operation began and the stamp when the next one had ended
 *
 * and DIR is right if there is an instant between the stamps FROM and TO that lies in that of every
 * unit and every size of all images: what was acknowledged before it is there, and nothing
 * that began after it.  Zeros may stand for several versions, and thus for several intervals.
 *
 * Prints how many units there are, and a digest of them.  When there is no such instant, names
 * those that deny the instant with which most others agree.
 */
#include "config.h"

#include "tests/clients/instantlog.h"

#include <inttypes.h>

#define NCELLS_IMAGE (NUNITS + 1) /* and one for the size */
#define NCELLS (NIMAGES * NCELLS_IMAGE)
#define NCELLS_ALL (NCELLS + 1) /* and one for FROM and TO */
#define FAULTS_SHOWN 12u

/* One unit, as it is in DIR, and as far as it has been followed through the log; or one size. */
struct cell {
	uint64_t content; /* sequence number, 0: zeros; or the size in units */
	uint64_t now;	  /* the same, in the log */
	uint64_t since;	  /* it has been as in DIR since then, if so it is */
	bool same;
};

struct interval {
	uint64_t begin, end;
	uint32_t cell;
};

struct edge {
	uint64_t at;
	int what; /* 1: begins, -1: ends */
};

static struct cell cells[NCELLS];
static struct interval *intervals;
static size_t nintervals, nroom;
static unsigned int nfaults;
static const struct instant_log *ilog;
static uint64_t digest, nunits;

static void __attribute__((noreturn)) fatal(const char *what)
{
	fprintf(stderr, "instantcheck: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *must_have(void *memory)
{
	if (!memory)
		fatal("memory");
	return memory;
}

/* ---- what is there ---- */

static void fault(const char *name, uint64_t number, const char *what)
{
	if (nfaults++ < FAULTS_SHOWN)
		fprintf(stderr, "instantcheck: %s: unit %" PRIu64 ": %s\n", name, number, what);
}

static void read_unit(struct cell *cell, const struct unit *unit, const char *name, uint64_t number)
{
	const char *what = unit_is_zero(unit) ? NULL : unit_fault(unit, name, number);

	if (what)
		fault(name, number, what);
	else
		cell->content = unit->sequence; /* 0 if it is zeros */
}

static void read_image(int top, unsigned int image)
{
	struct instant_name name = instant_image_name(image);
	struct cell *at = &cells[image * NCELLS_IMAGE];
	struct unit *units = must_have(calloc(NUNITS, sizeof(*units)));
	int fd = openat(top, name.text, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0, n = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		fatal(name.text);
	/* what an earlier look has left in memory says nothing of what is there now */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while ((n = pread(fd, (char *)units + got, NUNITS * UNIT - (size_t)got, got)) > 0)
		got += n;
	if (n < 0)
		fatal(name.text);
	if (got != st.st_size || got % UNIT != 0)
		fault(name.text, (uint64_t)got / UNIT, "is not where it should end");
	at[NUNITS].content = (uint64_t)got / UNIT;
	for (uint64_t i = 0; i < NUNITS; i++)
		read_unit(&at[i], &units[i], name.text, i);
	nunits += (uint64_t)got / UNIT;
	digest = XXH3_64bits_withSeed(units, (size_t)got, digest + (uint64_t)got);
	close(fd);
	free(units);
}

/* ---- what the log says of it ---- */

static void add_interval(uint64_t begin, uint64_t end, size_t cell)
{
	if (nintervals == nroom) {
		nroom = nroom ? 2 * nroom : NCELLS;
		intervals = must_have(reallocarray(intervals, nroom, sizeof(*intervals)));
	}
	intervals[nintervals++] =
		(struct interval){ .begin = begin, .end = end, .cell = (uint32_t)cell };
}

/* An operation makes it so. */
static void change(struct cell *cell, uint64_t content, uint64_t begun, uint64_t ended)
{
	bool same = content == cell->content;

	if (cell->same && !same)
		add_interval(cell->since, ended, (size_t)(cell - cells));
	if (!cell->same && same)
		cell->since = begun;
	cell->same = same;
	cell->now = content;
}

static void follow(const struct instant_operation *operation, uint64_t sequence)
{
	struct cell *at = &cells[operation->image * NCELLS_IMAGE], *size = &at[NUNITS];
	uint64_t begun = atomic_load(&operation->begun), ended = atomic_load(&operation->ended);
	uint64_t end = operation->first + operation->n;

	if (begun == 0)
		return; /* later than anything that could be in DIR */
	if (ended == 0)
		ended = UINT64_MAX;
	for (uint64_t i = operation->first; i < end; i++)
		change(&at[i], operation->kind == INSTANT_WRITE ? sequence : 0, begun, ended);
	if (operation->kind == INSTANT_TRUNCATE)
		change(size, operation->first, begun, ended);
	else if (operation->kind != INSTANT_PUNCH && end > size->now)
		change(size, end, begun, ended);
}

static void follow_all(void)
{
	uint64_t n = atomic_load(&ilog->noperations);

	for (size_t i = 0; i < NCELLS; i++) {
		cells[i].now = i % NCELLS_IMAGE == NUNITS ? NUNITS : 0;
		cells[i].same = cells[i].now == cells[i].content;
	}
	for (uint64_t i = 0; i < n && i < NOPERATIONS; i++)
		follow(&ilog->operations[i], i + 1);
	for (size_t i = 0; i < NCELLS; i++)
		if (cells[i].same)
			add_interval(cells[i].since, UINT64_MAX, i);
}

/* ---- one instant for all ---- */

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->what - y->what;
}

/* The instant with which most cells agree, how many do, and the stamp that ends it. */
static uint64_t find_instant(int *ret_agreeing, uint64_t *ret_end)
{
	struct edge *edges = must_have(calloc(nintervals, 2 * sizeof(*edges)));
	uint64_t best = 0;
	int agreeing = 0, most = 0;

	for (size_t i = 0; i < nintervals; i++) {
		edges[2 * i] = (struct edge){ .at = intervals[i].begin, .what = 1 };
		edges[2 * i + 1] = (struct edge){ .at = intervals[i].end, .what = -1 };
	}
	qsort(edges, 2 * nintervals, sizeof(*edges), compare_edges);
	for (size_t i = 0; i < 2 * nintervals; i++) {
		agreeing += edges[i].what;
		if (agreeing <= most)
			continue;
		most = agreeing;
		best = edges[i].at;
		*ret_end = edges[i + 1].at; /* the last one ends something */
	}
	free(edges);
	*ret_agreeing = most;
	return best;
}

static void show_cell(size_t cell, uint64_t instant)
{
	uint64_t number = cell % NCELLS_IMAGE;
	char what[80];

	if (cell == NCELLS) {
		fprintf(stderr, "instantcheck: that is not when it was asked for\n");
		return;
	}
	if (number == NUNITS)
		snprintf(what, sizeof(what), "%s: size %" PRIu64 " units",
			 instant_image_name((unsigned int)(cell / NCELLS_IMAGE)).text,
			 cells[cell].content);
	else
		snprintf(what, sizeof(what), "%s: unit %" PRIu64 ": version %" PRIu64,
			 instant_image_name((unsigned int)(cell / NCELLS_IMAGE)).text, number,
			 cells[cell].content);
	fprintf(stderr, "instantcheck: %s: was so", what);
	for (size_t i = 0; i < nintervals; i++)
		if (intervals[i].cell == cell)
			fprintf(stderr, " %+" PRId64 "..%+" PRId64,
				(int64_t)(intervals[i].begin - instant),
				(int64_t)(intervals[i].end - instant));
	fprintf(stderr, "\n");
}

static void show_who_denies(uint64_t instant)
{
	char *agrees = must_have(calloc(NCELLS_ALL, 1));

	for (size_t i = 0; i < nintervals; i++)
		if (intervals[i].begin <= instant && instant < intervals[i].end)
			agrees[intervals[i].cell] = 1;
	for (size_t i = 0, shown = 0; i < NCELLS_ALL && shown < FAULTS_SHOWN; i++)
		if (!agrees[i] && ++shown)
			show_cell(i, instant);
	free(agrees);
}

int main(int argc, char **argv)
{
	uint64_t from, to, instant, end = 0;
	int top, agreeing;

	if (argc != 5)
		return 2;
	top = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		fatal(argv[1]);
	ilog = instant_open(argv[2]);
	from = strtoull(argv[3], NULL, 0);
	to = strtoull(argv[4], NULL, 0);
	for (unsigned int i = 0; i < NIMAGES; i++)
		read_image(top, i);
	close(top);

	follow_all();
	add_interval(from, to, NCELLS);
	instant = find_instant(&agreeing, &end);
	if (nfaults == 0 && agreeing < (int)NCELLS_ALL) {
		fprintf(stderr,
			"instantcheck: no instant: asked for at %" PRIu64 "..%" PRIu64
			"; with %" PRIu64 "..%" PRIu64 " agree all but %u of %u\n",
			from, to, instant, end, NCELLS_ALL - (unsigned int)agreeing, NCELLS_ALL);
		show_who_denies(instant);
		nfaults++;
	}
	free(intervals);
	printf("%" PRIu64 " %016" PRIx64 "\n", nunits, digest);
	return nfaults != 0;
}
