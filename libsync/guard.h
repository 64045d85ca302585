/* SPDX-License-Identifier: MIT */
/* Shared mappings of files that others may truncate: touching them must not kill us. */
#ifndef LIBSYNC_GUARD_H
#define LIBSYNC_GUARD_H

#include <stdatomic.h>

#include "internal.h"

struct sync_map {
	void *addr; /* NULL: nothing is mapped */
	size_t size;
	atomic_bool torn; /* a page of it was not there when it was touched, and is gone for good */
	struct sync_map *next; /* is guarded together with this one */
};

/* Map SIZE bytes of FD, shared. */
MUST_CHECK int sync_map_open(struct sync_map *m, int fd, size_t size);
void sync_map_close(struct sync_map *m);

/*
 * Between start() and stop() this thread may touch MAPS, the list that begins there: where the
 * file has become too short it meets zeros that nobody shares, and the map is torn from then on.
 * Each thread guards itself; calls do not nest. Nothing is left behind.
 */
void sync_guard_start(struct sync_map *maps);
void sync_guard_stop(void);

/* Is one of them torn? What was read or done since the guard began means nothing then. */
bool sync_guard_torn(const struct sync_map *maps);

#endif
