/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_internal.h - what state.c, state_codec.c and store.c share */
#ifndef BITMAPFILE_STATE_INTERNAL_H
#define BITMAPFILE_STATE_INTERNAL_H

#include "bitmapfile/state.h"

/* Does it keep the rules that mirrorfs-sidecar(5) gives for a state file? */
bool bmf_state_is_valid(const struct bmf_state *state);

/* As bmf_state_decode(), with the name that err is to give. */
int bmf_state_decode_named(const void *buf, size_t nbytes, const char *name, struct bmf_state **ret,
			   struct bmf_error *err);

#endif
