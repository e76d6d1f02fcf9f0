/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * instantwriter.c - many processes that change several images, and stamp all that they do
 *
 *   instantwriter make DIR LOG               images full of holes, and an empty log
 *   instantwriter run DIR LOG SEED PROCESSES until "stop"; prints how many operations there were
 *   instantwriter stamp LOG                  prints the time, which goes on by one
 *   instantwriter pause LOG | resume LOG     nothing is in flight when pause returns
 *   instantwriter stop LOG
 *
 * Every process changes every image in every way: through the cache and with O_DIRECT, with
 * copy_file_range, with holes and zeros, and by making it shorter and longer.  The log
 * (instantlog.h) tells instantcheck what a snapshot may look like.
 */
#include "config.h"

#include "tests/clients/instantlog.h"
#include "tests/clients/random.h"

#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define RUN_MAX 24u /* units */

static struct instant_log *ilog;
static unsigned int process;
static int top, stage = -1;
static int fds[NIMAGES], direct_fds[NIMAGES];
static struct unit *units; /* RUN_MAX of them, aligned */

static void __attribute__((noreturn)) fatal(const char *what)
{
	fprintf(stderr, "instantwriter: process %u: %s: %s\n", process, what, strerror(errno));
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		fatal(what);
}

/* ---- operations, with their locks held ---- */

static void write_units(int fd, uint64_t first, uint64_t n)
{
	ssize_t nbytes = (ssize_t)(n * UNIT);

	must(pwrite(fd, units, (size_t)nbytes, (off_t)(first * UNIT)) == nbytes, "write");
}

/* By way of a file of its own, in the same filesystem. */
static void copy_units(int fd, uint64_t first, uint64_t n)
{
	off_t in = 0, out = (off_t)(first * UNIT);

	write_units(stage, 0, n);
	for (uint64_t left = n * UNIT; left > 0;) {
		ssize_t done = copy_file_range(stage, &in, fd, &out, left, 0);

		must(done > 0, "copy_file_range");
		left -= (uint64_t)done;
	}
}

static void put_units(const struct instant_operation *operation, uint64_t sequence)
{
	struct instant_name name = instant_image_name(operation->image);

	for (uint64_t i = 0; i < operation->n; i++)
		unit_make(&units[i], name.text, operation->first + i, sequence);
	if (chance(15))
		copy_units(fds[operation->image], operation->first, operation->n);
	else
		write_units((chance(40) ? direct_fds : fds)[operation->image], operation->first,
			    operation->n);
}

static void make_zeros(const struct instant_operation *operation)
{
	int mode = operation->kind == INSTANT_PUNCH ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
						    : FALLOC_FL_ZERO_RANGE;

	must(fallocate(fds[operation->image], mode, (off_t)operation->first * UNIT,
		       (off_t)operation->n * UNIT) == 0,
	     "fallocate");
}

static void carry_out(struct instant_operation operation)
{
	uint64_t at = atomic_fetch_add(&ilog->noperations, 1);
	struct instant_operation *noted = &ilog->operations[at];

	if (at >= NOPERATIONS) {
		atomic_store(&ilog->stopping, 1); /* the log is full */
		return;
	}
	noted->image = operation.image;
	noted->kind = operation.kind;
	noted->first = operation.first;
	noted->n = operation.n;
	atomic_store(&noted->begun, instant_stamp(ilog));
	if (operation.kind == INSTANT_TRUNCATE)
		must(ftruncate(fds[operation.image], (off_t)operation.first * UNIT) == 0,
		     "truncate");
	else if (operation.kind == INSTANT_WRITE)
		put_units(&operation, at + 1);
	else
		make_zeros(&operation);
	atomic_store(&noted->ended, instant_stamp(ilog));
}

/* ---- locks: stripes from the first to the last, then the size ---- */

static bool may_change_size(const struct instant_operation *operation)
{
	return operation->first + operation->n > NUNITS_LEAST;
}

static void lock_all(const struct instant_operation *operation)
{
	pthread_mutex_t *stripes = ilog->stripes[operation->image];
	uint32_t last = (operation->first + operation->n - 1) / STRIPE;

	for (uint32_t i = operation->first / STRIPE; i <= last; i++)
		pthread_mutex_lock(&stripes[i]);
	if (may_change_size(operation))
		pthread_mutex_lock(&ilog->sizes[operation->image]);
}

static void unlock_all(const struct instant_operation *operation)
{
	pthread_mutex_t *stripes = ilog->stripes[operation->image];
	uint32_t last = (operation->first + operation->n - 1) / STRIPE;

	if (may_change_size(operation))
		pthread_mutex_unlock(&ilog->sizes[operation->image]);
	for (uint32_t i = operation->first / STRIPE; i <= last; i++)
		pthread_mutex_unlock(&stripes[i]);
}

/* ---- one process ---- */

static struct instant_operation any_operation(void)
{
	struct instant_operation operation = { .image = (uint16_t)below(NIMAGES) };
	unsigned int what = (unsigned int)below(100);

	if (what < 7) {
		operation.kind = INSTANT_TRUNCATE;
		operation.first = (uint32_t)(NUNITS_LEAST + below(NUNITS - NUNITS_LEAST));
		operation.n = NUNITS - operation.first;
		return operation;
	}
	operation.kind = what < 14 ? INSTANT_PUNCH : what < 20 ? INSTANT_ZERO : INSTANT_WRITE;
	operation.n = (uint32_t)(1 + below(chance(60) ? 3 : RUN_MAX));
	operation.first = (uint32_t)below(NUNITS - operation.n + 1);
	return operation;
}

/* False once it is time to stop. */
static bool begin_running(void)
{
	while (!atomic_load(&ilog->stopping)) {
		atomic_fetch_add(&ilog->nrunning, 1);
		if (!atomic_load(&ilog->pausing))
			return true;
		atomic_fetch_sub(&ilog->nrunning, 1);
		usleep(1000);
	}
	return false;
}

static void open_images(void)
{
	char name[16];

	for (unsigned int i = 0; i < NIMAGES; i++) {
		struct instant_name image = instant_image_name(i);

		fds[i] = openat(top, image.text, O_RDWR | O_CLOEXEC);
		direct_fds[i] = openat(top, image.text, O_RDWR | O_DIRECT | O_CLOEXEC);
		must(fds[i] >= 0 && direct_fds[i] >= 0, image.text);
	}
	snprintf(name, sizeof(name), "stage%u", process);
	stage = openat(top, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(stage >= 0, name);
	units = aligned_alloc(UNIT, (size_t)RUN_MAX * UNIT);
	must(units != NULL, "memory");
}

static void __attribute__((noreturn)) run_process(pid_t parent, uint64_t seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		exit(1); /* it died before that */
	rng = (seed * 64 + process) * UINT64_C(0xd1342543de82ef95);
	open_images();
	while (begin_running()) {
		struct instant_operation operation = any_operation();

		lock_all(&operation);
		carry_out(operation);
		unlock_all(&operation);
		atomic_fetch_sub(&ilog->nrunning, 1);
	}
	exit(0);
}

/* ---- what main may be asked for ---- */

static int run(uint64_t seed, unsigned int nprocesses)
{
	const pid_t parent = getpid();
	int status;
	uint64_t n;

	for (process = 0; process < nprocesses; process++) {
		pid_t pid = fork();

		must(pid >= 0, "fork");
		if (pid == 0)
			run_process(parent, seed);
	}
	while (wait(&status) > 0)
		if (status != 0)
			return 1; /* and so ends the others, which may wait for its locks */
	n = atomic_load(&ilog->noperations);
	printf("%" PRIu64 "\n", n < NOPERATIONS ? n : NOPERATIONS);
	return 0;
}

static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	pthread_mutexattr_t attr;

	must(fd >= 0 && ftruncate(fd, (off_t)sizeof(*ilog)) == 0, path);
	ilog = mmap(NULL, sizeof(*ilog), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(ilog != MAP_FAILED, "mmap");
	close(fd);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	for (unsigned int i = 0; i < NIMAGES; i++) {
		for (unsigned int j = 0; j < NSTRIPES; j++)
			pthread_mutex_init(&ilog->stripes[i][j], &attr);
		pthread_mutex_init(&ilog->sizes[i], &attr);
		fd = openat(top, instant_image_name(i).text, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		must(fd >= 0 && ftruncate(fd, (off_t)NUNITS * UNIT) == 0, "make an image");
		close(fd);
	}
	pthread_mutexattr_destroy(&attr);
	ilog->magic = INSTANT_MAGIC;
}

static void pause_writers(void)
{
	atomic_store(&ilog->pausing, 1);
	while (atomic_load(&ilog->nrunning) > 0)
		usleep(1000);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool making = strcmp(verb, "make") == 0, running = strcmp(verb, "run") == 0;

	if (argc != (making ? 4 : running ? 6 : 3))
		return 2;
	if (making || running) {
		top = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		must(top >= 0, argv[2]);
	}
	if (making) {
		make(argv[3]);
		return 0;
	}
	ilog = instant_open(argv[running ? 3 : 2]);
	if (running)
		return run(strtoull(argv[4], NULL, 0), (unsigned int)strtoul(argv[5], NULL, 0));
	if (strcmp(verb, "stamp") == 0)
		printf("%" PRIu64 "\n", instant_stamp(ilog));
	else if (strcmp(verb, "pause") == 0)
		pause_writers();
	else if (strcmp(verb, "resume") == 0)
		atomic_store(&ilog->pausing, 0);
	else if (strcmp(verb, "stop") == 0)
		atomic_store(&ilog->stopping, 1);
	else
		return 2;
	return 0;
}
