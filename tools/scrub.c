/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scrub.c - proves a replica by its digests, without its source */
#include "config.h"

#include "tools/beneath.h"
#include "tools/digest_compare.h"
#include "tools/digest_file.h"
#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/scrub.h"

#include "bitmapfile/bits.h"
#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct scrub {
	const struct replica *replica;
	const struct scrub_options *options;
	struct scrub_result *result;
	struct bmf_error *err;
	int digests_fd;
	uint64_t done;

	/* The image at hand. */
	const struct manifest_image *image;
	int fd;
	struct bmf_stamp as_read;
	uint64_t size, there;	     /* as it should be, and as it is */
	struct digests *digests;     /* NULL: there are none */
	struct bmf_bits *unreadable; /* blocks; digests come later than what they are made from */
	/* What was found last, to be joined with what follows it. */
	bool pending;
	enum scrub_what what;
	uint64_t first, end;	/* bytes */
	struct copy_ring *ring; /* that reads images */
};

const char *scrub_word(enum scrub_what what)
{
	static const char *const words[] = {
		[SCRUB_DAMAGED] = "damaged", [SCRUB_UNKNOWN] = "unknown",
		[SCRUB_LONGER] = "longer",   [SCRUB_SHORTER] = "shorter",
		[SCRUB_MISSING] = "missing", [SCRUB_UNREADABLE] = "unreadable",
	};

	return words[what];
}

const char *scrub_text(enum scrub_what what)
{
	static const char *const texts[] = {
		[SCRUB_DAMAGED] = "damaged: it isn't what was written there",
		[SCRUB_UNKNOWN] = "can't be proved: its digests are missing",
		[SCRUB_LONGER] = "longer than what was written there",
		[SCRUB_SHORTER] = "the file ends before that",
		[SCRUB_MISSING] = "the file is missing",
		[SCRUB_UNREADABLE] = "can't be read",
	};

	return texts[what];
}

/* ---- what is found ---- */

static void tell(struct scrub *s, enum scrub_what what, uint64_t offset, uint64_t nbytes)
{
	struct scrub_found found = { s->image, s->as_read, what, offset, nbytes };

	s->result->nfound++;
	s->options->found(s->options->arg, &found);
}

static void flush_found(struct scrub *s)
{
	uint64_t nbytes = s->end - s->first;

	if (!s->pending)
		return;
	s->pending = false;
	if (s->what == SCRUB_DAMAGED || s->what == SCRUB_UNREADABLE)
		s->result->bytes_damaged += nbytes;
	else
		s->result->bytes_unknown += nbytes;
	tell(s, s->what, s->first, nbytes);
}

/* Of the image, whose end cuts off its last block. */
static void found(struct scrub *s, enum scrub_what what, uint64_t offset, uint64_t nbytes)
{
	uint64_t end = nbytes < s->size - offset ? offset + nbytes : s->size;

	if (s->pending && s->what == what && s->end == offset) {
		s->end = end;
		return;
	}
	flush_found(s);
	s->pending = true;
	s->what = what;
	s->first = offset;
	s->end = end;
}

static void found_all(struct scrub *s, enum scrub_what what)
{
	found(s, what, 0, s->size);
	flush_found(s);
}

/* ---- blocks against their digests ---- */

static int on_block(void *arg, uint64_t block, enum digest_verdict verdict)
{
	struct scrub *s = arg;
	unsigned int shift = s->replica->manifest.block_shift;
	enum scrub_what what = SCRUB_DAMAGED;

	if (bmf_bits_test(s->unreadable, block))
		what = SCRUB_UNREADABLE;
	else if (verdict == DIGEST_SAME)
		return 0;
	else if (verdict == DIGEST_NOT_KNOWN)
		what = SCRUB_UNKNOWN;
	found(s, what, block << shift, UINT64_C(1) << shift);
	return 0;
}

static void tick(void *arg, uint64_t nbytes)
{
	struct scrub *s = arg;

	s->done += nbytes;
	progress_update(s->done, s->result->bytes_total);
}

static int prove(struct scrub *s, const struct digests_key *key)
{
	struct digest_compare compare = { .record = s->digests, .block = on_block, .arg = s };
	struct digest_file file = { .fd = s->fd,
				    .size = s->size,
				    .block_shift = key->block_shift,
				    .ring = s->ring,
				    .tick = tick,
				    .tick_arg = s };
	struct digester *digester;
	int r = digest_compare_init(key, &compare);

	if (r == 0)
		r = digester_new(digest_seed(&key->replica), key->block_shift, digest_compare_take,
				 &compare, &digester);
	if (r < 0)
		return r;
	s->unreadable = file.unreadable = bmf_bits_new();
	r = s->unreadable ? digest_file(&file, digester) : -ENOMEM;
	digester_free(digester);
	bmf_bits_free(s->unreadable);
	flush_found(s);
	return r;
}

/* ---- images ---- */

static int open_digests(struct scrub *s, const struct digests_key *key)
{
	struct bmf_error why;
	int r = digests_open(&bmf_io_posix, s->digests_fd, key, false, &s->digests, &why);

	if (r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT) {
		s->digests = NULL;
		return 0;
	}
	return r;
}

/*
 * Whoever changed the file, and whenever: what its digests prove is proved.  So neither its times
 * nor its inode are looked at.
 */
static int scrub_opened(struct scrub *s)
{
	const struct manifest *manifest = &s->replica->manifest;
	struct digests_key key = { manifest->replica, s->image->image, manifest->block_shift };
	struct stat st;
	int r;

	if (fstat(s->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		found_all(s, SCRUB_MISSING);
		tick(s, s->size);
		return 0;
	}
	r = bmf_stamp_take(&bmf_io_posix, s->fd, &s->as_read);
	s->there = (uint64_t)st.st_size;
	if (r == 0)
		r = open_digests(s, &key);
	if (r == 0 && !s->digests) {
		found_all(s, SCRUB_UNKNOWN);
		tick(s, s->size);
	} else if (r == 0) {
		r = prove(s, &key);
	}
	digests_close(s->digests);
	s->digests = NULL;
	/* also where nothing but a hole is missing, which no digest tells */
	if (r == 0 && s->there > s->size)
		tell(s, SCRUB_LONGER, s->size, s->there - s->size);
	if (r == 0 && s->there < s->size)
		tell(s, SCRUB_SHORTER, s->there, s->size - s->there);
	return r;
}

static int scrub_image(struct scrub *s, const struct manifest_image *image)
{
	int r;

	s->image = image;
	s->as_read = (struct bmf_stamp){ 0 };
	s->size = image->stamp.size;
	s->result->images++;
	progress_image(image->path);
	s->fd = beneath_open(s->replica->fd, image->path, O_RDONLY, 0);
	if (s->fd < 0 && s->fd != -ENOENT && s->fd != -ENOTDIR && s->fd != -ELOOP)
		return fail_errno(s->err, s->fd, "open", s->replica->path, image->path);
	if (s->fd < 0) {
		found_all(s, SCRUB_MISSING);
		tick(s, s->size);
		return 0;
	}
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	r = scrub_opened(s);
	close(s->fd);
	return r < 0 && r != -ECANCELED
		       ? fail_errno(s->err, r, "read", s->replica->path, image->path)
		       : r;
}

static int scrub_images(struct scrub *s)
{
	const struct manifest *manifest = &s->replica->manifest;
	int r = 0;

	progress_enter(PROGRESS_PROVING);
	for (size_t i = 0; i < manifest->nimages; i++)
		s->result->bytes_total += manifest->images[i].stamp.size;
	for (size_t i = 0; r == 0 && i < manifest->nimages; i++)
		r = scrub_image(s, manifest->by_path[i]);
	s->result->bytes_proved =
		s->result->bytes_total - s->result->bytes_damaged - s->result->bytes_unknown;
	return r;
}

int scrub_run(const struct replica *replica, const struct scrub_options *options,
	      struct scrub_result *ret, struct bmf_error *err)
{
	struct scrub scrub = { .replica = replica,
			       .options = options,
			       .result = ret,
			       .err = err,
			       .digests_fd = replica_open_digests(replica) };
	struct timespec begin, end;
	int r;

	*ret = (struct scrub_result){ 0 };
	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (scrub.digests_fd < 0)
		r = fail_errno(err, scrub.digests_fd, "open digests of", replica->path, NULL);
	else if (copy_ring_new(options->threads, &scrub.ring) < 0)
		r = fail_errno(err, -ENOMEM, "read", replica->path, NULL);
	else
		r = scrub_images(&scrub);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ret->seconds =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	copy_ring_free(scrub.ring);
	if (scrub.digests_fd >= 0)
		close(scrub.digests_fd);
	return r;
}
