/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map.c - which parts of an image have changed since a checkpoint, and how often */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/map.h"
#include "tools/since.h"
#include "tools/source_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the image ---- */

/* What of path lies below the directory top; NULL: it doesn't. */
static const char *part_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (n > 0 && top[n - 1] == '/')
		n--;
	return strncmp(path, top, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* The path of what fd is open on; "" if the kernel doesn't know. */
static void path_of(int fd, char ret[PATH_MAX])
{
	char link[BENEATH_PROC];
	ssize_t n = readlink(beneath_proc(fd, link), ret, PATH_MAX - 1);

	ret[n > 0 ? n : 0] = '\0';
}

/* What of a path that leads to the image is below the source, which may be mounted elsewhere too.
 */
static char *path_below(const struct source_view *view, const char *image)
{
	char top[PATH_MAX];
	char *path = realpath(image, NULL), *source = realpath(view->path, NULL);
	const char *below = NULL;
	char *copy;

	path_of(view->fd, top);
	if (path && source)
		below = part_below(path, source);
	if (path && !below && *top == '/')
		below = part_below(path, top);
	copy = below ? strdup(below) : NULL;
	free(path);
	free(source);
	return copy;
}

/* The path below the source of what was opened there as path: without "." and "..", if that can be.
 */
static char *plain_path(const struct source_view *view, int fd, const char *path)
{
	char top[PATH_MAX], full[PATH_MAX];
	const char *below;

	path_of(view->fd, top);
	path_of(fd, full);
	below = *top == '/' ? part_below(full, top) : NULL;
	return strdup(below ? below : path);
}

/* Is it in the state directory?  Through the mount that has more: snapshots. */
static bool is_ours(const char *path)
{
	size_t n = strlen(BMF_STATE_DIR);

	return strncmp(path, BMF_STATE_DIR, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool is_elsewhere(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EXDEV || error == -ELOOP;
}

/* Opens the image, O_PATH.  0 or a negative errno with a message. */
static int find_image(const struct source_view *view, const char *image, struct map *map,
		      struct bmf_error *err)
{
	/* an absolute path isn't below anything */
	int fd = *image == '/' ? -EXDEV : beneath_open(view->fd, image, O_PATH, 0);
	char *path = is_elsewhere(fd) ? path_below(view, image) : NULL;

	if (path)
		fd = beneath_open(view->fd, path, O_PATH, 0);
	if (fd >= 0)
		map->path = plain_path(view, fd, path ? path : image);
	free(path);
	map->fd = fd;
	if (is_elsewhere(fd))
		return fail_text(err, -ENOENT, "find image", image, NULL,
				 "there is none of that name in the source; give its path below "
				 "that, or one that leads to it");
	if (fd >= 0 && !map->path)
		fd = -ENOMEM;
	return fd < 0 ? fail_errno(err, fd, "find image", image, NULL) : 0;
}

static int open_image(const struct source_view *view, const char *image, struct map *map,
		      struct bmf_error *err)
{
	struct stat st;
	int fd, r = find_image(view, image, map, err);

	if (r < 0)
		return r;
	if (fstat(map->fd, &st) < 0)
		return fail_errno(err, -errno, "stat image", image, NULL);
	if (!S_ISREG(st.st_mode))
		return fail_text(err, -EINVAL, "find image", image, NULL,
				 "not a regular file; only those have bitmaps");
	if (is_ours(map->path))
		return fail_text(err, -EINVAL, "find image", image, NULL,
				 "what mirrorfs keeps of a source is no image of it");
	fd = beneath_reopen(map->fd, O_RDONLY); /* lseek wants more than O_PATH */
	if (fd < 0)
		return fail_errno(err, fd, "open image", image, NULL);
	close(map->fd);
	map->fd = fd;
	return 0;
}

/* ---- what is known of it ---- */

/* A copy, that outlives the state. */
static int set_since(struct map *map, const struct bmf_checkpoint *checkpoint)
{
	map->since = *checkpoint;
	map->since.name = checkpoint->name ? strdup(checkpoint->name) : NULL;
	return checkpoint->name && !map->since.name ? -ENOMEM : 0;
}

/* As far back as it goes: the checkpoint may not be kept any more, but it has its number. */
static int set_since_oldest(struct map *map, const struct bmf_state *state)
{
	const struct bmf_checkpoint *checkpoint;

	if (!map->history.sidecar)
		return 0;
	checkpoint = bmf_state_checkpoint(state, map->history.sidecar->since);
	if (checkpoint)
		return set_since(map, checkpoint);
	map->since.number = map->history.sidecar->since;
	return 0;
}

static int choose_since(struct map *map, const struct bmf_state *state, const char *since,
			struct bmf_error *err)
{
	const struct bmf_checkpoint *checkpoint;
	int r;

	if (!since)
		return set_since_oldest(map, state);
	r = since_find(state, since, &checkpoint, err);
	return r < 0 ? r : set_since(map, checkpoint);
}

/* Why the bitmaps don't reach back to the checkpoint, or NONE (I4). */
static enum bmf_reason find_reason(const struct map *map)
{
	const struct bmf_sidecar *sidecar = map->history.sidecar;

	if (!sidecar)
		return map->history.reason;
	if (map->since.number >= sidecar->since)
		return BMF_REASON_NONE;
	return sidecar->reason != BMF_REASON_NONE ? sidecar->reason : BMF_REASON_DROPPED;
}

/* Those of the sidecar that end after the checkpoint; one that only overlaps counts whole (I1). */
static void use_sidecar(struct map *map)
{
	const struct bmf_sidecar *sidecar = map->history.sidecar;
	size_t first = 0;

	while (first + 1 < sidecar->nsections && sidecar->sections[first].last < map->since.number)
		first++;
	map->first_section = first;
	map->generations = sidecar->nsections - first;
}

/* All is dirty: what isn't known may have happened up to now. */
static int use_whole(struct map *map)
{
	map->whole = (struct bmf_section){ .first = map->since.number, .last = map->generation };
	map->whole.bits = bmf_bits_new();
	map->generations = 1;
	return map->whole.bits ? bmf_bits_set(map->whole.bits, 0, map->nblocks) : -ENOMEM;
}

static int measure(struct map *map)
{
	struct map_runs *runs = map_walk(map);
	struct map_run run;
	bool was_dirty = false;

	if (!runs)
		return -ENOMEM;
	while (map_runs_next(runs, &run)) {
		uint64_t begin = run.first_block << map->block_shift;
		uint64_t end = (run.first_block + run.nblocks) << map->block_shift;

		if (run.generations > 0) {
			map->dirty_nbytes += (end < map->size ? end : map->size) - begin;
			map->dirty_runs += !was_dirty;
		}
		was_dirty = run.generations > 0;
	}
	map_runs_free(runs);
	return 0;
}

static int read_history(struct source_view *view, const struct bmf_state *state, struct map *map,
			struct bmf_error *err)
{
	struct stat st;
	int r;

	if (fstat(map->fd, &st) < 0)
		return fail_errno(err, -errno, "stat image", map->path, NULL);
	r = source_view_history(view, state, map->fd, st.st_ino, true, &map->history, NULL);
	return r < 0 ? fail_errno(err, r, "read bitmaps of", view->path, map->path) : 0;
}

static int read_map(struct source_view *view, const struct bmf_state *state, const char *since,
		    struct map *map, struct bmf_error *err)
{
	int r = read_history(view, state, map, err);

	if (r == 0)
		r = choose_since(map, state, since, err);
	if (r < 0)
		return r;
	map->source = state->source;
	map->generation = state->generation;
	map->block_shift = state->block_shift;
	map->size = map->history.stamp.size;
	map->nblocks = (map->size + (UINT64_C(1) << map->block_shift) - 1) >> map->block_shift;
	map->reason = find_reason(map);
	if (map->reason == BMF_REASON_NONE)
		use_sidecar(map);
	else
		r = use_whole(map);
	return r < 0 ? r : measure(map);
}

static int read_view(struct source_view *view, const char *image, const char *since,
		     struct map *map, struct bmf_error *err)
{
	struct bmf_state *state = NULL;
	int r = source_view_read(view, err);

	if (r == -ENOENT)
		return fail_text(err, r, "open source", view->path, NULL,
				 "it is no source: it has never been mounted or synced from");
	if (r == 0)
		r = source_view_state(view, &state, err);
	if (r == 0)
		r = open_image(view, image, map, err);
	if (r == 0)
		r = read_map(view, state, since, map, err);
	bmf_state_free(state);
	return r;
}

int map_read(const char *source, const char *image, const char *since, struct map *ret,
	     struct bmf_error *err)
{
	struct map map = { .fd = -1 };
	struct source_view view;
	int r = source_view_locate(source, &view, err);

	if (r < 0)
		return r;
	r = read_view(&view, image, since, &map, err);
	source_view_close(&view, NULL);
	if (r == -ENOMEM && !err->code)
		fail_errno(err, r, "read bitmaps of", source, image);
	if (r < 0) {
		map_destroy(&map);
		return r;
	}
	*ret = map;
	return 0;
}

struct map_runs *map_walk(const struct map *map)
{
	const struct bmf_section *sections =
		map->reason == BMF_REASON_NONE ? map->history.sidecar->sections + map->first_section
					       : &map->whole;

	return map_runs_new(sections, (size_t)map->generations, map->nblocks);
}

void map_destroy(struct map *map)
{
	bmf_bits_free(map->whole.bits);
	bmf_history_destroy(&map->history);
	free(map->since.name);
	free(map->path);
	if (map->fd >= 0)
		close(map->fd);
	*map = (struct map){ .fd = -1 };
}
