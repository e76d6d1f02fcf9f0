/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h - the delta stream: what brings a replica from one checkpoint to a later one
 *
 * One format for what a replica keeps as the journal of a committed update, and for what
 * goes through a pipe.  Its authority is mirrorfs-stream(5).  In short: a header; the
 * whole tree as it is to be, every name of it; the content of those files that differ; a
 * footer.  What isn't listed is removed, and an image is known by its UUID, whatever its
 * name was; so a stream may be applied again, and to what is half applied.
 *
 * Writing: stream_writer_new; for each file stream_put_node, then stream_put_link for
 * each further name of it; then for each STREAM_DELTA and STREAM_WHOLE, in the same
 * order, stream_begin_content, its extents and digests, stream_end_content; then
 * stream_finish.  Both sides go from the start to the end, so a pipe will do.  The writer
 * keeps its first failure: every later call returns it again, and does nothing.
 *
 * Reading: stream_reader_open, stream_next until it gives STREAM_FOOTER.  No record but
 * the footer proves that the rest is there: who must not begin what can't be finished
 * calls stream_verify first, and reads a second time.
 *
 * Nothing is durable when any of this returns; that is the caller's to do.  Memory: a
 * few MiB, and 24 bytes for each file with content in the stream.  Writers and readers
 * aren't thread safe; several of them don't mind each other.
 */
#ifndef TOOLS_STREAM_H
#define TOOLS_STREAM_H

#include "tools/meta.h"

#include "bitmapfile/error.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_PATH_MAX 65535  /* bytes of a path, without the NUL */
#define STREAM_TARGET_MAX 4095 /* of what a symlink holds */
#define STREAM_NAME_MAX 255    /* of the name of a staged file, or of an xattr */
/* of one file, as they are stored: 9 bytes for each, besides name and value */
#define STREAM_XATTRS_MAX 1048576u
#define STREAM_EXTENT_MAX 1048576u /* of a data extent */
#define STREAM_DIGESTS_MAX 4096u   /* in one record */
#define STREAM_DIGEST_NBYTES 16

struct stream_header {
	struct bmf_uuid source, replica; /* not none */
	uint64_t from;			 /* checkpoint; 0: the replica has nothing */
	struct bmf_uuid from_uuid;	 /* none, if from is 0 */
	uint64_t to;			 /* checkpoint, not 0 */
	struct bmf_uuid to_uuid;	 /* not none */
	int64_t to_time_ns;		 /* when that checkpoint was made, since 1970 */
	unsigned int block_shift;	 /* of the source; digests are of such blocks */
	bool journal;			 /* stays in its replica: nodes have journal fields */
};

/* Where a file's content comes from. */
enum stream_kind {
	STREAM_NONE = 0, /* not a regular file */
	/* What the image with that UUID has at from, all of it; in a journal: the file with that
	   stamp. */
	STREAM_SAME = 1,
	STREAM_DELTA = 2, /* the same, truncated to size, with the extents put over it */
	STREAM_WHOLE = 3, /* the extents; all else is a hole */
	STREAM_STAGED = 4 /* journal only: a file in .mirrorfs/staging/ of the replica */
};

/*
 * A file of any kind, and the first of its names (as tree_compare_paths orders them).  Of
 * meta.st there are: mode with its type, uid, gid, atim, mtim; rdev of devices; size of
 * regular files.  The rest is 0 after reading, and ignored in writing.  So meta_apply()
 * takes &node->meta as it is, but meta_destroy() must not be called with what was read.
 */
struct stream_node {
	uint64_t index;	    /* counts from 0; ignored in writing */
	const char *path;   /* relative; "" is the top itself */
	struct meta meta;   /* xattrs: sorted, and without our own */
	const char *target; /* of a symlink; NULL for all else */
	enum stream_kind content;
	struct bmf_uuid image; /* none: has no id, and then it can't be SAME or DELTA */
	/* In a journal; otherwise zeros after reading, and ignored in writing. */
	struct bmf_stamp stamp; /* of the replica's file that it is to be; zeros: there is none */
	bool busy;		/* as in the manifest: the stamp says nothing of the content */
	const char *staged;	/* the name in .mirrorfs/staging, if STREAM_STAGED; or NULL */
};

/* What a footer says; and how many bytes that was. */
struct stream_totals {
	uint64_t nodes, links, contents;
	uint64_t records;		    /* before the footer */
	uint64_t raw_nbytes, stored_nbytes; /* of data extents, unpacked and in the stream */
	uint64_t zero_nbytes;		    /* of zero extents */
	uint64_t stream_nbytes;		    /* of all, header to footer */
};

/* ---- writing ---- */

struct stream_writer;

#define STREAM_NO_ZSTD 1u    /* store all data as it is */
#define STREAM_ONE_BY_ONE 2u /* one write at a time, to a file too */

/*
 * Begins with a header.  fd is borrowed, and written to from where it stands; of a file, what lies
 * beyond is cut off.  Nothing need be written before stream_finish.  (A pipe without a reader
 * raises SIGPIPE, unless the caller ignores that.)
 *
 * This and the functions below: 0; an error of write(2); -ENOMEM; -EINVAL for what a reader
 * would refuse (wrong order, an extent beyond the size, ...); -ENAMETOOLONG, and -E2BIG for
 * too many xattrs: these two say something of the source, not of the caller.
 */
int stream_writer_new(int fd, const struct stream_header *header, unsigned int flags,
		      struct stream_writer **ret);
void stream_writer_free(struct stream_writer *w); /* NULL is allowed */

/*
 * Paths in the order of tree_compare_paths(), so a directory before what is in it; the
 * first is "", a directory.  Nothing of node is kept.
 */
int stream_put_node(struct stream_writer *w, const struct stream_node *node);

/* Another name of the node before, which isn't a directory; names in order, too. */
int stream_put_link(struct stream_writer *w, const char *path);

/*
 * The content of node number index.  Every STREAM_DELTA and STREAM_WHOLE has exactly one,
 * an empty one perhaps; ascending by index; after all nodes and links.
 */
int stream_begin_content(struct stream_writer *w, uint64_t index);

/* Extents: ascending, not overlapping, within the size; not of 0 bytes. */
int stream_put_data(struct stream_writer *w, uint64_t offset, const void *data, size_t nbytes);
int stream_put_zero(struct stream_writer *w, uint64_t offset, uint64_t nbytes);

/*
 * Digests of the blocks [first_block, first_block + n) as they are to be, 16 bytes each, n of
 * them at most STREAM_DIGESTS_MAX.  Blocks ascend; extents may come before, between or after.
 */
int stream_put_digests(struct stream_writer *w, uint64_t first_block, const void *digests,
		       size_t n);
int stream_end_content(struct stream_writer *w);

/* Writes the footer, and all that is still in memory.  ret may be NULL. */
int stream_finish(struct stream_writer *w, struct stream_totals *ret);

/* Bytes of the stream so far; not all of them need be written yet. */
uint64_t stream_writer_pos(const struct stream_writer *w);

/* ---- reading ---- */

/*
 * What the caller will have.  A stream from another source, or for another replica, is
 * refused with -ESTALE; one that is a journal where none is expected, or the other way
 * round, with -EBADMSG.
 */
struct stream_expect {
	const char *name;			 /* for messages, as "'x'" or "standard input" */
	const struct bmf_uuid *source, *replica; /* NULL: any */
	bool journal;
};

enum stream_type {
	STREAM_NODE = 1,
	STREAM_LINK = 2,
	STREAM_CONTENT = 3,
	STREAM_DATA = 4,
	STREAM_ZERO = 5,
	STREAM_DIGESTS = 6,
	STREAM_CONTENT_END = 7,
	STREAM_FOOTER = 8
};

/* Pointers in it are valid until the reader's next call. */
struct stream_record {
	enum stream_type type;
	uint64_t index;	 /* of the record in the stream, from 0 */
	uint64_t offset; /* of its first byte in the stream */
	union {
		struct stream_node node;
		struct {
			uint64_t node; /* whose name it is: the one before */
			const char *path;
		} link;
		struct {
			uint64_t node;
			uint64_t size;	       /* of the content as it is to be */
			enum stream_kind kind; /* STREAM_DELTA or STREAM_WHOLE */
		} content;		       /* also of STREAM_CONTENT_END */
		struct {
			uint64_t offset;
			const void *bytes; /* unpacked */
			size_t nbytes;
		} data;
		struct {
			uint64_t offset, nbytes;
		} zero;
		struct {
			uint64_t first_block;
			const uint8_t *bytes; /* n times STREAM_DIGEST_NBYTES */
			size_t n;
		} digests;
		struct stream_totals footer;
	};
};

struct stream_reader;

/*
 * Reads the header from fd, which is borrowed, from where it stands; bytes beyond what is
 * returned are read too.  expect may be NULL: no journal, all else goes.
 *
 * Errors of this and of stream_next: an error of read(2); -ENOMEM; -EPROTONOSUPPORT for a
 * newer version; -EBADMSG for everything that stream_put_... can't have written, cut off or
 * changed by whatever means.  err names the record.
 */
int stream_reader_open(int fd, const struct stream_expect *expect, struct stream_reader **ret,
		       struct bmf_error *err);
void stream_reader_close(struct stream_reader *reader); /* NULL is allowed */

/* Valid as long as the reader. */
const struct stream_header *stream_reader_header(const struct stream_reader *reader);

/*
 * The next record.  The footer is the last one, and is given only when it is right and the
 * end of the file has come.  After it, and after a failure, there is nothing more: -EINVAL.
 *
 * Whatever the bytes are, what is given keeps these promises: record types in the order that
 * is described above; node paths ascending (so no two are equal), each relative, its
 * components not empty, "." or "..", not ".mirrorfs" at the top or below it, its parent an
 * earlier node that is a directory; link paths of the same form, ascending after their
 * node's; fields of a node that fit its type; from 0: neither SAME nor DELTA, but in a
 * journal; staged a single name; xattrs ascending, not ours; extents and blocks ascending
 * and within the size.
 *
 * Not looked at, as it would take memory for all names, and left to the caller: whether a
 * link's path is also a node's or another link's; whether a link's parent is listed, as a
 * directory (it may well come later in the stream); whether two nodes have one image UUID, or
 * one staged name.
 */
int stream_next(struct stream_reader *reader, struct stream_record *ret, struct bmf_error *err);

/*
 * Reads all, unpacks all, keeps nothing: 0 when fd has a stream, whole and right, from where it
 * stands to its end.  To read it again, the caller seeks back.  ret_header and ret_totals may be
 * NULL.  Errors as above.
 */
int stream_verify(int fd, const struct stream_expect *expect, struct stream_header *ret_header,
		  struct stream_totals *ret_totals, struct bmf_error *err);

#endif
