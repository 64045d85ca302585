/* SPDX-License-Identifier: MIT */
/*
 * Many small messages in one of the queue's. It begins with four bytes that say so and how:
 *
 *	89 'm' 'q' 'S' SEPARATOR	then messages, each followed by the separator's byte
 *	89 'm' 'q' 'L'			then messages, each with its length before it, four bytes, highest first
 */
#ifndef CMD_MQPIPE_BATCH_H
#define CMD_MQPIPE_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

#define BATCH_OVERHEAD 8 /* of a batch of one message, at the most */

struct batch {
	char *buf;
	size_t len, room; /* len 0: nothing in it */
	long number;
	unsigned long messages;
	char separator;
	bool separated; /* otherwise by length */
};

/* What is sent is at most ROOM bytes, more than BATCH_OVERHEAD. 0 or -ENOMEM. */
int batch_begin(struct batch *b, size_t room, const struct frame_opts *frame);
/* The longest message that fits into an empty one. */
size_t batch_most(const struct batch *b);
/* False: there is no room left; send it, batch_clear() and add again. */
bool batch_add(struct batch *b, const char *data, size_t len, long number);
/* N bytes that are whole messages with their separators; they fit into what batch_room() said. */
void batch_add_many(struct batch *b, const char *data, size_t n);
size_t batch_room(const struct batch *b);
void batch_clear(struct batch *b);

struct unbatch {
	const char *p, *end;
	bool separated;
	char separator;
};
/* False: this was not sent as a batch. */
bool unbatch_begin(struct unbatch *u, const char *data, size_t len);
/* How many are left of one that is separated. */
unsigned long unbatch_count(const struct unbatch *u);
/* 1, 0 at the end, -1 damaged. */
int unbatch_next(struct unbatch *u, const char **data, size_t *len);

#endif
