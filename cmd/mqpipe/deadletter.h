/* SPDX-License-Identifier: MIT */
/*
 * Jobs that have failed for good lie in a queue of their own, each with its last status and how often it
 * was tried. Such a message is
 *
 *	89 'm' 'q' 'D' STATUS ' ' ATTEMPTS ' ' TIME ' ' NUMBER '\n' PAYLOAD
 *	89 'm' 'q' 'S' the same, where PAYLOAD was too long: a ticket of a spilled message (oversize.h)
 *
 * TIME is in seconds since 1970, NUMBER the priority or type of the job. The message itself has the lowest there
 * is: so all of them lie in the order in which they came, and taking one and putting it back shows the next.
 */
#ifndef CMD_MQPIPE_DEADLETTER_H
#define CMD_MQPIPE_DEADLETTER_H

#include <stdbool.h>

#include "libsync.h"

#include "mqpipe.h"

/* What a letter in Q has for a priority, or type. */
long letter_number(const struct sync_queue *q);

struct letter {
	struct message job;
	unsigned status, attempts;
	long long time;
	bool spilled;          /* then job is to be given up by letter_close() */
	struct message ticket; /* of the file */
};

/* The name of the queue for QUEUE's dead letters; false if there can be none. */
bool letter_queue(const char *queue, char *name, size_t size);
/* Never waits: -ETIMEDOUT the queue is full. */
int letter_send(struct sync_queue *q, const struct letter *letter);
/* -EBADMSG it is no letter; -errno of the file. */
int letter_parse(const struct message *m, struct letter *out);
/* FORGET: the job is somewhere else, so the file is not needed any more. */
void letter_close(const struct letter *letter, bool forget);

#endif
