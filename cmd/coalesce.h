/* SPDX-License-Identifier: MIT */
/* --coalesce: a request that a run to come will cover is done at once. */
#ifndef CMD_COALESCE_H
#define CMD_COALESCE_H

#include "lockset.h"

/* Before LOCK, one of SET, is waited for. False: somebody who waits will run after this moment. Or die. */
bool coalesce_begin(struct lockset *set, const struct sync_lock *lock);
/* The locks are held, and nothing was started yet. */
void coalesce_end(void);

#endif
