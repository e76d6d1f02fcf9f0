/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spin.h - a short wait that keeps the processor, where it has paid
 *
 * A guest that has one request at a time sends the next one some microseconds after the answer;
 * to fall asleep and be woken in between takes longer than that.  So the thread that is alone
 * looks for it a little while first, as KVM does before it halts a virtual processor
 * (halt_poll_ns).  When that was in vain the next waits do without, the more of them the
 * more often it was.  Others who want the processor get it, and then it was in vain.  Not thread
 * safe.
 */
#ifndef FS_SPIN_H
#define FS_SPIN_H

#include <stdbool.h>

/* After how many waits at most it is tried again. */
#define MFS_SPIN_SKIP_MAX 127

/* All zero at first. */
struct mfs_spin {
	unsigned int nskipped; /* waits that did without since it was last in vain */
	unsigned int nskip;    /* that are to */
};

/* Is this wait to begin with it?  To be asked once for each. */
bool mfs_spin_is_due(struct mfs_spin *spin);

/* It was, and this is what came of it. */
void mfs_spin_tell(struct mfs_spin *spin, bool was_found);

/* If it is due, waits for some microseconds at most until fd can be read. */
void mfs_spin(struct mfs_spin *spin, int fd);

#endif
