/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expect.h - for test clients that make system calls and say which one went wrong */
#ifndef TESTS_CLIENTS_EXPECT_H
#define TESTS_CLIENTS_EXPECT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Goes on only if the condition holds. */
#define EXPECT(condition)                                                                  \
	do {                                                                               \
		errno = 0;                                                                 \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                          \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

/* The call must fail with this errno. */
#define EXPECT_ERROR(call, wanted)                                                            \
	do {                                                                                  \
		errno = 0;                                                                    \
		if ((call) >= 0 || errno != (wanted)) {                                       \
			fprintf(stderr, "%s:%d: %s: got %s, wanted %s\n", __FILE__, __LINE__, \
				#call, strerror(errno), strerror(wanted));                    \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

/* For what the filesystem may not have: says so, and the rest of the check is left out. */
#define LEAVE_IF_UNSUPPORTED(call)                                            \
	do {                                                                  \
		if ((call) < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) { \
			printf("not supported here: %s\n", #call);            \
			return;                                               \
		}                                                             \
	} while (0)

#endif
