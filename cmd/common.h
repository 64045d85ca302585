/* SPDX-License-Identifier: MIT */
/* The options that every waiting applet shares: -n -w -E -q -v. */
#ifndef CMD_COMMON_H
#define CMD_COMMON_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "libsync.h"

struct common_opts {
	int64_t timeout; /* nanoseconds, DURATION_FOREVER unless -w or -n */
	int busy_status;
	bool quiet, verbose;
	struct timespec deadline;
};

/* The argp child; its input is a struct common_opts. */
extern const struct argp common_argp;

/* Start the clock, once, before anything that may wait. NULL: wait for ever. */
const struct timespec *common_deadline(struct common_opts *o);

/*
 * COMMAND begins at the operand that argp has just handed over: returns its words, and has argp leave
 * all that follows alone, so that COMMAND's own options survive.
 */
char **common_command(struct argp_state *state);

#endif
