/* SPDX-License-Identifier: MIT */
/*
 * Waiting until any of several slots of a pool is unlocked: a thread for each, blocked on its lock.
 * They all use one open file description, apart from that of any holder.
 */
#ifndef LIBSYNC_PROBE_H
#define LIBSYNC_PROBE_H

#include "internal.h"

struct sync_probes;

/* For the pool file at PATH. */
MUST_CHECK int sync_probes_begin(const char *path, struct sync_probes **out);
/* Watch this slot too, unless it is watched already; or, for POOL_TURN, whether the size is WORD. */
MUST_CHECK int sync_probes_add(struct sync_probes *p, unsigned slot, uint32_t word);
/* Readable when a watched slot has been won. */
int sync_probes_fd(const struct sync_probes *p);
/* The number of one that was won, or -1. It is locked by us, and no longer watched, until given up. */
int sync_probes_won(struct sync_probes *p);
void sync_probes_give_up(struct sync_probes *p, unsigned slot);
/* No thread is left. NULL is fine. */
void sync_probes_end(struct sync_probes *p);

#endif
