/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replica.h - a destination: the directory, its lock and its manifest
 *
 * Not thread safe.
 */
#ifndef TOOLS_REPLICA_H
#define TOOLS_REPLICA_H

#include "tools/lock_wait.h"
#include "tools/manifest.h"
#include "tools/source_view.h"
#include "tools/tree.h"

#include <stdbool.h>

struct replica {
	const char *path;	  /* as given; borrowed */
	char *label;		  /* its absolute path; owned */
	int fd;			  /* -1: does not exist (only when looking) */
	struct bmf_store *store;  /* holds the lock; NULL when looking */
	bool read_only;		  /* on a filesystem that is mounted so; nothing can be written */
	struct manifest manifest; /* all zero when there is none yet */
	bool has_manifest;
};

/* What DEST has to be, if it isn't to be just any replica, or a new one. */
struct replica_demand {
	/*
	 * The UUID of one, or none for any that there is: nothing is made, and every other is
	 * refused, with -ENOENT if there is none, -ESTALE if it is another.  NULL: any, also a new
	 * one.
	 */
	const struct bmf_uuid *only;
	/*
	 * It may be a copy of the source that was made by other means.  Then a directory that has
	 * files is let pass, without a manifest; and refused is one that has none, or doesn't
	 * exist, or has the state of a source or what is left of a replica.
	 */
	bool copied;
};

/*
 * Opens DEST to be written to, for one sync at a time: makes the directory (not its
 * parents) and a manifest with a new UUID where there is none.  Refuses, with the way
 * out in the message, whatever must not be overwritten: a directory that overlaps the
 * source, a mirrorfs mount, one that has files and is no replica, a replica of another
 * source.  -EBUSY: another process has its lock.
 */
int replica_open(const char *path, const struct source_view *view, const struct bmf_uuid *source,
		 const struct replica_demand *demand, struct replica *ret, struct bmf_error *err);

/*
 * Waits until nobody else has the lock of that replica, as far as that is known: it isn't taken.
 * false: not in time, or a signal asked to stop (lock_wait.h).
 */
bool replica_await(const char *path, struct lock_wait *wait);

/*
 * The UUID of the replica there, or none if that isn't known.  Who waits and doesn't demand the
 * same one afterwards may make a new one below its mount point.
 */
struct bmf_uuid replica_identify(const char *path);

/* Opens one that there is, to be written to, without its source; waits for its lock. */
int replica_open_alone(const char *path, struct replica *ret, struct bmf_error *err);

/*
 * The same of one that nothing need be written to: its filesystem may be mounted read-only.  Nobody
 * can change it by another mount of that either.
 */
int replica_open_to_read(const char *path, struct replica *ret, struct bmf_error *err);

/*
 * Opens any directory that can be a replica's, to be written to; has_manifest says whether it is
 * one already.  A manifest that is damaged counts as none.  Refuses a source.  Waits for its lock.
 */
int replica_open_any(const char *path, struct replica *ret, struct bmf_error *err);

/*
 * The same as replica_open for a dry run: changes nothing; DEST need not exist; source may be NULL
 * when the source has no UUID yet.
 */
int replica_look(const char *path, const struct source_view *view, const struct bmf_uuid *source,
		 bool copied, struct replica *ret, struct bmf_error *err);

/* Reads the manifest of the directory open as fd.  -ENOENT: there is none (no message). */
int replica_read_manifest(int fd, const char *path, struct manifest *ret, struct bmf_error *err);

/* Makes it the manifest, durably, and replica->manifest: *manifest is emptied. */
int replica_save(struct replica *replica, struct manifest *manifest, struct bmf_error *err);

/* The same in memory alone. */
int replica_set(struct replica *replica, struct manifest *manifest, struct bmf_error *err);

/* Opens the directory of its digests, and makes it if need be.  A descriptor, or -errno. */
int replica_open_digests(const struct replica *replica);

/*
 * Removes, not durably, the digests of images that the manifest doesn't have.  What can't be
 * removed now will be the next time; it is in nobody's way.
 */
void replica_trim_digests(const struct replica *replica, int digests_fd);

/*
 * Its tree, with what is in .mirrorfs/moving/ and .mirrorfs/staging/; stamps are taken.  The
 * caller frees it.
 */
int replica_read_tree(const struct replica *replica, struct tree **ret, struct bmf_error *err);

void replica_close(struct replica *replica);

/*
 * Has that directory anything but a state directory, and what a fresh filesystem has?  1: it has;
 * 0; or a negative errno, without a message.
 */
int replica_has_content(int fd);

/* Is it a name at the top of a fresh filesystem that is no content? */
bool replica_ignores(const char *name);

#endif
