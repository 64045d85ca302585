/* SPDX-License-Identifier: MIT */
/* Marks on a lock file: who waits for the lock, and how. The kernel takes them off when their process ends. */
#ifndef CMD_MARK_H
#define CMD_MARK_H

#include <stdbool.h>

#include "lockset.h"

enum mark {
	MARK_DOOR,     /* held for the moment in which the others are looked at and changed */
	MARK_REPLACE,  /* its process waits with --replace */
	MARK_COALESCE, /* its process waits with --coalesce */
};

/* The handle of a mark, for OPTION, on the file of LOCK, one of SET. Or die: not every file can be marked. */
struct sync_lock *mark_open(const struct lockset *set, const struct sync_lock *lock, enum mark mark,
			    const char *option);
/* Set the mark; false: not in time. Held already, but on a file that has gone: on the new one. Or die. */
bool mark_take(struct sync_lock *mark, const struct timespec *deadline);
/* Is this a mark, rather than a lock of somebody's? */
bool mark_is(const struct sync_owner *owner);

#endif
