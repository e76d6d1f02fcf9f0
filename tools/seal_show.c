/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seal_show.c - how status tells of a source that was switched over */
#include "config.h"

#include "tools/seal_show.h"

#include "tools/json.h"
#include "tools/text.h"

#include <stdio.h>

void seal_show_json(json_t *object, const struct status *status)
{
	json_t *sealed = status->is_sealed ? json_object() : json_null();

	if (status->is_sealed) {
		json_put_uuid(sealed, "replica", &status->seal.replica);
		json_put_checkpoint(sealed, "checkpoint", status->seal.number,
				    &status->seal.checkpoint);
		json_put_time(sealed, "time", status->seal.time_ns);
		json_put_name(sealed, "label", status->seal.label ? status->seal.label : "");
	}
	json_object_set_new(object, "sealed", sealed);
}

void seal_show_text(const struct status *status, FILE *out)
{
	const struct bmf_seal *seal = &status->seal;
	char name[TEXT_NAME], when[TEXT_TIME];

	if (!status->is_sealed)
		return;
	if (!seal->label) {
		fputs("read-only: it may have been switched over, its mark is damaged\n", out);
		return;
	}
	fprintf(out, "read-only: %s switched over to '%s' at %s\n",
		seal->number ? "it was" : "it is being",
		text_quote(seal->label, name, sizeof(name)), text_time(seal->time_ns, when));
}
