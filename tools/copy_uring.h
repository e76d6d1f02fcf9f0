/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_uring.h - pieces of a copy, read and written by io_uring
 *
 * One thread has many requests on their way, and isn't woken for each.  Internal to copy*.c.  Not
 * thread safe.
 */
#ifndef TOOLS_COPY_URING_H
#define TOOLS_COPY_URING_H

#include "tools/copy_ring.h"

struct copy_uring;

/* For n pieces at a time.  0; or a negative errno where there is no io_uring, or it isn't allowed.
 */
int copy_uring_new(size_t n, struct copy_uring **ret);
void copy_uring_free(struct copy_uring *uring); /* nothing is under way; NULL is allowed */

/* As copy_carry_out(), some time before copy_uring_wait returns.  What the page cache has is done
 * at once. */
void copy_uring_start(struct copy_uring *uring, struct copy_piece *piece);
void copy_uring_wait(struct copy_uring *uring, const struct copy_piece *piece);

#endif
