/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flip.c - flip FILE OFFSET[:BIT]...: flips a bit of each of those bytes, bit 0 unless said
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd;

	if (argc < 3)
		return 2;
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		char *end;
		off_t offset = strtoll(argv[i], &end, 10);
		unsigned long bit = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
		uint8_t byte;

		if (pread(fd, &byte, 1, offset) != 1) {
			fprintf(stderr, "%s: no byte at %s\n", argv[1], argv[i]);
			return 1;
		}
		byte ^= (uint8_t)(1u << bit);
		if (pwrite(fd, &byte, 1, offset) != 1) {
			perror(argv[1]);
			return 1;
		}
	}
	if (close(fd) < 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
