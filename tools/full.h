/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * full.h - why a sync copies an image in full
 *
 * Invariant I4.  Numbers below FULL_FIRST are those of enum bmf_reason, with
 * FULL_NONE for "it doesn't: its bitmaps tell".  They are part of the format of a
 * replica's manifest.
 */
#ifndef TOOLS_FULL_H
#define TOOLS_FULL_H

#include "bitmapfile/reason.h"

#include <stdbool.h>

enum full_reason {
	FULL_NONE = BMF_REASON_NONE,
	FULL_NEW = BMF_REASON_NEW, /* the replica hasn't had it yet */
	FULL_FIRST = 64,	   /* the first sync to this replica */
	FULL_LINEAGE = 65,	   /* the replica's checkpoint is unknown to the source */
	FULL_TOUCHED = 66,	   /* somebody changed the replica's file */
	FULL_GONE = 67,		   /* somebody removed the replica's file */
	FULL_REPLACED = 68,	   /* another file took the name of an image */
	FULL_ADOPTED = 69,	   /* somebody else made the replica */
	FULL_SEED = 70,		   /* a copy made by other means hasn't the size it should */
	FULL_OLDER = 71,	   /* it was there before the checkpoint that it is to be of */
	FULL_LAST = FULL_OLDER,
};

const char *full_text(unsigned int reason); /* for people */
const char *full_word(unsigned int reason); /* for JSON */

/* Has the replica never had that image, nor one in its place? */
bool full_is_new(unsigned int reason);

/* Is it one that no bitmap could have spared? */
bool full_expected(unsigned int reason);

/* Is it a number that this version knows? */
bool full_known(unsigned int reason);

#endif
