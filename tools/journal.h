/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - what an update has in DEST/.mirrorfs/ before it is published
 *
 *   staging/N     complete files, that are to take their places: numbers, from 1
 *   staging/UUID  the digests of images, as they are to be
 *   journal.tmp   the journal while it is written: a stream (stream.h)
 *   journal       the same, committed: what is in it will be done, by this process or by
 *                 anyone else
 *
 * Calling sequence: journal_begin, then journal_make or journal_clone for each file, the
 * stream is written to journal.fd; all files durable (the caller's part); journal_commit.
 * That rename is the atomic point of an update.  After a crash before it there is nothing
 * but leftovers, which journal_discard removes; after it, a journal.
 *
 * Who calls this holds the replica's lock.  Not thread safe.
 */
#ifndef TOOLS_JOURNAL_H
#define TOOLS_JOURNAL_H

#include "bitmapfile/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_NAME BMF_JOURNAL_NAME
#define JOURNAL_STAGING "staging"

struct journal {
	int dir_fd;	/* DEST/.mirrorfs; borrowed */
	int staging_fd; /* -1: none */
	int fd;		/* of journal.tmp; -1: none */
	uint64_t nstaged;
	bool no_clones; /* the filesystem has turned one down */
};

/* The name of a staged file. */
#define JOURNAL_STAGED 24
char *journal_staged_name(uint64_t number, char buf[JOURNAL_STAGED]);

/* Removes what an update left that came to nothing.  Not what is committed. */
int journal_discard(int dir_fd);

/* Discards, and begins anew.  0 or a negative errno. */
int journal_begin(int dir_fd, struct journal *ret);

/* An empty staged file, O_RDWR, mode 0600; its number is journal->nstaged. */
int journal_make(struct journal *journal);

/*
 * A staged file that shares the blocks of fd, which stays as it is.  -EOPNOTSUPP where the
 * filesystem can't: found by trying, and not tried again.
 */
int journal_clone(struct journal *journal, int fd);

/* Opens a staged file again, O_RDWR. */
int journal_reopen(const struct journal *journal, uint64_t number);

/* The stream is complete and all staged files are durable: makes it the journal, durably. */
int journal_commit(struct journal *journal);

/* Closes; of one that isn't committed, removes what there is.  NULL members are fine. */
void journal_end(struct journal *journal);

/* The committed journal, O_RDONLY; -ENOENT: there is none. */
int journal_open(int dir_fd);

/* It has been published: removes it, durably, and after it what is left in staging/. */
int journal_remove(int dir_fd);

#endif
