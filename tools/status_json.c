/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_json.c - a status as a JSON document */
#include "config.h"

#include "tools/checkpoints_show.h"
#include "tools/json.h"
#include "tools/replicas_json.h"
#include "tools/seal_show.h"
#include "tools/status_show.h"
#include "tools/status_warnings.h"

static json_t *image_json(const struct status *status, const struct status_image *image)
{
	json_t *object = json_object(), *dirty = json_array();

	json_put_name(object, "path", image->path);
	json_put_number(object, "size", image->size);
	json_put_bool(object, "tracked", image->reason == BMF_REASON_NONE);
	if (image->reason != BMF_REASON_NONE)
		json_put_text(object, "reason", bmf_reason_word(image->reason));
	json_put_number(object, "armed_regions", image->armed_regions);
	json_put_number(object, "armed_bytes", image->armed_bytes);
	json_put_number(object, "crash_bytes", image->crash_bytes);
	for (size_t i = 0; i < status->state->ncursors; i++)
		json_array_append_new(dirty, json_integer((json_int_t)image->dirty[i]));
	json_object_set_new(object, "dirty_bytes", dirty);
	return object;
}

static json_t *checkpoints_json(const struct bmf_state *state)
{
	json_t *array = json_array();

	for (size_t i = 0; i < state->ncheckpoints; i++) {
		const struct bmf_checkpoint *checkpoint = &state->checkpoints[i];
		json_t *object = json_object();

		json_put_number(object, "number", checkpoint->number);
		json_put_uuid(object, "uuid", &checkpoint->uuid);
		json_put_time(object, "time", checkpoint->time_ns);
		if (checkpoint->name)
			json_put_name(object, "name", checkpoint->name);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *source_json(const struct status *status)
{
	json_t *object = json_object(), *images = json_array();

	json_put_uuid(object, "uuid", &status->state->source);
	json_put_bool(object, "mounted", status->mounted);
	if (status->mounted)
		json_put_number(object, "pid", (uint64_t)status->pid);
	json_put_number(object, "generation", status->state->generation);
	json_put_number(object, "block_size", UINT64_C(1) << status->state->block_shift);
	json_put_number(object, "bytes", status_bytes(status));
	for (size_t i = 0; i < status->nimages; i++)
		json_array_append_new(images, image_json(status, &status->images[i]));
	json_object_set_new(object, "images", images);
	json_object_set_new(object, "checkpoints", checkpoints_json(status->state));
	json_object_set_new(object, "replicas", replicas_json(&status->replicas, status->time_ns));
	seal_show_json(object, status);
	return object;
}

static json_t *replica_json(const struct status *status)
{
	const struct manifest *manifest = &status->manifest;
	json_t *object = json_object(), *images = json_array();

	json_put_uuid(object, "uuid", &manifest->replica);
	if (manifest_is_adopted(manifest))
		json_object_set_new(object, "source", json_null());
	else
		json_put_uuid(object, "source", &manifest->source);
	json_put_checkpoint(object, "checkpoint", manifest->checkpoint, &manifest->checkpoint_uuid);
	json_put_bool(object, "complete", manifest->complete && !status->to_recover);
	json_put_bool(object, "to_recover", status->to_recover);
	json_put_time(object, "last_sync", manifest->time_ns);
	for (size_t i = 0; i < manifest->nimages; i++) {
		json_t *image = json_object();

		json_put_name(image, "path", manifest->images[i].path);
		json_put_number(image, "size", manifest->images[i].stamp.size);
		json_array_append_new(images, image);
	}
	json_object_set_new(object, "images", images);
	json_object_set_new(object, "kept", checkpoints_show_json(&status->kept));
	return object;
}

static json_t *warning_json(const struct status_warning *warning)
{
	json_t *object = json_object();

	if (warning->image) {
		json_put_name(object, "path", warning->image->path);
	} else {
		json_put_uuid(object, "replica", &warning->replica->replica);
		json_put_name(object, "label", warning->replica->label);
	}
	json_put_text(object, "reason", warning->reason);
	json_put_text(object, "text", warning->text);
	return object;
}

json_t *status_json(const struct status *status, const char *path)
{
	json_t *document = json_object(), *array = json_array();
	struct status_warnings warnings;

	json_put_time(document, "time", status->time_ns);
	json_object_set_new(document, "source",
			    status->is_source ? source_json(status) : json_null());
	if (status->in_use.code)
		json_put_text(document, "source_in_use", status->in_use.text);
	json_object_set_new(document, "replica",
			    status->is_replica ? replica_json(status) : json_null());
	json_object_set_new(document, "warnings", array);
	if (status_warnings_find(status, path, &warnings) < 0) {
		json_decref(document);
		return NULL;
	}
	for (size_t i = 0; i < warnings.n; i++)
		json_array_append_new(array, warning_json(&warnings.items[i]));
	status_warnings_destroy(&warnings);
	return document;
}
