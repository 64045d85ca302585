/* SPDX-License-Identifier: MIT */
/* Waiting for all that COMMAND has started, for as long as they keep what they inherited. */
#ifndef CMD_HEIRS_H
#define CMD_HEIRS_H

#include <stdbool.h>

/* A pipe: COMMAND and all its heirs have one end, and it hangs up when the last has closed it. */
struct heirs {
	int ours, theirs;
};

/* Returns the descriptor to inherit, numbered 10 or above. Dies if there can be none. */
int heirs_begin(struct heirs *heirs);

struct limit;

/*
 * COMMAND has ended: wait for the rest, and say for whom, unless quiet. Signals then have their usual
 * effect on us; the locks stay with those who inherited them. True: the limit (NULL: none) is over first.
 */
bool heirs_wait(struct heirs *heirs, bool quiet, struct limit *limit);

#endif
