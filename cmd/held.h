/* SPDX-License-Identifier: MIT */
/* SYNCBOX_HELD: what the commands above us hold, so that none waits for its own ancestor. */
#ifndef CMD_HELD_H
#define CMD_HELD_H

#include "libsync.h"

/* What is held already of a lock that is about to be taken. */
struct held {
	enum sync_mode any;   /* the strongest mode in which a part of it is */
	enum sync_mode whole; /* and all of it */
};

/* Does anything above us claim to hold locks at all? */
bool held_claimed(void);

/*
 * What a command above us holds of this lock: claimed by SYNCBOX_HELD, and found true of a real
 * descriptor. A descriptor that has the lock by the same open file description does not count.
 */
struct held held_above(const struct sync_lock *lock);

/*
 * What we hold of it ourselves, by a descriptor that we were started with, whoever locked it: while
 * we wait it stays locked, so we would wait for ever.
 */
struct held held_by_us(const struct sync_lock *lock);

/* Does this process hold locks on the file that opening it again would drop? */
bool held_by_process(const struct sync_lock *lock);

/* Add our locks to SYNCBOX_HELD for COMMAND; 0 or -errno. */
int held_export(struct sync_lock_want *wants, size_t count);

#endif
