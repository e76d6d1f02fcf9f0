/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names_list.c - the steps from the names that a replica has to those that it should have */
#include "config.h"

#include "tools/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct name_steps *steps, enum name_kind kind, const char *path, const char *from,
	       struct plan_node *node)
{
	if (steps->n == steps->room) {
		size_t room = steps->room ? steps->room * 2 : 32;
		struct name_step *bigger = reallocarray(steps->steps, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		steps->steps = bigger;
		steps->room = room;
	}
	steps->steps[steps->n++] = (struct name_step){ kind, path, from, node };
	return 0;
}

static bool is_dir(const struct tree_node *node)
{
	return S_ISDIR(node->st.st_mode);
}

static const char *kept_name(const struct plan *plan, const struct tree_node *dest)
{
	for (const struct tree_entry *entry = dest->first; entry; entry = entry->next)
		if (plan_keeps(plan, entry))
			return entry->path;
	return NULL;
}

static bool is_aside(const char *path)
{
	return tree_is_in(PLAN_MOVING, path) || tree_is_in(PLAN_STAGING, path);
}

/*
 * The name by which a claimed file waits for its place: one that is aside already, or
 * else the first, which goes aside.  NULL: it needn't, as it has a name that stays.
 */
static const char *waiting_name(const struct plan *plan, const struct plan_node *node)
{
	const struct tree_entry *entry = node->dest->first;

	if (kept_name(plan, node->dest))
		return NULL;
	while (entry && !is_aside(entry->path))
		entry = entry->next;
	return entry ? entry->path : node->dest->first->path;
}

/* Does a file come to the place of that entry, whose own file isn't wanted, or goes aside? */
static bool is_replaced(const struct plan *plan, const struct tree_entry *entry)
{
	const struct plan_node *owner = plan->claims[entry->node->index];
	const struct plan_node *comes = plan_at(plan, entry->path);
	const char *waiting = owner ? waiting_name(plan, owner) : NULL;

	return comes && !is_dir(comes->source) && !is_dir(entry->node) && comes->dest &&
	       !kept_name(plan, comes->dest) &&
	       strcmp(comes->source->first->path, entry->path) == 0 &&
	       !(waiting && strcmp(waiting, entry->path) == 0);
}

static int list_aside(struct plan *plan, struct name_steps *steps)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->dest->nnodes; i++) {
		struct tree_node *dest = plan->dest->nodes[i];
		struct plan_node *node = plan->claims[i];
		const char *waiting;

		if (is_dir(dest) || !node)
			continue;
		waiting = waiting_name(plan, node);
		if (!waiting)
			continue;
		if (!is_aside(waiting)) {
			r = add(steps, NAME_ASIDE, waiting, NULL, node);
			continue;
		}
		free(node->aside);
		node->aside = strdup(waiting);
		if (!node->aside)
			r = -ENOMEM;
	}
	return r;
}

static int list_unlink(struct plan *plan, struct name_steps *steps)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->dest->nentries; i++) {
		struct tree_entry *entry = &plan->dest->entries[i];
		struct plan_node *node = plan->claims[entry->node->index];
		const char *waiting;

		if (is_dir(entry->node) || plan_keeps(plan, entry) || plan_ignores(plan, entry) ||
		    is_replaced(plan, entry))
			continue;
		waiting = node ? waiting_name(plan, node) : NULL;
		if (!waiting || strcmp(waiting, entry->path) != 0)
			r = add(steps, NAME_UNLINK, entry->path, NULL, node);
	}
	return r;
}

static int list_rmdir(struct plan *plan, struct name_steps *steps)
{
	int r = 0;

	for (size_t i = plan->dest->nentries; r == 0 && i > 0; i--) {
		struct tree_entry *entry = &plan->dest->entries[i - 1];

		if (is_dir(entry->node) && *entry->path && !plan_keeps(plan, entry) &&
		    !plan_ignores(plan, entry))
			r = add(steps, NAME_RMDIR, entry->path, NULL, NULL);
	}
	return r;
}

static int list_mkdir(struct plan *plan, struct name_steps *steps)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->source->nentries; i++) {
		struct tree_entry *entry = &plan->source->entries[i];
		struct plan_node *node = &plan->nodes[entry->node->index];

		if (is_dir(entry->node) && *entry->path && !node->vanished && !node->dest)
			r = add(steps, NAME_MKDIR, entry->path, NULL, node);
	}
	return r;
}

/* How a file that has no name yet gets its first, where `there` is what has it now, or NULL. */
static enum name_kind kind_of_first(const struct plan *plan, const struct plan_node *node,
				    const struct tree_entry *there)
{
	if (!node->dest)
		return NAME_CREATE;
	return there && is_replaced(plan, there) ? NAME_REPLACE : NAME_PLACE;
}

/* All names of one file: the first by rename or by making it, the others as links to that. */
static int list_node(struct plan *plan, struct plan_node *node, struct name_steps *steps)
{
	const char *anchor = node->dest ? kept_name(plan, node->dest) : NULL;
	int r = 0;

	for (struct tree_entry *entry = node->source->first; r == 0 && entry; entry = entry->next) {
		struct tree_entry *there = tree_find(plan->dest, entry->path);

		if (there && node->dest && there->node == node->dest)
			continue;
		if (anchor) {
			r = add(steps, NAME_LINK, entry->path, anchor, node);
			continue;
		}
		r = add(steps, kind_of_first(plan, node, there), entry->path, NULL, node);
		anchor = entry->path;
	}
	return r;
}

int names_list(struct plan *plan, struct name_steps *ret)
{
	struct name_steps steps = { 0 };
	int r = list_aside(plan, &steps);

	if (r == 0)
		r = list_unlink(plan, &steps);
	if (r == 0)
		r = list_rmdir(plan, &steps);
	if (r == 0)
		r = list_mkdir(plan, &steps);
	for (size_t i = 0; r == 0 && i < plan->source->nnodes; i++) {
		struct plan_node *node = &plan->nodes[i];

		if (!is_dir(node->source) && !node->vanished)
			r = list_node(plan, node, &steps);
	}
	if (r < 0) {
		names_destroy(&steps);
		return r;
	}
	*ret = steps;
	return 0;
}

void names_destroy(struct name_steps *steps)
{
	free(steps->steps);
	*steps = (struct name_steps){ 0 };
}
