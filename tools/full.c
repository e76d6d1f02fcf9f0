/* SPDX-License-Identifier: GPL-2.0-or-later */
/* full.c - why a sync copies an image in full */
#include "config.h"

#include "tools/full.h"

static const struct {
	const char *text, *word;
} words[] = {
	{ "first sync to this replica", "first" },
	{ "the replica's checkpoint is unknown to the source", "lineage" },
	{ "the replica's file was changed by somebody else", "replica-changed" },
	{ "the replica's file is missing", "replica-missing" },
	{ "another file took the name of an image", "replaced" },
	{ "the replica was adopted", "adopted" },
	{ "the copy hasn't the size that the image had at the checkpoint", "copy-size" },
	{ "the copy is older than the checkpoint", "copy-older" },
};

const char *full_text(unsigned int reason)
{
	if (reason >= FULL_FIRST && reason <= FULL_LAST)
		return words[reason - FULL_FIRST].text;
	return bmf_reason_text((enum bmf_reason)reason);
}

const char *full_word(unsigned int reason)
{
	if (reason >= FULL_FIRST && reason <= FULL_LAST)
		return words[reason - FULL_FIRST].word;
	return bmf_reason_word((enum bmf_reason)reason);
}

bool full_is_new(unsigned int reason)
{
	return reason == FULL_NEW || reason == FULL_FIRST;
}

bool full_expected(unsigned int reason)
{
	return reason == FULL_NONE || reason == FULL_REPLACED || reason == FULL_ADOPTED ||
	       full_is_new(reason);
}

bool full_known(unsigned int reason)
{
	return reason <= BMF_REASON_LAST || (reason >= FULL_FIRST && reason <= FULL_LAST);
}
