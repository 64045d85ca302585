/* SPDX-License-Identifier: MIT */
/* Make's jobserver, as MAKEFLAGS tells of it; and the slot that the job has which we are part of. */
#ifndef CMD_JOBSERVER_H
#define CMD_JOBSERVER_H

#include <stdbool.h>

#include "libsync.h"

/* Is one named at all? Costs no system call. */
bool jobserver_is_named(void);

/*
 * Fill in what OPTS wants to know of the jobserver; what it points to is static. NULL; or why there is none for us:
 * "" if that is nothing to speak of, as with make -n.
 */
const char *jobserver_find(struct sync_sem_opts *opts);

/* For what we run there shall be none; false: no memory. */
bool jobserver_hide(void);

#endif
