/* SPDX-License-Identifier: MIT */
/* Where recv and work take messages from, and when they stop: -N -e -i --eof --until-removed -t --journal. */
#ifndef CMD_MQPIPE_SOURCE_H
#define CMD_MQPIPE_SOURCE_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "libsync.h"

#include "mqpipe.h"
#include "patience.h"

struct source_opts {
	struct patience patience;
	struct sync_queue_opts open;
	struct sync_queue_want want;
	bool selects;
	uint64_t count; /* 0: no end of them; whoever takes counts */
	int64_t idle;   /* -i, or 0 with -e */
	unsigned until;
	const char *journal;
	char **names;
	size_t queues;
};

/*
 * The argp child; its input is a struct source_opts, whose patience, names and queues are not its
 * affair.
 */
extern const struct argp source_argp;

/*
 * Where a message lands: in a slot of the journal, if there is one, or in memory, laid out as the kernel
 * does: so no copy is made.
 */
struct landing {
	struct sync_slot *slot;
	struct landing_buffer *buffer;
};

struct source {
	struct source_opts *o;
	struct sync_queue **queues;
	struct sync_queue_watch *watch; /* NULL: one queue, and nothing else to wait for */
	struct sync_journal *journal;   /* NULL: none */
	size_t size;                    /* of the longest message */
};

/* Open all of it, or die. */
void source_open(struct source *s);
/* The journal's messages that were not dealt with are orphans again. */
void source_close(struct source *s);

/* A landing for one message at a time; or die. */
struct landing source_landing(const struct source *s);
/* The same, or -errno. */
int source_try_landing(const struct source *s, struct landing *l);
/* The message has been dealt with. */
void source_done(const struct landing *l);

/* Until when to wait for a message from now on, by -i, -w and --total. */
const struct timespec *source_until(struct source *s);

/* Take one message, from *from. As sync_queue_recv(); -ENODATA: no more will come. */
int source_take(struct source *s, const struct landing *l, struct message *m,
		struct sync_queue **from, const struct timespec *until);
/* A message that a receiver had taken who is dead, in a slot of its own. -ENOENT. */
int source_orphan(struct source *s, struct landing *l, struct message *m, struct sync_queue **from);

/* source_take() has failed with ERR: say why, unless it was to be so; the exit status. */
int source_end(const struct source *s, const struct sync_queue *q, int err, uint64_t taken);

#endif
