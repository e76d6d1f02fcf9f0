/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frozen.c - the hooks of a verb that makes a checkpoint and nothing else */
#include "config.h"

#include "tools/frozen.h"
#include "tools/output.h"

int frozen_begin(const struct source_view *view, uint64_t generation, const struct options *options,
		 struct frozen *ret, struct bmf_error *err)
{
	struct hooks_request request = { .pre = options->pre_hook,
					 .post = options->post_hook,
					 .source = view->path,
					 .source_fd = view->fd,
					 .number = generation + 1 };

	*ret = (struct frozen){ 0 };
	return hooks_begin(&request, &ret->hooks, err);
}

static void thaw(struct frozen *frozen, bool reached)
{
	struct bmf_error why;

	if (hooks_end(frozen->hooks, reached, &frozen->ns, &why) < 0) {
		output_error("%s", why.text);
		frozen->failed = true;
	}
	frozen->hooks = NULL;
}

static void on_reached(void *arg)
{
	thaw(arg, true);
}

void frozen_ask(struct frozen *frozen, struct source_view_request *request)
{
	request->reached = frozen->hooks ? on_reached : NULL;
	request->reached_arg = frozen;
}

void frozen_end(struct frozen *frozen)
{
	thaw(frozen, false);
}
