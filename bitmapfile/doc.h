/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doc.h - small documents on disk: the state of a source, the manifest of a replica
 *
 * A document is a 64-byte envelope (magic, version, feature flags, length,
 * XXH3-128 of everything else) and a body of little-endian integers and
 * length-prefixed strings.  It is written and read as a whole, so a reader sees
 * one that is complete and intact or an error.  See mirrorfs-sidecar(5),
 * "Documents".
 *
 * The writer keeps its first failure (memory, a string too long) and reports it
 * once, at bmf_doc_finish().  The reader does likewise: after a read beyond the end
 * every further read gives zeros, and bmf_doc_end() says -EBADMSG.  Neither is
 * thread safe.
 */
#ifndef BITMAPFILE_DOC_H
#define BITMAPFILE_DOC_H

#include "bitmapfile/error.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bmf_doc_writer {
	uint8_t *buf;
	size_t nbytes, capacity;
	int error; /* the first failure, a negative errno; or 0 */
};

/* magic: 8 characters; incompat: flags of features that a reader must know. */
void bmf_doc_begin(struct bmf_doc_writer *w, const char magic[8], uint32_t version,
		   uint32_t incompat);
void bmf_doc_put_u8(struct bmf_doc_writer *w, uint8_t value);
void bmf_doc_put_u32(struct bmf_doc_writer *w, uint32_t value);
void bmf_doc_put_u64(struct bmf_doc_writer *w, uint64_t value);
void bmf_doc_put_uuid(struct bmf_doc_writer *w, const struct bmf_uuid *uuid);
/* A byte string of at most BMF_DOC_STRING_MAX bytes; NULL is written as an empty one. */
#define BMF_DOC_STRING_MAX 65536
void bmf_doc_put_string(struct bmf_doc_writer *w, const char *string);
/*
 * Seals the envelope.  0, and the buffer is the caller's to free; -ENOMEM; or
 * -EMSGSIZE when a string was too long.  In any case the writer is done with.
 */
int bmf_doc_finish(struct bmf_doc_writer *w, void **ret_buf, size_t *ret_nbytes);

struct bmf_doc_reader {
	const uint8_t *next, *end;
	int error; /* the first failure, a negative errno; or 0 */
};

/*
 * Checks the envelope of a document in memory.  -EBADMSG when it is damaged or
 * has another magic, -EPROTONOSUPPORT when it comes from a newer version
 * (version > max_version, or incompat has a flag outside known_incompat); err
 * tells which, naming the document as name.  The buffer must outlive the reader.
 */
int bmf_doc_open(struct bmf_doc_reader *r, const void *buf, size_t nbytes, const char *name,
		 const char magic[8], uint32_t max_version, uint32_t known_incompat,
		 struct bmf_error *err);
uint8_t bmf_doc_get_u8(struct bmf_doc_reader *r);
uint32_t bmf_doc_get_u32(struct bmf_doc_reader *r);
uint64_t bmf_doc_get_u64(struct bmf_doc_reader *r);
struct bmf_uuid bmf_doc_get_uuid(struct bmf_doc_reader *r);
/* A NUL-terminated copy that the caller frees; NULL after a failure (also -ENOMEM). */
char *bmf_doc_get_string(struct bmf_doc_reader *r);
/* How many items of at least item_nbytes can still follow: bounds an array's count. */
uint64_t bmf_doc_room(const struct bmf_doc_reader *r, size_t item_nbytes);
/*
 * 0 when everything was read, and nothing is left over; -EBADMSG otherwise, or -ENOMEM
 * when that was what made a string fail.
 */
int bmf_doc_end(const struct bmf_doc_reader *r);

#endif
