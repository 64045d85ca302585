/* SPDX-License-Identifier: MIT */
/* A message that was taken from a queue goes to the output; what cannot go there goes back. */
#ifndef CMD_MQPIPE_DELIVER_H
#define CMD_MQPIPE_DELIVER_H

#include <stdbool.h>

#include "emit.h"
#include "mqpipe.h"
#include "progress.h"

#include "libsync.h"

struct delivery {
	struct emit emit;
	struct progress progress;
	bool batch, spill;
	bool kept;    /* by a journal: what cannot go back is not lost */
	bool again;   /* in: the message may have been dealt with before */
	bool is_back; /* out: what could not be written is in the queue again */
	bool dropped; /* out: something could not be had, which was said */
};

/*
 * Write M, which came from Q. 0 all of it is written; else an exit status, or -EINTR if stop_wanted()
 * was the reason: then M, or what is left of it, is in the queue again, or it was said aloud that it
 * is not.
 */
int deliver(struct delivery *d, struct sync_queue *q, const struct message *m);

#endif
