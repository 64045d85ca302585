/* SPDX-License-Identifier: MIT */
/* Cutting a stream, or arguments, into messages. */
#ifndef CMD_MQPIPE_CUT_H
#define CMD_MQPIPE_CUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"
#include "mqpipe.h"

struct cut {
	const struct frame_opts *frame;
	size_t limit; /* bytes of the longest message that will do */
	long number;  /* of messages that do not bring one */
	char **args;  /* these are the messages, if not NULL */
	int fd;       /* otherwise they come from here */
	/* Called before the input is waited for, if not NULL; what is not 0 is cut_next()'s result. */
	int (*before_read)(void *arg);
	void *arg;
	uint64_t offset; /* in the input, of the message that was returned last */
	/* After an error: what is wrong, and at which byte of the input. */
	const char *why;
	uint64_t fault;
	bool read_failed; /* it is read(2)'s */
	/* ours */
	char *buf;
	size_t room, begin, end;
	size_t used;    /* of the buffer, by the message that was returned last */
	size_t scanned; /* no separator begins before this, counted from begin */
	bool eof, over;
	char *text; /* what was unpacked from JSON */
	size_t text_room;
	struct {
		enum { REST_HERE, REST_LENGTH, REST_SEPARATOR, REST_ALL } how;
		const char *here;
		size_t at, left; /* bytes of payload, from begin + at */
	} rest;
};

/* FRAME, LIMIT, NUMBER and ARGS or FD are set, the others zero. 0 or -ENOMEM. */
int cut_begin(struct cut *c);

/*
 * The next message, valid until the next call: 1; 0 there is none; -EMSGSIZE it is longer than the limit:
 * m->len says how long, or *at_least, and cut_rest() must follow; -EBADMSG see why and offset; -errno of
 * read(2).
 */
int cut_next(struct cut *c, struct message *m, bool *at_least);

/* After -EMSGSIZE: write the message to FD, or with -1 to nowhere. Its length, or -errno. */
ssize_t cut_rest(struct cut *c, int fd);

/*
 * A faster way for what ends with a separator of one byte: as many whole messages as are at hand and
 * fit into ROOM bytes with their separators. 0: cut_next() knows what to do.
 */
size_t cut_many(struct cut *c, size_t room, const char **data);

/* The input from OFFSET on is not used: where FD can seek, go back there. */
void cut_unread(const struct cut *c, uint64_t offset);

#endif
