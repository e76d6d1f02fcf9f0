/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digests.c - the digests of one image of a replica, a page at a time
 *
 * The file is as long as its pages need before anything else is written to it, so that
 * nothing written makes a hole of what was lost: a hole would say "zero blocks".
 */
#include "config.h"

#include "bitmapfile/sidecar.h"
#include "tools/digests.h"
#include "tools/digests_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

struct digests {
	const struct bmf_io *io;
	int fd;
	bool writable;
	struct digests_key key;
	uint64_t file_seed;
	struct digest zero; /* of a block of zeros */
	uint64_t nblocks;
	uint64_t file_pages; /* whole ones in the file */
	bool header_due;     /* nblocks is not in the file, or not for sure */
	int fsync_error;     /* the first: the kernel tells of it only once */

	bool has_page, dirty;
	uint64_t number; /* of the page in memory; digests it hasn't on disk are unknown */
	struct digests_disk_page page;
};

static uint64_t pages_of(uint64_t nblocks)
{
	return nblocks / DIGESTS_PER_PAGE + (nblocks % DIGESTS_PER_PAGE != 0);
}

static off_t page_offset(uint64_t number)
{
	return (off_t)((number + 1) * DIGESTS_PAGE);
}

/* --- the header */

static void header_encode(const struct digests_key *key, uint64_t nblocks,
			  struct digests_disk_header *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->magic, DIGESTS_MAGIC, sizeof(ret->magic));
	ret->version = le32_make(DIGESTS_VERSION);
	ret->block_shift = le32_make(key->block_shift);
	memcpy(ret->replica, key->replica.b, sizeof(ret->replica));
	memcpy(ret->image, key->image.b, sizeof(ret->image));
	ret->nblocks = le64_make(nblocks);
	memcpy(ret->digest, digest_of(ret, offsetof(struct digests_disk_header, digest), 0).b,
	       sizeof(ret->digest));
}

static int refuse(struct bmf_error *err, int code, const char *name, const char *why)
{
	return bmf_error_set(err, code, "open '" DIGESTS_DIR "/%s': %s", name, why);
}

static int header_check(const struct digests_disk_header *header, const struct digests_key *key,
			const char *name, struct bmf_error *err)
{
	struct digest digest = digest_of(header, offsetof(struct digests_disk_header, digest), 0);

	if (memcmp(header->magic, DIGESTS_MAGIC, sizeof(header->magic)) != 0 ||
	    memcmp(header->digest, digest.b, sizeof(digest.b)) != 0)
		return refuse(err, -EBADMSG, name, "its header is damaged");
	if (le32_get(header->version) > DIGESTS_VERSION ||
	    (le32_get(header->incompat) & ~DIGESTS_INCOMPAT_KNOWN) != 0)
		return refuse(err, -EPROTONOSUPPORT, name, "it is of a newer version");
	if (memcmp(header->replica, key->replica.b, sizeof(header->replica)) != 0)
		return refuse(err, -EBADMSG, name, "it belongs to another replica");
	if (memcmp(header->image, key->image.b, sizeof(header->image)) != 0)
		return refuse(err, -EBADMSG, name, "it belongs to another image");
	if (le32_get(header->version) == 0 || le64_get(header->nblocks) > DIGESTS_BLOCKS_MAX)
		return refuse(err, -EBADMSG, name, "its header makes no sense");
	if (le32_get(header->block_shift) != key->block_shift)
		return refuse(err, -EBADMSG, name, "it is of blocks of another size");
	return 0;
}

static int write_header(struct digests *digests)
{
	struct digests_disk_header header;
	ssize_t n;

	header_encode(&digests->key, digests->nblocks, &header);
	n = digests->io->pwrite(digests->io, digests->fd, &header, sizeof(header), 0);
	if (n < 0)
		return (int)n;
	digests->header_due = false;
	return 0;
}

/* --- the page in memory */

static void fill(struct digest *digests, size_t n, struct digest digest)
{
	for (size_t i = 0; i < n; i++)
		digests[i] = digest;
}

static bool is_filled(const struct digest *digests, size_t n, struct digest digest)
{
	for (size_t i = 0; i < n; i++)
		if (!digest_equal(&digests[i], &digest))
			return false;
	return true;
}

/* Is it the disk that can't give back what it holds, rather than the call that failed? */
static bool is_damage(ssize_t r)
{
	return r == -EIO || r == -EUCLEAN || r == -EBADMSG;
}

static int load(struct digests *digests, uint64_t number)
{
	static const struct digests_disk_page hole;
	struct digests_disk_page *page = &digests->page;
	ssize_t n = 0;

	digests->has_page = false;
	if (number < digests->file_pages)
		n = digests->io->pread(digests->io, digests->fd, page, sizeof(*page),
				       page_offset(number));
	if (n < 0 && !is_damage(n))
		return (int)n;
	if (n == (ssize_t)sizeof(*page) && memcmp(page, &hole, sizeof(hole)) == 0) {
		fill(page->digests, DIGESTS_PER_PAGE, digests->zero);
	} else {
		struct digest check = digests_page_check(page, digests->file_seed, number);

		if (n != (ssize_t)sizeof(*page) || !digest_equal(&page->check, &check))
			digest_set_unknown(page->digests, DIGESTS_PER_PAGE);
	}
	digests->has_page = true;
	digests->dirty = false;
	digests->number = number;
	return 0;
}

/* Makes n pages a hole; zeros where the filesystem knows no holes. */
static int punch(struct digests *digests, uint64_t number, uint64_t n)
{
	static const uint8_t zeros[DIGESTS_PAGE];
	const struct bmf_io *io = digests->io;
	ssize_t r = io->fallocate(io, digests->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  page_offset(number), (off_t)(n * DIGESTS_PAGE));

	if (r != -EOPNOTSUPP && r != -ENOSYS)
		return (int)r;
	for (r = 0; r >= 0 && n > 0; n--, number++)
		r = io->pwrite(io, digests->fd, zeros, sizeof(zeros), page_offset(number));
	return r < 0 ? (int)r : 0;
}

static int write_page(struct digests *digests, struct digests_disk_page *page, uint64_t number)
{
	ssize_t n;

	page->check = digests_page_check(page, digests->file_seed, number);
	n = digests->io->pwrite(digests->io, digests->fd, page, sizeof(*page), page_offset(number));
	return n < 0 ? (int)n : 0;
}

/* The page in memory, to the file. */
static int store(struct digests *digests)
{
	int r;

	if (!digests->has_page || !digests->dirty)
		return 0;
	if (is_filled(digests->page.digests, DIGESTS_PER_PAGE, digests->zero))
		r = punch(digests, digests->number, 1);
	else
		r = write_page(digests, &digests->page, digests->number);
	if (r == 0)
		digests->dirty = false;
	return r;
}

/* Gets page number into memory; whole: without reading it, as all of it will be written. */
static int turn_to(struct digests *digests, uint64_t number, bool whole)
{
	int r;

	if (digests->has_page && digests->number == number)
		return 0;
	r = store(digests);
	if (r < 0)
		return r;
	if (!whole)
		return load(digests, number);
	fill(digests->page.digests, DIGESTS_PER_PAGE, digests->zero);
	digests->has_page = true;
	digests->dirty = false;
	digests->number = number;
	return 0;
}

/*
 * Before anything is written: pages that the file has lost at its end are unknown, and
 * must not become a hole.
 */
static int make_whole(struct digests *digests)
{
	struct digests_disk_page lost;
	int r = 0;

	digest_set_unknown(lost.digests, DIGESTS_PER_PAGE);
	while (r == 0 && digests->file_pages < pages_of(digests->nblocks)) {
		r = write_page(digests, &lost, digests->file_pages);
		if (r == 0)
			digests->file_pages++;
	}
	return r;
}

/* --- opening and closing */

static int new_digests(const struct bmf_io *io, const struct digests_key *key, bool writable,
		       struct digests **ret)
{
	struct digests *digests;
	int r;

	if (key->block_shift < BMF_BLOCK_SHIFT_MIN || key->block_shift > BMF_BLOCK_SHIFT_MAX)
		return -EINVAL;
	digests = calloc(1, sizeof(*digests));
	if (!digests)
		return -ENOMEM;
	digests->io = io;
	digests->fd = -1;
	digests->writable = writable;
	digests->key = *key;
	digests->file_seed = digests_file_seed(&key->replica, &key->image);
	r = digest_of_zero_block(key->block_shift, digest_seed(&key->replica), &digests->zero);
	if (r < 0) {
		free(digests);
		return r;
	}
	*ret = digests;
	return 0;
}

static int read_header(struct digests *digests, const char *name, struct bmf_error *err)
{
	struct digests_disk_header header;
	struct stat st;
	ssize_t n;
	int r = digests->io->fstat(digests->io, digests->fd, &st);

	if (r < 0)
		return refuse(err, r, name, "can't be looked at");
	if (!S_ISREG(st.st_mode))
		return refuse(err, -EBADMSG, name, "it is no regular file");
	n = digests->io->pread(digests->io, digests->fd, &header, sizeof(header), 0);
	if (n < 0)
		return refuse(err, (int)n, name, "its header can't be read");
	if (n < (ssize_t)sizeof(header))
		return refuse(err, -EBADMSG, name, "it is too short");
	r = header_check(&header, &digests->key, name, err);
	if (r < 0)
		return r;
	digests->nblocks = le64_get(header.nblocks);
	digests->file_pages =
		st.st_size > DIGESTS_PAGE ? (uint64_t)st.st_size / DIGESTS_PAGE - 1 : 0;
	return 0;
}

static int open_file(struct digests *digests, int dir_fd, const char *name, struct bmf_error *err)
{
	/* O_NONBLOCK: what isn't ours may be a FIFO */
	int flags = (digests->writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	digests->fd = digests->io->openat(digests->io, dir_fd, name, flags, 0);
	if (digests->fd == -ELOOP || digests->fd == -ENXIO)
		return refuse(err, -EBADMSG, name, "it is no regular file");
	if (digests->fd < 0)
		return refuse(err, digests->fd, name,
			      digests->fd == -ENOENT ? "there is none" : "can't be opened");
	return read_header(digests, name, err);
}

int digests_open(const struct bmf_io *io, int dir_fd, const struct digests_key *key, bool writable,
		 struct digests **ret, struct bmf_error *err)
{
	struct digests *digests;
	char name[BMF_UUID_TEXT];
	int r = new_digests(io, key, writable, &digests);

	bmf_uuid_format(&key->image, name);
	if (r < 0)
		return refuse(err, r, name,
			      r == -EINVAL ? "no such size of blocks" : "out of memory");
	r = open_file(digests, dir_fd, name, err);
	if (r < 0) {
		if (digests->fd >= 0)
			io->close(io, digests->fd);
		free(digests);
		return r;
	}
	*ret = digests;
	return 0;
}

int digests_create(const struct bmf_io *io, int dir_fd, const struct digests_key *key,
		   struct digests **ret, struct bmf_error *err)
{
	struct digests_disk_header header;
	struct digests *digests;
	char name[BMF_UUID_TEXT];
	int r = new_digests(io, key, true, &digests);

	bmf_uuid_format(&key->image, name);
	if (r < 0)
		return refuse(err, r, name,
			      r == -EINVAL ? "no such size of blocks" : "out of memory");
	header_encode(key, 0, &header);
	r = bmf_io_replace_file(io, dir_fd, name, &header, sizeof(header), false, &digests->fd);
	if (r < 0) {
		free(digests);
		return refuse(err, r, name, "can't be made");
	}
	*ret = digests;
	return 0;
}

static int settle(struct digests *digests)
{
	int r = store(digests);

	return r == 0 && digests->header_due ? write_header(digests) : r;
}

int digests_flush(struct digests *digests)
{
	int r;

	if (!digests->writable)
		return -EBADF;
	r = settle(digests);
	if (r == 0 && digests->fsync_error == 0)
		digests->fsync_error = digests->io->fsync(digests->io, digests->fd);
	return r < 0 ? r : digests->fsync_error;
}

int digests_close(struct digests *digests)
{
	int r, closed;

	if (!digests)
		return 0;
	r = settle(digests);
	closed = digests->io->close(digests->io, digests->fd);
	free(digests);
	return r < 0 ? r : closed;
}

/* --- reading and writing */

uint64_t digests_nblocks(const struct digests *digests)
{
	return digests->nblocks;
}

int digests_read(struct digests *digests, uint64_t first_block, size_t n, struct digest *ret)
{
	while (n > 0 && first_block < digests->nblocks) {
		size_t at = first_block % DIGESTS_PER_PAGE, part = DIGESTS_PER_PAGE - at;
		int r = turn_to(digests, first_block / DIGESTS_PER_PAGE, false);

		if (r < 0)
			return r;
		if (part > n)
			part = n;
		if (part > digests->nblocks - first_block)
			part = (size_t)(digests->nblocks - first_block);
		memcpy(ret, &digests->page.digests[at], part * sizeof(*ret));
		ret += part;
		first_block += part;
		n -= part;
	}
	digest_set_unknown(ret, n);
	return 0;
}

/* Writes within one page; from NULL: zero blocks. */
static int write_part(struct digests *digests, uint64_t first_block, size_t n,
		      const struct digest *from)
{
	size_t at = first_block % DIGESTS_PER_PAGE;
	bool whole = at == 0 && (n == DIGESTS_PER_PAGE || first_block + n == digests->nblocks);
	int r = turn_to(digests, first_block / DIGESTS_PER_PAGE, whole);

	if (r < 0)
		return r;
	if (from)
		memcpy(&digests->page.digests[at], from, n * sizeof(*from));
	else
		fill(&digests->page.digests[at], n, digests->zero);
	digests->dirty = true;
	return 0;
}

static int write_zero_pages(struct digests *digests, uint64_t number, uint64_t n)
{
	/* what is in memory of one of them must not be written over it later */
	if (digests->has_page && digests->number >= number && digests->number - number < n)
		digests->has_page = false;
	return punch(digests, number, n);
}

int digests_write(struct digests *digests, uint64_t first_block, uint64_t n,
		  const struct digest *from)
{
	int r;

	if (!digests->writable)
		return -EBADF;
	if (n > digests->nblocks || first_block > digests->nblocks - n)
		return -EINVAL;
	r = make_whole(digests);
	while (r == 0 && n > 0) {
		uint64_t part = DIGESTS_PER_PAGE - first_block % DIGESTS_PER_PAGE;

		if (part > n)
			part = n;
		if (!from && part == DIGESTS_PER_PAGE) {
			part = n - n % DIGESTS_PER_PAGE;
			r = write_zero_pages(digests, first_block / DIGESTS_PER_PAGE,
					     part / DIGESTS_PER_PAGE);
		} else {
			r = write_part(digests, first_block, (size_t)part, from);
		}
		from = from ? from + part : NULL;
		first_block += part;
		n -= part;
	}
	return r;
}

static int resize_file(struct digests *digests, uint64_t pages)
{
	int r = digests->io->ftruncate(digests->io, digests->fd, page_offset(pages));

	if (r == 0)
		digests->file_pages = pages;
	return r;
}

/* What the file may have beyond its blocks, in pages and in its last page, is nothing. */
static int grow(struct digests *digests, uint64_t nblocks)
{
	uint64_t old = digests->nblocks;
	size_t at = old % DIGESTS_PER_PAGE;
	int r = resize_file(digests, pages_of(old));

	if (r == 0)
		r = resize_file(digests, pages_of(nblocks));
	if (r < 0 || at == 0)
		return r;
	r = turn_to(digests, old / DIGESTS_PER_PAGE, false);
	if (r < 0)
		return r;
	fill(&digests->page.digests[at], DIGESTS_PER_PAGE - at, digests->zero);
	digests->dirty = true;
	return 0;
}

int digests_set_nblocks(struct digests *digests, uint64_t nblocks)
{
	uint64_t old = digests->nblocks;
	int r;

	if (!digests->writable)
		return -EBADF;
	if (nblocks > DIGESTS_BLOCKS_MAX)
		return -EFBIG;
	if (nblocks == old)
		return 0;
	r = make_whole(digests);
	if (r == 0)
		r = store(digests);
	if (r < 0)
		return r;
	digests->has_page = false; /* it may be of blocks that go, and come again as zeros */
	r = nblocks > old ? grow(digests, nblocks) : 0;
	if (r < 0)
		return r;
	/* also when this fails: the next flush writes the header again */
	digests->nblocks = nblocks;
	digests->header_due = true;
	r = write_header(digests);
	if (r < 0 || nblocks > old)
		return r;
	return resize_file(digests, pages_of(nblocks));
}

/* --- removing */

int digests_remove(const struct bmf_io *io, int dir_fd, const struct bmf_uuid *image)
{
	char name[BMF_UUID_TEXT];
	int r = io->unlinkat(io, dir_fd, bmf_uuid_format(image, name), 0);

	return r == -ENOENT ? 0 : r;
}

struct removal {
	const struct bmf_io *io;
	int dir_fd;
	const struct bmf_uuid *keep;
	size_t n;
	int error; /* the first */
};

static int compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bmf_uuid));
}

/* Is it a name of ours, and one to go? */
static bool is_due(const struct removal *removal, const char *name)
{
	char stem[BMF_UUID_TEXT], text[BMF_UUID_TEXT];
	struct bmf_uuid uuid;

	if (strlen(name) < sizeof(stem) - 1)
		return false;
	memcpy(stem, name, sizeof(stem) - 1);
	stem[sizeof(stem) - 1] = '\0';
	if (bmf_uuid_parse(stem, &uuid) < 0 || strcmp(bmf_uuid_format(&uuid, text), stem) != 0)
		return false;
	name += sizeof(stem) - 1;
	if (*name != '\0')
		return strcmp(name, BMF_TEMP_SUFFIX) == 0;
	return removal->n == 0 ||
	       !bsearch(&uuid, removal->keep, removal->n, sizeof(uuid), compare_uuids);
}

static int remove_name(const char *name, void *arg)
{
	struct removal *removal = arg;
	int r = 0;

	if (is_due(removal, name))
		r = removal->io->unlinkat(removal->io, removal->dir_fd, name, 0);
	if (r < 0 && r != -ENOENT && removal->error == 0)
		removal->error = r;
	return 0;
}

int digests_remove_others(const struct bmf_io *io, int dir_fd, const struct bmf_uuid *keep,
			  size_t n)
{
	struct removal removal = { .io = io, .dir_fd = dir_fd, .keep = keep, .n = n };
	int r = io->each_name(io, dir_fd, remove_name, &removal);

	return r < 0 ? r : removal.error;
}
