/* SPDX-License-Identifier: MIT */
/* Lending the slot of make's that our job has, while it waits for something else. */
#ifndef CMD_LEND_H
#define CMD_LEND_H

#include <stdbool.h>

#include "libsync.h"

/* Could there be one to lend? Costs no system call. */
bool lend_possible(void);

/*
 * A wait begins, as it cannot be had at once: let make have our slot, if we have one, and nobody else of our job has lent
 * it already. From here to lend_end() a signal that asks us to stop only ends the wait: see stop.h.
 * NULL: there is nothing to lend, and nothing has changed. VERBOSE: say so.
 */
struct sync_sem *lend_begin(bool verbose);

/*
 * The wait is over, whatever its end: have a slot again, if LENT is not NULL. If a signal asked us to stop, we die of it
 * then.
 */
void lend_end(struct sync_sem *lent, bool verbose);

/* The slot that was lent through SEM is ours again when this returns; signals are the caller's business. */
void lend_take_back(struct sync_sem *sem, bool verbose);

#endif
