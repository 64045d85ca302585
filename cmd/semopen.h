/* SPDX-License-Identifier: MIT */
/* What semwait and sempost share: opening a semaphore, and saying why something could not be done. */
#ifndef CMD_SEMOPEN_H
#define CMD_SEMOPEN_H

#include "libsync.h"

/*
 * Open NAME, pools by name in the directory of their user, the jobserver that MAKEFLAGS names; or say why
 * not, and exit. NULL: there is no jobserver for us, and *WHY says why; "" if that is nothing to speak of.
 */
struct sync_sem *semopen(const char *name, struct sync_sem_opts *opts, const char **why);

/*
 * Say why this could not be done: WHAT is "take from", "post to". COUNT is how many permits were
 * asked for, or 0. Returns the exit status.
 */
int semfail(const char *what, struct sync_sem *sem, unsigned count, int err);

#endif
