/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cutcheck.c - cutcheck DIR LOG: is all there that cutwriter was told is durable?
 *
 * Reads the log (units.h), then the files that it speaks of.  A unit that was acknowledged
 * must be there, in the version acknowledged or a later one; every other one must be
 * whole, of its file and place, or zeros, but for those that go through mappings.  Prints how many
 * acknowledged ones there are.
 */
#include "config.h"

#include "tests/clients/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NFILES 32u
#define NUNITS 4096u /* more than any file has */
#define FAULTS_SHOWN 20u

struct file {
	char name[16];
	uint64_t nunits; /* that the log speaks of */
	uint64_t acknowledged[NUNITS];
	char lately[NUNITS]; /* kind of the last line of the log */
};

static struct file *files[NFILES];
static uint64_t nverified, nfaults;

static struct file *find_file(const char *name)
{
	unsigned int i = 0;

	while (i < NFILES && files[i] && strcmp(files[i]->name, name) != 0)
		i++;
	if (i == NFILES) {
		fprintf(stderr, "cutcheck: too many files in the log\n");
		exit(1);
	}
	if (!files[i]) {
		files[i] = calloc(1, sizeof(*files[i]));
		if (!files[i])
			exit(1);
		snprintf(files[i]->name, sizeof(files[i]->name), "%s", name);
	}
	return files[i];
}

static void read_line(const char *line)
{
	uint64_t first, n, sequence = 0;
	char kind, end = 0, name[16];
	struct file *file;

	if (sscanf(line, "a %15s %" SCNu64 " %" SCNu64 " %" SCNu64 "%c", name, &first, &n,
		   &sequence, &end) == 5)
		kind = 'a';
	else if (sscanf(line, "%c %15s %" SCNu64 " %" SCNu64 "%c", &kind, name, &first, &n, &end) !=
		 5)
		return;
	if (end != ';' || first + n > NUNITS)
		return;
	file = find_file(name);
	for (uint64_t i = first; i < first + n; i++) {
		file->lately[i] = kind;
		if (sequence > file->acknowledged[i])
			file->acknowledged[i] = sequence;
	}
	if (first + n > file->nunits)
		file->nunits = first + n;
}

static void fault(const struct file *file, uint64_t number, uint64_t got, const char *what)
{
	if (nfaults++ < FAULTS_SHOWN)
		fprintf(stderr,
			"cutcheck: %s: unit %" PRIu64 ": %s: has version %#" PRIx64
			", acknowledged was %#" PRIx64 "\n",
			file->name, number, what, got, file->acknowledged[number]);
}

static void check_unit(const struct file *file, uint64_t number, const struct unit *unit)
{
	bool promised = file->lately[number] == 'a';
	const char *what;

	if (file->lately[number] == 'm')
		return;
	nverified += promised;
	if (unit_is_zero(unit)) {
		if (promised)
			fault(file, number, 0, "lost");
		return;
	}
	what = unit_fault(unit, file->name, number);
	if (what)
		fault(file, number, unit->sequence, what);
	else if (unit->sequence < file->acknowledged[number])
		fault(file, number, unit->sequence, "old");
}

static void check_file(int top, const struct file *file)
{
	int fd = openat(top, file->name, O_RDONLY | O_CLOEXEC);

	for (uint64_t i = 0; i < file->nunits; i++) {
		struct unit unit = { 0 };

		/* what is past the end is as good as zeros */
		if (fd >= 0 && pread(fd, &unit, sizeof(unit), (off_t)(i * UNIT)) < 0) {
			fprintf(stderr, "cutcheck: read %s: %s\n", file->name, strerror(errno));
			exit(1);
		}
		check_unit(file, i, &unit);
	}
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	char line[200];
	FILE *log;
	int top;

	if (argc != 3)
		return 2;
	top = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	log = fopen(argv[2], "re");
	if (top < 0 || !log) {
		fprintf(stderr, "cutcheck: open '%s' and '%s': %s\n", argv[1], argv[2],
			strerror(errno));
		return 1;
	}
	while (fgets(line, sizeof(line), log))
		read_line(line);
	fclose(log);
	for (unsigned int i = 0; i < NFILES && files[i]; i++) {
		check_file(top, files[i]);
		free(files[i]);
	}
	printf("%" PRIu64 "\n", nverified);
	if (nfaults)
		fprintf(stderr, "cutcheck: %" PRIu64 " units are not as acknowledged\n", nfaults);
	return nfaults != 0;
}
