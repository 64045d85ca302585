/* SPDX-License-Identifier: MIT */
/* SYNCBOX_HELD: what the commands above us hold, so that none waits for its own ancestor. */
#ifndef CMD_HELD_H
#define CMD_HELD_H

#include "libsync.h"

/* Does anything above us claim to hold locks at all? */
bool held_claimed(void);

/*
 * The strongest mode in which a command above us already holds this lock: claimed by SYNCBOX_HELD,
 * and found true of a real descriptor. SYNC_UNLOCKED if none.
 */
enum sync_mode held_above(const struct sync_lock *lock);

/* Add our locks to SYNCBOX_HELD for COMMAND; 0 or -errno. */
int held_export(struct sync_lock_want *wants, size_t count);

#endif
