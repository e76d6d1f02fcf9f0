/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_internal.h - what store.c needs of store_lock.c and store_names.c */
#ifndef BITMAPFILE_STORE_INTERNAL_H
#define BITMAPFILE_STORE_INTERNAL_H

#include "bitmapfile/store.h"

#define BMF_BITMAPS_NAME "bitmaps"
#define BMF_SESSIONS_NAME "sessions"

/* store_lock.c: takes the lock, or -EBUSY with the holder's line in err */
int bmf_store_lock(struct bmf_store *store, bool share, const char *holder, struct bmf_error *err);
void bmf_store_unlock(struct bmf_store *store);

/* store_names.c: removes temporary files that a crash left; only with the lock */
void bmf_store_remove_leftovers(struct bmf_store *store);

#endif
