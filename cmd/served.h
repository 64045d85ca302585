/* SPDX-License-Identifier: MIT */
/* Taking from a jobserver, which counts on getting each token back: no signal may come in between. */
#ifndef CMD_SERVED_H
#define CMD_SERVED_H

#include <stdbool.h>

#include "libsync.h"

/* From here to the end of the wait what would kill us only ends system calls: see stop.h. */
void served_begin(void);

/*
 * The wait has returned R. From here signals wait for COMMAND, as after child_hold_signals(). If one has come meanwhile,
 * true: what was taken of SEM has gone back, COMMAND must not be started, and when all is cleared away, served_die().
 */
bool served_end(struct sync_sem *sem, int r);
void served_die(void);

#endif
