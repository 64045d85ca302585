/* SPDX-License-Identifier: MIT */
/* --replace: the present holder is asked to end, and so is whoever holds the lock before we do. */
#ifndef CMD_REPLACE_H
#define CMD_REPLACE_H

#include "lockset.h"

/*
 * Before LOCK, one of SET, is waited for in MODE: ask with signal SIGNO. Or say why not and exit. From here on we
 * may have to give way to a newer one at any moment, and exit.
 */
void replace_begin(struct lockset *set, const struct sync_lock *lock, enum sync_mode mode,
		   int signo);
/* The locks are held: nobody is asked any more. Or give way, and exit. */
void replace_end(void);

#endif
