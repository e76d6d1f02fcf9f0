/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_rules.c - what any delta stream keeps to
 *
 * Parents are looked for in the path of the last node only.  As paths are in the order of
 * tree_compare_paths(), all that is in a directory follows right after it: so the parent
 * of the next path is the last node itself, or one of the directories that it is in.
 */
#include "config.h"

#include "tools/stream_rules.h"
#include "tools/tree.h"

#include "bitmapfile/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NSEC_PER_SEC 1000000000L

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

int stream_rules_init(struct stream_rules *rules, const struct stream_header *header)
{
	*rules = (struct stream_rules){ .header = *header, .phase = STREAM_IN_TREE };
	rules->path = calloc(1, STREAM_PATH_MAX + 1);
	rules->link = calloc(1, STREAM_PATH_MAX + 1);
	if (!rules->path || !rules->link) {
		stream_rules_destroy(rules);
		return -ENOMEM;
	}
	return 0;
}

void stream_rules_destroy(struct stream_rules *rules)
{
	free(rules->path);
	free(rules->link);
	free(rules->due);
	rules->path = rules->link = NULL;
	rules->due = NULL;
}

/* ---- paths ---- */

static const char *component_fault(const char *name, size_t nbytes)
{
	if (nbytes == 0)
		return "its path has an empty component";
	if (nbytes == 1 && name[0] == '.')
		return "its path has '.'";
	if (nbytes == 2 && name[0] == '.' && name[1] == '.')
		return "its path has '..'";
	return NULL;
}

/* Of any path but that of the top, which is empty. */
static const char *path_fault(const char *path)
{
	const char *name = path, *fault;
	size_t nbytes = strcspn(path, "/");

	if (strnlen(path, STREAM_PATH_MAX + 1) > STREAM_PATH_MAX)
		return "its path is too long";
	if (nbytes == strlen(BMF_STATE_DIR) && memcmp(path, BMF_STATE_DIR, nbytes) == 0)
		return "its path is in the replica's own directory";
	for (;;) {
		fault = component_fault(name, nbytes);
		if (fault || !name[nbytes])
			return fault;
		name += nbytes + 1;
		nbytes = strcspn(name, "/");
	}
}

/* Is the parent of path a directory that is listed? */
static bool has_parent(const struct stream_rules *rules, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t nbytes = slash ? (size_t)(slash - path) : 0;

	if (nbytes == 0)
		return true; /* the top */
	if (strncmp(rules->path, path, nbytes) != 0)
		return false;
	return rules->path[nbytes] == '/' || (!rules->path[nbytes] && S_ISDIR(rules->mode));
}

static int check_node_path(const struct stream_rules *rules, const struct stream_node *node,
			   const char **ret_why)
{
	const char *fault;

	if (rules->totals.nodes == 0)
		return *node->path || !S_ISDIR(node->meta.st.st_mode)
			       ? refuse(ret_why, "the first one has to be the top directory")
			       : 0;
	fault = path_fault(node->path);
	if (fault)
		return refuse(ret_why, fault);
	if (tree_compare_paths(rules->path, node->path) >= 0)
		return refuse(ret_why, "its path is out of order");
	if (!has_parent(rules, node->path))
		return refuse(ret_why, "its parent is not listed as a directory");
	return 0;
}

/* ---- nodes ---- */

static const char *meta_fault(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return "its type is unknown";
	}
	if (st->st_mode & ~(mode_t)(S_IFMT | 07777))
		return "its mode makes no sense";
	/* to chown, these mean something else */
	if (st->st_uid == (uid_t)-1 || st->st_gid == (gid_t)-1)
		return "its owner makes no sense";
	if (st->st_atim.tv_nsec < 0 || st->st_atim.tv_nsec >= NSEC_PER_SEC ||
	    st->st_mtim.tv_nsec < 0 || st->st_mtim.tv_nsec >= NSEC_PER_SEC)
		return "its times make no sense";
	if (S_ISREG(st->st_mode) && st->st_size < 0)
		return "its size makes no sense";
	return NULL;
}

static const char *xattrs_fault(const struct xattrs *xattrs)
{
	for (size_t i = 0; i < xattrs->n; i++) {
		const char *name = xattrs->items[i].name;

		if (!*name)
			return "an xattr of it has no name";
		if (strncmp(name, BMF_XATTR_PREFIX, strlen(BMF_XATTR_PREFIX)) == 0)
			return "it has an xattr that mirrorfs keeps for itself";
		if (i > 0 && strcmp(xattrs->items[i - 1].name, name) >= 0)
			return "its xattrs are out of order";
	}
	return NULL;
}

static const char *staged_fault(const struct stream_node *node, bool journal)
{
	if (node->content != STREAM_STAGED)
		return journal && node->staged ? "it names a staged file and needs none" : NULL;
	if (!journal)
		return "only a journal has staged files";
	if (!node->staged || component_fault(node->staged, strlen(node->staged)) ||
	    strchr(node->staged, '/'))
		return "its staged file's name makes no sense";
	return NULL;
}

static const char *content_fault(const struct stream_node *node, const struct stream_header *header)
{
	if (S_ISREG(node->meta.st.st_mode) != (node->content != STREAM_NONE))
		return "its content doesn't go with its type";
	switch (node->content) {
	case STREAM_NONE:
		if (!bmf_uuid_is_none(&node->image))
			return "it is no image and has an image's UUID";
		break;
	case STREAM_SAME:
	case STREAM_DELTA:
		if (bmf_uuid_is_none(&node->image))
			return "it has no UUID to find its content by";
		/* a journal means the file with that stamp, whatever is in it */
		if (header->from == 0 && !header->journal)
			return "it builds on content that the replica hasn't got";
		break;
	case STREAM_WHOLE:
	case STREAM_STAGED:
		break;
	default:
		return "its kind of content is unknown";
	}
	return staged_fault(node, header->journal);
}

static const char *node_fault(const struct stream_rules *rules, const struct stream_node *node)
{
	const char *fault = meta_fault(&node->meta.st);

	if (fault)
		return fault;
	if (S_ISLNK(node->meta.st.st_mode) ? !node->target || !*node->target : !!node->target)
		return "its target doesn't go with its type";
	fault = content_fault(node, &rules->header);
	return fault ? fault : xattrs_fault(&node->meta.xattrs);
}

static int note_due(struct stream_rules *rules, const struct stream_node *node)
{
	if (node->content != STREAM_DELTA && node->content != STREAM_WHOLE)
		return 0;
	if (rules->ndue == rules->due_room) {
		size_t room = rules->due_room ? rules->due_room * 2 : 16;
		struct stream_due *due = reallocarray(rules->due, room, sizeof(*due));

		if (!due)
			return -ENOMEM;
		rules->due = due;
		rules->due_room = room;
	}
	rules->due[rules->ndue++] = (struct stream_due){
		.node = rules->totals.nodes,
		.size = (uint64_t)node->meta.st.st_size,
		.kind = node->content,
	};
	return 0;
}

int stream_rules_node(struct stream_rules *rules, const struct stream_node *node,
		      const char **ret_why)
{
	const char *fault;
	int r;

	if (rules->phase != STREAM_IN_TREE)
		return refuse(ret_why, "files come before contents");
	r = check_node_path(rules, node, ret_why);
	if (r < 0)
		return r;
	fault = node_fault(rules, node);
	if (fault)
		return refuse(ret_why, fault);
	r = note_due(rules, node);
	if (r < 0)
		return r;
	memcpy(rules->path, node->path, strlen(node->path) + 1);
	memcpy(rules->link, node->path, strlen(node->path) + 1);
	rules->mode = node->meta.st.st_mode;
	rules->totals.nodes++;
	return 0;
}

int stream_rules_link(struct stream_rules *rules, const char *path, const char **ret_why)
{
	const char *fault = path_fault(path);

	if (rules->phase != STREAM_IN_TREE || rules->totals.nodes == 0)
		return refuse(ret_why, "names come after their file");
	if (S_ISDIR(rules->mode))
		return refuse(ret_why, "a directory has one name only");
	if (fault)
		return refuse(ret_why, fault);
	if (tree_compare_paths(rules->link, path) >= 0)
		return refuse(ret_why, "its path is out of order");
	memcpy(rules->link, path, strlen(path) + 1);
	rules->totals.links++;
	return 0;
}

/* ---- contents ---- */

int stream_rules_content(struct stream_rules *rules, uint64_t node, const char **ret_why)
{
	bool is_tree = rules->phase == STREAM_IN_TREE && rules->totals.nodes > 0;

	if (!is_tree && rules->phase != STREAM_BETWEEN)
		return refuse(ret_why, "contents come after files, and one after another");
	if (rules->next_due == rules->ndue || rules->due[rules->next_due].node != node)
		return refuse(ret_why, "it is not the next file that needs content");
	rules->current = rules->due[rules->next_due++];
	rules->extent_end = rules->blocks_end = 0;
	rules->phase = STREAM_IN_CONTENT;
	rules->totals.contents++;
	return 0;
}

static int check_extent(struct stream_rules *rules, uint64_t offset, uint64_t nbytes,
			const char **ret_why)
{
	if (rules->phase != STREAM_IN_CONTENT)
		return refuse(ret_why, "it is outside of a content");
	if (nbytes == 0)
		return refuse(ret_why, "it is empty");
	if (offset < rules->extent_end)
		return refuse(ret_why, "it overlaps what came before, or is out of order");
	if (offset > rules->current.size || nbytes > rules->current.size - offset)
		return refuse(ret_why, "it reaches beyond the size of its file");
	rules->extent_end = offset + nbytes;
	return 0;
}

int stream_rules_data(struct stream_rules *rules, uint64_t offset, uint64_t nbytes,
		      uint64_t stored_nbytes, const char **ret_why)
{
	int r = check_extent(rules, offset, nbytes, ret_why);

	if (r == 0 && nbytes > STREAM_EXTENT_MAX)
		r = refuse(ret_why, "it is too long");
	if (r == 0) {
		rules->totals.raw_nbytes += nbytes;
		rules->totals.stored_nbytes += stored_nbytes;
	}
	return r;
}

int stream_rules_zero(struct stream_rules *rules, uint64_t offset, uint64_t nbytes,
		      const char **ret_why)
{
	int r = check_extent(rules, offset, nbytes, ret_why);

	if (r == 0)
		rules->totals.zero_nbytes += nbytes;
	return r;
}

int stream_rules_digests(struct stream_rules *rules, uint64_t first_block, uint64_t n,
			 const char **ret_why)
{
	unsigned int shift = rules->header.block_shift;
	uint64_t nblocks = (rules->current.size + (UINT64_C(1) << shift) - 1) >> shift;

	if (rules->phase != STREAM_IN_CONTENT)
		return refuse(ret_why, "they are outside of a content");
	if (n == 0 || n > STREAM_DIGESTS_MAX)
		return refuse(ret_why, "they are too many, or none");
	if (first_block < rules->blocks_end)
		return refuse(ret_why, "they overlap what came before, or are out of order");
	if (first_block > nblocks || n > nblocks - first_block)
		return refuse(ret_why, "they reach beyond the size of their file");
	rules->blocks_end = first_block + n;
	return 0;
}

int stream_rules_content_end(struct stream_rules *rules, const char **ret_why)
{
	if (rules->phase != STREAM_IN_CONTENT)
		return refuse(ret_why, "there is no content to end");
	rules->phase = STREAM_BETWEEN;
	return 0;
}

int stream_rules_footer(struct stream_rules *rules, const char **ret_why)
{
	if (rules->phase == STREAM_IN_CONTENT || rules->totals.nodes == 0 ||
	    rules->next_due != rules->ndue)
		return refuse(ret_why, "files or contents are missing before it");
	rules->phase = STREAM_AT_END;
	return 0;
}
