/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cutwriter.c - writes until the power is cut, and says what must be there afterwards
 *
 *   cutwriter DIR LOG SEED BOOT
 *
 * Three processes change the images disk0, disk1 and disk2 in DIR, each its own and in its
 * own way: through the cache and mappings, with O_DIRECT, with O_DSYNC.  All of them also
 * write to stripes of "shared", and of the first bytes of "tall", and each replaces a file
 * of its own, "swap0" and so on, by renaming another over it.  Images are never made or made
 * longer: that is the caller's part.  What has to survive is written to LOG (units.h), which is not
 * below DIR, before or after it is done, as needed.  BOOT makes sequence numbers grow from one run
 * to the next.
 *
 * It has no end.  If anything fails, it says "guest: FAIL" and why, and exits with 1.
 */
#include "config.h"

#include "tests/clients/random.h"
#include "tests/clients/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NPROCESSES 3u
#define STRIPE 16u	/* units */
#define TALL_UNITS 512u /* of "tall", so many are written to */
#define SWAP_UNITS 8u
#define RUN_MAX 16u

struct target {
	char name[16];
	int fd;
	uint64_t nunits;
	bool dsync;	  /* every write is durable when it returns */
	struct unit *map; /* or NULL */
};

static unsigned int process, sync_percent = 60;
static uint64_t sequence;
static int top, log_fd;
static struct target own, shared, tall;
static struct unit *units; /* RUN_MAX of them, aligned */

static void __attribute__((noreturn)) fatal(const char *what)
{
	fprintf(stderr, "guest: FAIL: cutwriter: process %u: %s: %s\n", process, what,
		strerror(errno));
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		fatal(what);
}

/* ---- the log ---- */

static void tell(const char *line, int n)
{
	must(write(log_fd, line, (size_t)n) == n, "write the log");
}

static void acknowledge(const char *name, uint64_t first, uint64_t n)
{
	char line[100];

	tell(line, snprintf(line, sizeof(line), "a %s %" PRIu64 " %" PRIu64 " %" PRIu64 ";\n", name,
			    first, n, sequence));
}

static void disclaim(char kind, const char *name, uint64_t first, uint64_t n)
{
	char line[100];

	tell(line, snprintf(line, sizeof(line), "%c %s %" PRIu64 " %" PRIu64 ";\n", kind, name,
			    first, n));
}

/* ---- runs of units ---- */

/* All that one call writes has one sequence number. */
static void make_units(const char *name, uint64_t first, uint64_t n)
{
	sequence++;
	for (uint64_t i = 0; i < n; i++)
		unit_make(&units[i], name, first + i, sequence);
}

static void write_units(int fd, uint64_t first, uint64_t n)
{
	ssize_t nbytes = (ssize_t)(n * UNIT);

	must(pwrite(fd, units, (size_t)nbytes, (off_t)(first * UNIT)) == nbytes, "write");
}

static void any_run(const struct target *target, uint64_t *ret_first, uint64_t *ret_n)
{
	*ret_n = 1 + below(chance(50) ? 2 : RUN_MAX);
	*ret_first = below(target->nunits - *ret_n + 1);
}

/* ---- what a process does; the first ones to its own image ---- */

static void do_write(void)
{
	uint64_t first, n;

	any_run(&own, &first, &n);
	make_units(own.name, first, n);
	write_units(own.fd, first, n);
	if (!own.dsync && !chance(sync_percent))
		return; /* never acknowledged, or by chance with a later one */
	must(own.dsync || (chance(50) ? fsync(own.fd) : fdatasync(own.fd)) == 0, "fsync");
	acknowledge(own.name, first, n);
}

static void do_map(void)
{
	uint64_t first, n;

	if (!own.map)
		return do_write();
	any_run(&own, &first, &n);
	make_units(own.name, first, n);
	disclaim('m', own.name, first, n);
	memcpy(own.map + first, units, n * UNIT);
	if (!chance(sync_percent))
		return;
	must(msync(own.map + first, n * UNIT, MS_SYNC) == 0, "msync");
	acknowledge(own.name, first, n);
}

static void do_punch(void)
{
	int mode = chance(60) ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	uint64_t first, n;

	any_run(&own, &first, &n);
	disclaim('d', own.name, first, n);
	if (fallocate(own.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)(first * UNIT),
		      (off_t)(n * UNIT)) < 0)
		must(errno == EOPNOTSUPP, "fallocate");
}

/* Cut off and made as long as it was, at once or a little later. */
static void do_truncate(void)
{
	uint64_t left = own.nunits - below(own.nunits / 8);

	disclaim('d', own.name, left, own.nunits - left);
	must(ftruncate(own.fd, (off_t)(left * UNIT)) == 0, "truncate");
	if (chance(30))
		usleep((useconds_t)below(20000));
	must(ftruncate(own.fd, (off_t)(own.nunits * UNIT)) == 0, "extend");
}

static int make_file(const char *name, uint64_t n)
{
	int fd = openat(top, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd >= 0, "create");
	write_units(fd, 0, n);
	return fd;
}

static void do_copy_range(void)
{
	char name[16];
	uint64_t first, n;
	off_t in = 0, out;
	int fd;

	any_run(&own, &first, &n);
	make_units(own.name, first, n);
	snprintf(name, sizeof(name), "stage%u", process);
	fd = make_file(name, n);
	out = (off_t)(first * UNIT);
	for (uint64_t left = n * UNIT; left > 0;) {
		ssize_t done = copy_file_range(fd, &in, own.fd, &out, left, 0);

		must(done > 0, "copy_file_range");
		left -= (uint64_t)done;
	}
	close(fd);
	must(fdatasync(own.fd) == 0, "fdatasync of a copy");
	acknowledge(own.name, first, n);
	if (chance(50))
		must(unlinkat(top, name, 0) == 0, "unlink");
}

static void do_stripe(void)
{
	const struct target *target = chance(60) ? &shared : &tall;
	uint64_t stripe = below(target->nunits / STRIPE / NPROCESSES) * NPROCESSES + process;
	uint64_t n = 1 + below(STRIPE), first = stripe * STRIPE + below(STRIPE - n + 1);

	make_units(target->name, first, n);
	write_units(target->fd, first, n);
	if (!chance(sync_percent))
		return;
	must(fdatasync(target->fd) == 0, "fdatasync");
	acknowledge(target->name, first, n);
}

static void do_swap(void)
{
	char name[16], fresh[20];
	int fd;

	snprintf(name, sizeof(name), "swap%u", process);
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	make_units(name, 0, SWAP_UNITS);
	fd = make_file(fresh, SWAP_UNITS);
	must(fsync(fd) == 0, "fsync of a new file");
	close(fd);
	must(renameat(top, fresh, top, name) == 0, "rename");
	must(fsync(top) == 0, "fsync of the directory");
	acknowledge(name, 0, SWAP_UNITS);
}

static void do_any(void)
{
	static const struct {
		void (*run)(void);
		unsigned int percent;
	} kinds[] = {
		{ do_stripe, 20 },    { do_map, 15 }, { do_punch, 6 },	 { do_truncate, 3 },
		{ do_copy_range, 5 }, { do_swap, 3 }, { do_write, 100 },
	};
	unsigned int at = (unsigned int)below(100), i = 0;

	while (at >= kinds[i].percent)
		at -= kinds[i++].percent;
	kinds[i].run();
}

/* ---- starting ---- */

static struct target open_target(const char *name, int flags)
{
	struct target target = { .fd = openat(top, name, O_RDWR | O_CLOEXEC | flags),
				 .dsync = (flags & O_DSYNC) == O_DSYNC };
	struct stat st;

	snprintf(target.name, sizeof(target.name), "%s", name);
	must(target.fd >= 0 && fstat(target.fd, &st) == 0, name);
	target.nunits = (uint64_t)st.st_size / UNIT;
	return target;
}

/* Full size again, if the last cut came in do_truncate(). */
static void mend_size(struct target *target)
{
	if (target->nunits == shared.nunits)
		return;
	target->nunits = shared.nunits;
	must(ftruncate(target->fd, (off_t)(target->nunits * UNIT)) == 0, "extend");
}

static void __attribute__((noreturn)) run_process(pid_t parent, uint64_t seed, uint64_t boot)
{
	static const int all_flags[NPROCESSES] = { 0, O_DIRECT, O_DSYNC };
	bool lazy = seed % 3 == 0;
	int flags = all_flags[process];
	char name[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		exit(1); /* it died before that */
	rng = (seed * NPROCESSES + process) * UINT64_C(0xd1342543de82ef95);
	sequence = boot << 32;
	if (lazy) {
		sync_percent = 2;
		flags &= O_DIRECT;
	}
	snprintf(name, sizeof(name), "disk%u", process);
	shared = open_target("shared", 0);
	tall = open_target("tall", 0);
	tall.nunits = TALL_UNITS;
	own = open_target(name, flags);
	mend_size(&own);
	if (flags == 0) {
		own.map = mmap(NULL, own.nunits * UNIT, PROT_READ | PROT_WRITE, MAP_SHARED, own.fd,
			       0);
		must(own.map != MAP_FAILED, "mmap");
	}
	units = aligned_alloc(UNIT, (size_t)RUN_MAX * UNIT);
	must(units != NULL, "memory");
	while (true)
		do_any();
}

int main(int argc, char **argv)
{
	const pid_t parent = getpid();
	int status = 0;

	if (argc != 5)
		return 2;
	top = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(top >= 0, argv[1]);
	log_fd = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);
	must(log_fd >= 0, argv[2]);
	for (process = 0; process < NPROCESSES; process++) {
		pid_t pid = fork();

		must(pid >= 0, "fork");
		if (pid == 0)
			run_process(parent, strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	}
	wait(&status); /* none of them ends by itself */
	fprintf(stderr, "guest: FAIL: cutwriter: a process ended: status %#x\n",
		(unsigned int)status);
	return 1;
}
