/* SPDX-License-Identifier: MIT */
/* Opening a queue, or making it: -c -s -m --no-create; and errno turned into advice. */
#ifndef CMD_MQPIPE_QUEUEOPEN_H
#define CMD_MQPIPE_QUEUEOPEN_H

#include <argp.h>

#include "libsync.h"

/* The argp children; their input is a struct sync_queue_opts. */
extern const struct argp geometry_argp; /* -c -s -m */
extern const struct argp making_argp;   /* these and --no-create; without it, SYNC_QUEUE_CREATE */

/* Open it or die. FLAGS, SYNC_QUEUE_ bits, go on top of those of OPTS. */
struct sync_queue *queue_open(const char *name, const struct sync_queue_opts *opts, unsigned flags);
/* Be counted among its senders or receivers, or die; BUSY is the status where that is not now. */
void queue_attend(struct sync_queue *q, const struct timespec *until, int busy);
/* Say why we cannot WHAT, as in "send to"; the exit status for it. */
int queue_fail(const char *what, const struct sync_queue *q, int err);
/* What the queue has room for; or die. */
struct sync_queue_state queue_state(struct sync_queue *q);

#endif
