/* SPDX-License-Identifier: MIT */
/* How long to wait: -n and -w for each message, --total for all of them; and -E -q -v. */
#ifndef CMD_MQPIPE_PATIENCE_H
#define CMD_MQPIPE_PATIENCE_H

#include <argp.h>
#include <stdbool.h>

#include "common.h"
#include "parse.h"

struct patience {
	struct common_opts common;
	int64_t total; /* nanoseconds */
	/* ours */
	struct timespec end, next;
};

/* The argp child; its input is a struct patience. */
extern const struct argp patience_argp;

bool patience_is_before(const struct timespec *a, const struct timespec *b);
/* Start the clock of --total. */
void patience_begin(struct patience *p);
const struct timespec *patience_limit(struct patience *p, int64_t nsec);
/* Until when to wait for a message from now on, if -w were NSEC. NULL: for ever. */
static inline const struct timespec *patience_until(struct patience *p, int64_t nsec)
{
	return nsec == DURATION_FOREVER && p->total == DURATION_FOREVER ? NULL
									: patience_limit(p, nsec);
}
/* Is there no time left in all? */
bool patience_is_over(const struct patience *p);
/* Wait until FD can be read, or there is no time left in all: 0, -ETIMEDOUT, -errno. */
int patience_for_input(const struct patience *p, int fd);

#endif
