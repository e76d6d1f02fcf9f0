/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_prometheus.c - a status in Prometheus' text format 0.0.4, for node_exporter
 *
 * Samples of a metric follow each other, after its HELP and TYPE.  Labels have to be UTF-8, and no
 * two samples the same: what isn't UTF-8 is escaped as in JSON, and has a label NAME_escaped, so
 * that it can't be taken for a name that reads like that.
 */
#include "config.h"

#include "tools/status_show.h"
#include "tools/status_warnings.h"
#include "tools/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct output {
	FILE *out;
	const struct status *status;
	const char *path;
	bool out_of_memory;
};

/* ---- the format ---- */

static void begin_metric(struct output *o, const char *name, const char *help)
{
	fprintf(o->out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
}

/* before: what is between it and the label before it. */
static void put_label(struct output *o, const char *before, const char *key, const char *value)
{
	char *text = text_for_utf8(value);

	if (!text) {
		o->out_of_memory = true;
		return;
	}
	fprintf(o->out, "%s%s=\"", before, key);
	put_escaped(o->out, text);
	fputc('"', o->out);
	if (!text_is_utf8(value))
		fprintf(o->out, ",%s_escaped=\"true\"", key);
	free(text);
}

/* What a sample is of, besides the directory; NULL where it isn't of such a thing. */
struct about {
	const char *directory; /* key of the label that the directory has */
	const struct status_image *image;
	const struct bmf_uuid *replica;
	const char *where;
};

static void begin_sample(struct output *o, const char *name, const struct about *about)
{
	char uuid[BMF_UUID_TEXT];

	fputs(name, o->out);
	put_label(o, "{", about->directory, o->path);
	if (about->image)
		put_label(o, ",", "image", about->image->path);
	if (about->replica)
		put_label(o, ",", "replica", bmf_uuid_format(about->replica, uuid));
	if (about->where)
		put_label(o, ",", "where", about->where);
	fputs("} ", o->out);
}

static void put_number(struct output *o, const char *name, const struct about *about,
		       uint64_t value)
{
	begin_sample(o, name, about);
	fprintf(o->out, "%" PRIu64 "\n", value);
}

/* Nothing for 0: what hasn't been has no time. */
static void put_time(struct output *o, const char *name, const struct about *about, int64_t time_ns)
{
	if (time_ns <= 0)
		return;
	begin_sample(o, name, about);
	fprintf(o->out, "%" PRId64 ".%03d\n", time_ns / 1000000000,
		(int)(time_ns % 1000000000 / 1000000));
}

static void put_one(struct output *o, const char *directory, const char *name, const char *help,
		    uint64_t value)
{
	begin_metric(o, name, help);
	put_number(o, name, &(struct about){ .directory = directory }, value);
}

/* ---- a source ---- */

static void put_images(struct output *o, const char *name, const char *help,
		       uint64_t (*value)(const struct status_image *image))
{
	begin_metric(o, name, help);
	for (size_t i = 0; i < o->status->nimages; i++)
		put_number(o, name,
			   &(struct about){ .directory = "source", .image = &o->status->images[i] },
			   value(&o->status->images[i]));
}

static uint64_t size_of(const struct status_image *image)
{
	return image->size;
}

static uint64_t tracked_of(const struct status_image *image)
{
	return image->reason == BMF_REASON_NONE;
}

static uint64_t armed_of(const struct status_image *image)
{
	return image->armed_bytes;
}

static uint64_t crash_of(const struct status_image *image)
{
	return image->crash_bytes;
}

static void put_image_dirt(struct output *o)
{
	static const char name[] = "mirrorfs_image_dirty_bytes";
	const struct status *status = o->status;

	if (status->replicas.n == 0)
		return;
	begin_metric(o, name, "Bytes of the image that the next sync to the replica looks at.");
	for (size_t i = 0; i < status->nimages; i++)
		for (size_t k = 0; k < status->replicas.n; k++)
			put_number(o, name,
				   &(struct about){
					   .directory = "source",
					   .image = &status->images[i],
					   .replica = &status->replicas.items[k].cursor->replica,
				   },
				   status->images[i].dirty[k]);
}

static struct about about_replica(const struct replicas_item *item)
{
	return (struct about){ .directory = "source",
			       .replica = &item->cursor->replica,
			       .where = item->cursor->label };
}

static void put_replicas(struct output *o, const char *name, const char *help,
			 uint64_t (*value)(const struct replicas_item *item))
{
	if (o->status->replicas.n > 0)
		begin_metric(o, name, help);
	for (size_t i = 0; i < o->status->replicas.n; i++) {
		const struct replicas_item *item = &o->status->replicas.items[i];
		const struct about about = about_replica(item);

		put_number(o, name, &about, value(item));
	}
}

static void put_replica_times(struct output *o, const char *name, const char *help,
			      int64_t (*time_ns)(const struct replicas_item *item))
{
	if (o->status->replicas.n > 0)
		begin_metric(o, name, help);
	for (size_t i = 0; i < o->status->replicas.n; i++) {
		const struct replicas_item *item = &o->status->replicas.items[i];
		const struct about about = about_replica(item);

		put_time(o, name, &about, time_ns(item));
	}
}

static uint64_t checkpoint_of(const struct replicas_item *item)
{
	return item->cursor->at;
}

static uint64_t pending_of(const struct replicas_item *item)
{
	return item->cursor->pending;
}

static uint64_t dirty_of(const struct replicas_item *item)
{
	return item->dirty;
}

static uint64_t held_of(const struct replicas_item *item)
{
	return item->held_nbytes;
}

static int64_t checkpoint_time_of(const struct replicas_item *item)
{
	return item->at_ns;
}

static int64_t last_sync_of(const struct replicas_item *item)
{
	return item->cursor->time_ns;
}

static void put_source(struct output *o)
{
	const struct status *status = o->status;

	put_one(o, "source", "mirrorfs_source_mounted", "Whether a mirrorfs serves the source.",
		status->mounted);
	put_one(o, "source", "mirrorfs_source_sealed",
		"Whether the source was switched over to a replica, and is read-only.",
		status->is_sealed);
	put_one(o, "source", "mirrorfs_source_generation", "Number of the newest checkpoint.",
		status->state->generation);
	put_one(o, "source", "mirrorfs_source_block_size_bytes", "Unit of tracking.",
		UINT64_C(1) << status->state->block_shift);
	put_one(o, "source", "mirrorfs_source_images", "Images that there are.", status->nimages);
	put_images(o, "mirrorfs_image_size_bytes", "Size of the image.", size_of);
	put_images(o, "mirrorfs_image_tracked",
		   "Whether bitmaps tell what has changed in the image.", tracked_of);
	put_images(o, "mirrorfs_image_armed_bytes",
		   "Bytes of the image that a crash now would make dirty.", armed_of);
	put_images(o, "mirrorfs_image_crash_bytes",
		   "Bytes of the image that are dirty only because of a crash.", crash_of);
	put_image_dirt(o);
	put_replicas(o, "mirrorfs_replica_dirty_bytes",
		     "Bytes that the next sync to the replica looks at.", dirty_of);
	put_replicas(o, "mirrorfs_replica_checkpoint",
		     "Number of the checkpoint that the replica is at, 0: none yet.",
		     checkpoint_of);
	put_replicas(o, "mirrorfs_replica_pending_checkpoint",
		     "Number of the checkpoint that a sync which was begun leads to, 0: none.",
		     pending_of);
	put_replica_times(o, "mirrorfs_replica_checkpoint_timestamp_seconds",
			  "When the checkpoint was made that the replica is at.",
			  checkpoint_time_of);
	put_replica_times(o, "mirrorfs_replica_last_sync_timestamp_seconds",
			  "When the last sync to the replica was completed.", last_sync_of);
	put_replicas(o, "mirrorfs_replica_held_bytes",
		     "Bytes of bitmaps that are kept only for the replica.", held_of);
}

/* ---- a replica, as it sees itself ---- */

static void put_replica(struct output *o)
{
	const struct manifest *manifest = &o->status->manifest;
	static const char last_sync[] = "mirrorfs_replica_directory_last_sync_timestamp_seconds";
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->nimages; i++)
		bytes += manifest->images[i].stamp.size;
	put_one(o, "directory", "mirrorfs_replica_directory_complete",
		"Whether all of the replica is at one checkpoint.",
		manifest->complete && !o->status->to_recover);
	put_one(o, "directory", "mirrorfs_replica_directory_to_recover",
		"Whether an update of the replica has to be finished by mirrorctl recover.",
		o->status->to_recover);
	put_one(o, "directory", "mirrorfs_replica_directory_checkpoint",
		"Number of the checkpoint that the replica is at, 0: none yet.",
		manifest->checkpoint);
	put_one(o, "directory", "mirrorfs_replica_directory_images", "Images that the replica has.",
		manifest->nimages);
	put_one(o, "directory", "mirrorfs_replica_directory_size_bytes",
		"Sizes of those images, together.", bytes);
	put_one(o, "directory", "mirrorfs_replica_directory_kept_checkpoints",
		"Older checkpoints that are kept.", o->status->kept.n);
	begin_metric(o, last_sync, "When the replica was last changed by a sync.");
	put_time(o, last_sync, &(struct about){ .directory = "directory" }, manifest->time_ns);
}

int status_prometheus_print(const struct status *status, const char *path, FILE *out)
{
	struct output o = { .out = out, .status = status, .path = path };
	struct status_warnings warnings;
	int r = status_warnings_find(status, path, &warnings);

	if (r < 0)
		return r;
	if (status->is_source)
		put_source(&o);
	if (status->is_replica)
		put_replica(&o);
	put_one(&o, "directory", "mirrorfs_warnings", "Things that somebody should look at.",
		status->is_source || status->is_replica ? warnings.n : 1);
	status_warnings_destroy(&warnings);
	return o.out_of_memory ? -ENOMEM : 0;
}
