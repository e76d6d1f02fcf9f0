/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle.c - random changes of a tree by several processes, with an account of them
 *
 *   oracle DIR SEED PROCESSES OPERATIONS [WITHOUT]
 *
 * Each process does that many operations (0: without end) in DIR: everything that changes
 * bytes, sizes, names or metadata, but for the kind WITHOUT, such as "acl".  Files named
 * image0 .. image3 are changed if they are there, but never removed nor moved by much; all
 * others come and go.  What one process
 * does fails now and then because of another: that is counted, and no error.  At
 * the end there is one line:
 *
 *   oracle: seed=S processes=N operations=N refused=N bytes=B ranges=R
 *
 * At most B bytes in R ranges were changed, so that with blocks of K bytes a copy of the
 * blocks that changed is at most B + 2 * R * K bytes.  Bytes that were only cut off don't
 * count, those that a collapse or an insertion moves do.
 *
 * Locks keep the account right: who may change the size of a file has it locked
 * exclusively, reads back what it wrote, and fails if that isn't there; who overwrites
 * bytes shares the lock with others who do.
 *
 * What is written tells who wrote it: 32 bytes with offset, seed, process and operation, so
 * that a look into a file that differs says what was missed.
 *
 * Exit codes: 0; 1 something that must not fail failed; 75 the filesystem went away.
 */
#include "config.h"

#include "tests/clients/oracle_bytes.h"
#include "tests/clients/oracle_names.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const struct {
	const char *name;
	void (*run)(void);
	unsigned int weight;
} kinds[] = {
	{ "write", do_write, 18 },
	{ "write direct", do_write_direct, 8 },
	{ "write sync", do_write_sync, 3 },
	{ "append", do_append, 6 },
	{ "map", do_map, 6 },
	{ "truncate", do_truncate, 6 },
	{ "open truncate", do_open_truncate, 1 },
	{ "punch", do_punch, 5 },
	{ "zero", do_zero, 4 },
	{ "allocate", do_allocate, 3 },
	{ "shift", do_shift, 2 },
	{ "copy range", do_copy_range, 5 },
	{ "sync", do_sync, 3 },
	{ "unnamed", do_unnamed, 2 },
	{ "create", do_create, 8 },
	{ "rename", do_rename, 8 },
	{ "rename directory", do_rename_directory, 2 },
	{ "link", do_link, 5 },
	{ "symlink", do_symlink, 3 },
	{ "special", do_special, 2 },
	{ "unlink", do_unlink, 5 },
	{ "mkdir", do_mkdir, 7 },
	{ "rmdir", do_rmdir, 2 },
	{ "chmod", do_chmod, 3 },
	{ "chown", do_chown, 3 },
	{ "times", do_times, 3 },
	{ "xattr", do_xattr, 4 },
	{ "acl", do_acl, 2 },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *left_out = "";

static void run_any(void)
{
	unsigned int total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < NKINDS; k++)
		total += kinds[k].weight;
	at = (unsigned int)below(total);
	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	operation_name = kinds[i].name;
	if (strcmp(operation_name, left_out) != 0)
		kinds[i].run();
	atomic_fetch_add(&account->operations, 1);
}

static void __attribute__((noreturn)) run_process(pid_t parent, uint64_t noperations)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		exit(1); /* it died before that */
	rng = (seed + process) * UINT64_C(0xd1342543de82ef95);
	umask((mode_t)(chance(50) ? 022 : 0));
	for (operation = 1; noperations == 0 || operation <= noperations; operation++)
		run_any();
	exit(0);
}

static int start(const char *dir)
{
	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	buffer = aligned_alloc(UNIT, LENGTH_MAX);
	back = aligned_alloc(UNIT, LENGTH_MAX);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (account == MAP_FAILED || !buffer || !back || top < 0 || fchdir(top) < 0) {
		if (is_error_of_gone(errno))
			return EXIT_GONE;
		perror(dir);
		return 1;
	}
	signal(SIGBUS, on_bus_error);
	return 0;
}

/* The worst of them: 1, EXIT_GONE, 0. */
static int wait_for_all(void)
{
	int status, code = 0;

	while (wait(&status) > 0) {
		int one = WIFEXITED(status) ? WEXITSTATUS(status) : 1;

		if (!WIFEXITED(status))
			fprintf(stderr, "oracle: a process died: status %#x\n", status);
		if (one == EXIT_BUS_ERROR)
			one = is_gone() ? EXIT_GONE : 1;
		if (one != 0 && code != 1)
			code = one;
	}
	return code;
}

int main(int argc, char **argv)
{
	const pid_t parent = getpid();
	unsigned int nprocesses;
	int code;

	if (argc != 5 && argc != 6)
		return 2;
	if (argc == 6)
		left_out = argv[5];
	seed = strtoull(argv[2], NULL, 0);
	nprocesses = (unsigned int)strtoul(argv[3], NULL, 0);
	code = start(argv[1]);
	if (code != 0)
		return code;
	for (process = 0; process < nprocesses; process++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0)
			run_process(parent, strtoull(argv[4], NULL, 0));
	}
	code = wait_for_all();
	printf("oracle: seed=%" PRIu64 " processes=%u operations=%" PRIu64 " refused=%" PRIu64
	       " bytes=%" PRIu64 " ranges=%" PRIu64 "\n",
	       seed, nprocesses, account->operations, account->refused, account->bytes,
	       account->ranges);
	return code;
}
