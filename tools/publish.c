/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * publish.c - does what a replica's journal says
 *
 *   P1  the journal is read through: it is whole, and of this replica at this checkpoint
 *   P2  staged digests, and what leads back to the old checkpoint (reverse.h), get to their places,
 *       and are durable there: nobody believes them before P8
 *   P3  the replica's tree is read, with what is in moving/ and staging/; each file that the
 *       journal means is found by its inode, wherever it is by now
 *   P4  names: files from staging/ take the places of those that they replace (names.h)
 *   P5  content: extents of the journal are written in place
 *   P6  metadata, and of directories last
 *   P7  all of it is durable
 *   P8  the manifest says: complete, at the new checkpoint
 *   P9  the journal is removed, then what is left in staging/ and digests of images that are gone
 *
 * Killed anywhere from P2 to P8, the next one begins at P1 and finds names, files and extents that
 * are right already: each step makes something so, whatever it was.  Extents don't depend
 * on what was there; sizes are set before them.  Killed after P8, it finds that the manifest is
 * where the journal leads to, and only P9 is left.  The manifest stays at the old checkpoint until
 * P7, and nobody else may use the replica as long as there is a journal: all who open it to be
 * written to come here first (I2).
 */
#include "config.h"

#include "tools/digests.h"
#include "tools/fail.h"
#include "tools/full.h"
#include "tools/journal.h"
#include "tools/progress.h"
#include "tools/publish_internal.h"
#include "tools/reverse.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIVE_UP "mirrorctl adopt gives it up, and the next sync compares all images"

int publish_failed(struct publish *p, int code, const char *verb, const char *path)
{
	return fail_errno(p->err, code, verb, p->replica->path, path);
}

/* ---- P1 ---- */

static struct stream_expect expectation(const struct publish *p)
{
	return (struct stream_expect){ .name = "the replica's journal",
				       .replica = &p->replica->manifest.replica,
				       .journal = true };
}

int publish_open_stream(struct publish *p, struct stream_reader **ret)
{
	const struct stream_expect expect = expectation(p);

	if (lseek(p->fd, 0, SEEK_SET) < 0)
		return publish_failed(p, -errno, "read journal of", NULL);
	return stream_reader_open(p->fd, &expect, ret, p->err);
}

/* 1: it has been published already. */
static int check_journal(struct publish *p)
{
	const struct manifest *manifest = &p->replica->manifest;
	const struct stream_expect expect = expectation(p);
	struct bmf_error why = { 0 };
	int r = stream_verify(p->fd, &expect, &p->header, NULL, &why);

	if (r == -ECANCELED)
		return r;
	if (r < 0)
		return fail_text(p->err, r, "publish update of", p->replica->path, NULL,
				 "%s; if it can't be had back: " GIVE_UP,
				 why.code ? why.text : fail_reason(r));
	if (bmf_uuid_equal(&p->header.to_uuid, &manifest->checkpoint_uuid))
		return 1;
	if (p->header.from == manifest->checkpoint &&
	    bmf_uuid_equal(&p->header.from_uuid, &manifest->checkpoint_uuid))
		return 0;
	return fail_text(
		p->err, -ESTALE, "publish update of", p->replica->path, NULL,
		"its journal begins at another checkpoint than the replica is at; " GIVE_UP);
}

/* ---- P2 ---- */

static int move_digests(struct publish *p, int staging_fd, int digests_fd)
{
	char name[BMF_UUID_TEXT];

	for (size_t i = 0; i < p->want.n; i++) {
		if (bmf_uuid_is_none(&p->want.nodes[i].image))
			continue;
		bmf_uuid_format(&p->want.nodes[i].image, name);
		/* there are none of what isn't changed, and of what was moved before */
		if (renameat(staging_fd, name, digests_fd, name) < 0 && errno != ENOENT)
			return -errno;
	}
	return fsync(digests_fd) < 0 ? -errno : 0;
}

static int publish_staged(struct publish *p)
{
	int r, staging_fd = openat(p->replica->store->dir_fd, JOURNAL_STAGING,
				   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (staging_fd < 0)
		return errno == ENOENT ? 0 : publish_failed(p, -errno, "move digests of", NULL);
	r = move_digests(p, staging_fd, p->digests_fd);
	if (r < 0)
		publish_failed(p, r, "move digests of", NULL);
	else
		r = reverse_publish(p->replica, staging_fd, p->header.from, p->err);
	close(staging_fd);
	return r;
}

/* ---- P4 ---- */

static int apply_names(struct publish *p)
{
	struct names_result names = { 0 };
	int r = names_apply(p->plan, &p->steps, p->replica->fd, &names, p->err);

	if (r == 0 && names.refused > 0) {
		p->report->nspecial = names.refused;
		p->report->first_special = strdup(names.refused_path);
	}
	return r;
}

/* ---- P8 ---- */

static int list_images(const struct publish *p, struct manifest *next)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->want.n; i++) {
		const struct stream_tree_node *what = &p->want.nodes[i];
		const struct plan_node *node = &p->plan->nodes[i];
		const struct bmf_stamp none = { 0 };

		if (!S_ISREG(what->meta.st.st_mode) || bmf_uuid_is_none(&what->image))
			continue;
		r = manifest_add(next, &what->image, node->source->first->path,
				 node->vanished ? FULL_GONE : FULL_NONE, false,
				 node->vanished ? &none : &node->stamp);
	}
	return r;
}

static int save_manifest(struct publish *p)
{
	struct manifest next = { .replica = p->header.replica,
				 .source = p->header.source,
				 .checkpoint = p->header.to,
				 .checkpoint_uuid = p->header.to_uuid,
				 .complete = p->report->ngone == 0,
				 .block_shift = p->header.block_shift };
	int r = list_images(p, &next);

	if (r < 0)
		publish_failed(p, r, "list images of", NULL);
	else
		r = replica_save(p->replica, &next, p->err);
	manifest_destroy(&next);
	return r;
}

/* ---- all of it ---- */

static int apply(struct publish *p)
{
	int r = publish_read(p);

	if (r == 0)
		r = publish_staged(p);
	if (r == 0)
		r = replica_read_tree(p->replica, &p->dest, p->err);
	if (r == 0)
		r = publish_plan(p);
	if (r == 0)
		r = apply_names(p);
	if (r == 0)
		r = publish_content(p);
	if (r == 0)
		r = publish_metadata(p);
	if (r == 0 && syncfs(p->replica->fd) < 0)
		r = publish_failed(p, -errno, "flush", NULL);
	if (r == 0)
		r = save_manifest(p);
	if (r == 0)
		replica_trim_digests(p->replica, p->digests_fd);
	return r;
}

static void forget(struct publish *p)
{
	names_destroy(&p->steps);
	plan_free(p->plan);
	stream_tree_destroy(&p->want);
	tree_free(p->dest);
	if (p->digests_fd >= 0)
		close(p->digests_fd);
	close(p->fd);
}

int publish(struct replica *replica, unsigned int threads, struct publish_report *ret,
	    struct bmf_error *err)
{
	int dir_fd = replica->store->dir_fd, r;
	struct publish p = { .replica = replica, .report = ret, .err = err, .threads = threads };

	*ret = (struct publish_report){ 0 };
	p.fd = journal_open(dir_fd);
	if (p.fd == -ENOENT) {
		r = journal_discard(dir_fd);
		return r < 0 ? fail_errno(err, r, "clean up", replica->path, BMF_STATE_DIR) : 0;
	}
	if (p.fd < 0)
		return publish_failed(&p, p.fd, "open journal of", NULL);
	ret->found = true;
	progress_enter(PROGRESS_PUBLISHING);
	p.digests_fd = replica_open_digests(replica);
	r = p.digests_fd < 0 ? publish_failed(&p, p.digests_fd, "open digests of", NULL)
			     : check_journal(&p);
	if (r == 0)
		r = apply(&p);
	if (r >= 0) {
		r = journal_remove(dir_fd);
		if (r < 0)
			publish_failed(&p, r, "remove journal of", NULL);
	}
	forget(&p);
	return r;
}

int publish_check_done(const struct replica *replica, const char *verb, struct bmf_error *err)
{
	int fd = journal_open(replica->store->dir_fd);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fail_errno(err, fd, "open journal of", replica->path, NULL);
	close(fd);
	return fail_text(err, -EBUSY, verb, replica->path, NULL,
			 "an update of it was interrupted; first finish that with mirrorctl "
			 "recover%s",
			 replica->read_only ? ", where it is mounted writable" : "");
}

void publish_tell(const struct publish_report *report, void (*tell)(void *arg, const char *text),
		  void *arg)
{
	const struct {
		uint64_t n;
		const char *first, *what;
	} counts[] = {
		{ report->nspecial, report->first_special, PUBLISH_SPECIAL_REFUSED },
		{ report->nowner, report->first_owner, PUBLISH_OWNER_REFUSED },
		{ report->nxattrs, report->first_xattrs, PUBLISH_XATTRS_REFUSED },
		{ report->ngone, report->first_gone, PUBLISH_GONE },
	};
	char text[TEXT_FILES];

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i].n > 0)
			tell(arg, text_files(counts[i].what, counts[i].n, counts[i].first, text));
}

void publish_report_destroy(struct publish_report *report)
{
	free(report->first_owner);
	free(report->first_xattrs);
	free(report->first_special);
	free(report->first_gone);
	*report = (struct publish_report){ 0 };
}
