/* SPDX-License-Identifier: MIT */
/* --progress: a line on a terminal with messages, bytes, rate, and how full the queue is. */
#ifndef CMD_MQPIPE_PROGRESS_H
#define CMD_MQPIPE_PROGRESS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "libsync.h"

struct progress_opts {
	bool on, always;
};

/* The argp child; its input is a struct progress_opts. */
extern const struct argp progress_argp;

struct progress {
	uint64_t messages, bytes;
	/* ours */
	const char *verb;
	bool always;
	struct sync_queue *queue;
	struct waiting *line;
	uint64_t last_messages, last_bytes;
	struct timespec last;
};

/* VERB is what happens to messages: "sent". P stays where it is for good. */
void progress_begin(struct progress *p, const struct progress_opts *o, const char *verb,
		    const struct sync_queue *q);
/* To be called for each message; cheap. */
void progress_add(struct progress *p, uint64_t messages, uint64_t bytes);
void progress_end(struct progress *p);

#endif
