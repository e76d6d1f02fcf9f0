/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restore_live.c - the replica's own images, as far as a restore may rely on them */
#include "config.h"

#include "tools/beneath.h"
#include "tools/digest_compare.h"
#include "tools/digest_file.h"
#include "tools/fail.h"
#include "tools/plan.h"
#include "tools/progress.h"
#include "tools/restore_live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what its digests say of a file ---- */

struct proof {
	unsigned int block_shift;
	bool known, damaged;
	uint64_t offset; /* of the first block that is */
};

static int on_block(void *arg, uint64_t block, enum digest_verdict verdict)
{
	struct proof *proof = arg;

	if (verdict == DIGEST_NOT_KNOWN)
		proof->known = false;
	if (verdict == DIGEST_DIFFERS && !proof->damaged) {
		proof->damaged = true;
		proof->offset = block << proof->block_shift;
	}
	return 0;
}

static void tick(void *arg, uint64_t nbytes)
{
	(void)arg;
	progress_add(nbytes);
}

static int prove_by(struct digests *record, const struct digests_key *key, int fd, uint64_t size,
		    struct proof *ret)
{
	struct digest_compare compare = { .record = record, .block = on_block, .arg = ret };
	struct digest_file file = {
		.fd = fd, .size = size, .block_shift = key->block_shift, .tick = tick
	};
	struct digester *digester = NULL;
	int r = digest_compare_init(key, &compare);

	if (r == 0)
		r = digester_new(digest_seed(&key->replica), key->block_shift, digest_compare_take,
				 &compare, &digester);
	if (r == 0)
		r = digest_file(&file, digester);
	digester_free(digester);
	return r;
}

static int prove(const struct restore_live *live, const struct manifest_image *image, int fd,
		 struct proof *ret)
{
	const struct manifest *manifest = &live->replica->manifest;
	const struct digests_key key = { manifest->replica, image->image, manifest->block_shift };
	int r, dir_fd = replica_open_digests(live->replica);
	struct digests *record;
	struct bmf_error why;

	*ret = (struct proof){ .block_shift = key.block_shift };
	if (dir_fd < 0)
		return dir_fd;
	r = digests_open(&bmf_io_posix, dir_fd, &key, false, &record, &why);
	if (r == 0) {
		ret->known = true;
		r = prove_by(record, &key, fd, image->stamp.size, ret);
		digests_close(record);
	} else if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		r = 0;
	}
	close(dir_fd);
	return r;
}

/* ---- files ---- */

/* As it was published; or what has its name by now, and its size. */
static const struct tree_node *find_file(const struct restore_live *live,
					 const struct manifest_image *image, bool *ret_touched)
{
	const struct tree_node *file =
		plan_find_file(live->tree, &live->replica->manifest, image, ret_touched);
	const struct tree_entry *entry;

	if (file)
		return file;
	*ret_touched = true;
	entry = tree_find(live->tree, image->path);
	if (!entry || !S_ISREG(entry->node->st.st_mode) ||
	    (uint64_t)entry->node->st.st_size != image->stamp.size)
		return NULL;
	return entry->node;
}

static int open_node(const struct restore_live *live, const struct tree_node *file)
{
	int fd, path_fd = tree_open(live->tree, file);

	if (path_fd < 0)
		return path_fd;
	fd = beneath_reopen(path_fd, O_RDONLY);
	close(path_fd);
	return fd;
}

static void note_damage(struct restore_live *live, const struct manifest_image *image,
			const struct proof *proof)
{
	if (live->ndamaged++ > 0)
		return;
	live->first_damaged = strdup(image->path);
	live->first_offset = proof->offset;
}

int restore_live_open(struct restore_live *live, const struct manifest_image *image)
{
	const char *top = live->replica->path;
	struct proof proof = { 0 };
	bool touched = false;
	const struct tree_node *file = find_file(live, image, &touched);
	int fd = file ? open_node(live, file) : -ESTALE, r;

	progress_image(image->path);
	if (file && fd < 0)
		return fail_errno(live->err, fd, "open", top, image->path);
	r = file ? prove(live, image, fd, &proof) : 0;
	if (r < 0) {
		close(fd);
		return r == -ECANCELED ? r : fail_errno(live->err, r, "read", top, image->path);
	}
	if (!file || (touched && (!proof.known || proof.damaged))) {
		if (file)
			close(fd);
		return fail_text(live->err, -ESTALE, "restore", top, image->path,
				 "somebody changed or removed it since it was synced, and its "
				 "digests don't prove it; sync again, or restore a checkpoint that "
				 "is kept as a tree");
	}
	if (proof.damaged)
		note_damage(live, image, &proof);
	return fd;
}
