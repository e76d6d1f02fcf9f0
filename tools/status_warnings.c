/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_warnings.c - what of a status somebody should look at */
#include "config.h"

#include "tools/status_warnings.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is it worth a warning that the image isn't tracked?  A new one never is. */
static bool is_trouble(const struct status_image *image)
{
	return image->reason != BMF_REASON_NONE && image->reason != BMF_REASON_NEW &&
	       image->reason != BMF_REASON_COPIED;
}

/* Takes warning.text, which is owned.  There is room. */
static int add(struct status_warnings *warnings, struct status_warning warning)
{
	if (!warning.text)
		return -ENOMEM;
	warnings->items[warnings->n++] = warning;
	return 0;
}

static int add_images(const struct status *status, struct status_warnings *warnings)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < status->nimages; i++) {
		const struct status_image *image = &status->images[i];

		if (is_trouble(image))
			r = add(warnings, (struct status_warning){
						  .image = image,
						  .reason = bmf_reason_word(image->reason),
						  .text = strdup(bmf_reason_text(image->reason)),
					  });
	}
	return r;
}

static char *away_text(const struct replicas_item *item, unsigned int days, const char *path)
{
	char uuid[BMF_UUID_TEXT], bytes[TEXT_BYTES], name[TEXT_NAME], *text;

	if (asprintf(&text,
		     "not seen for %u days, and %s of bitmaps are kept only for it; if it was "
		     "given up: mirrorctl replica forget '%s' %s",
		     days, text_bytes(item->held_nbytes, bytes),
		     text_quote(path, name, sizeof(name)),
		     bmf_uuid_format(&item->cursor->replica, uuid)) < 0)
		return NULL;
	return text;
}

/* The one replica, at most, that goes back furthest. */
static int add_away(const struct status *status, const char *path, struct status_warnings *warnings)
{
	for (size_t i = 0; i < status->replicas.n; i++) {
		const struct replicas_item *item = &status->replicas.items[i];
		unsigned int days = replicas_days_away(item, status->time_ns);

		if (days > 0)
			return add(warnings, (struct status_warning){
						     .replica = item->cursor,
						     .reason = "replica-away",
						     .text = away_text(item, days, path),
					     });
	}
	return 0;
}

int status_warnings_find(const struct status *status, const char *path, struct status_warnings *ret)
{
	struct status_warnings warnings = { .items = calloc(status->nimages + 1,
							    sizeof(*warnings.items)) };
	int r = warnings.items ? add_images(status, &warnings) : -ENOMEM;

	if (r == 0)
		r = add_away(status, path, &warnings);
	if (r < 0)
		status_warnings_destroy(&warnings);
	else
		*ret = warnings;
	return r;
}

void status_warnings_destroy(struct status_warnings *warnings)
{
	for (size_t i = 0; i < warnings->n; i++)
		free(warnings->items[i].text);
	free(warnings->items);
	*warnings = (struct status_warnings){ 0 };
}
