/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * publish.h - does what a replica's journal says: brings it to the checkpoint of a committed update
 *
 * For the sync that wrote the journal, and for whoever finds one that a sync left behind: it needs
 * no source, and remembers nothing of how far it came before.  What it does, and the crash points
 * between, are at the top of publish.c.
 *
 * Not thread safe.
 */
#ifndef TOOLS_PUBLISH_H
#define TOOLS_PUBLISH_H

#include "tools/replica.h"

/* For people: what is counted in a report; a sync in place has the same to tell. */
#define PUBLISH_OWNER_REFUSED "owner or mode couldn't be set"
#define PUBLISH_XATTRS_REFUSED "extended attributes couldn't be set"
#define PUBLISH_SPECIAL_REFUSED "special files can't be made without root's rights"
#define PUBLISH_GONE "removed from the replica meanwhile"

/* What was left undone, because the filesystem or our rights don't allow it; one example each. */
struct publish_report {
	bool found; /* there was a journal */
	uint64_t nowner, nxattrs, nspecial;
	char *first_owner, *first_xattrs, *first_special; /* owned */
	/* Images whose file somebody has removed since: the replica is incomplete without. */
	uint64_t ngone;
	char *first_gone;
};

/*
 * threads: that write; 0: as many as disks like.
 *
 * 0: there is no journal any more, nor what an update left that came to nothing, and the replica's
 * manifest says what it is at.  -ECANCELED: a signal asked to stop; or another negative errno, with
 * a message.  Then the journal is still there, and it can be done again.  The report is filled in
 * any case, and is to be destroyed.
 */
int publish(struct replica *replica, unsigned int threads, struct publish_report *ret,
	    struct bmf_error *err);

/* 0: nothing is to be published.  Otherwise an error of verb, with the way out. */
int publish_check_done(const struct replica *replica, const char *verb, struct bmf_error *err);

void publish_report_destroy(struct publish_report *report);

/* Calls tell with a line for people for each thing that is counted. */
void publish_tell(const struct publish_report *report, void (*tell)(void *arg, const char *text),
		  void *arg);

#endif
