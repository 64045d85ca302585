/* SPDX-License-Identifier: MIT */
/* Messages to a stream, each in one write(2) as far as the system allows. */
#ifndef CMD_MQPIPE_EMIT_H
#define CMD_MQPIPE_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "mqpipe.h"

struct emit {
	const struct frame_opts *frame;
	int fd;
	bool names; /* with JSON: say which queue it comes from */
	/* After an error: how much of the message was written nevertheless. */
	size_t partly;
	/* ours */
	bool after_short; /* a record that was shorter than the others came: it must be the last */
	char *line;
	size_t line_room;
};

/*
 * 0; -EMSGSIZE the framing has no way to say this (-R); -EINTR stop_wanted(), and nothing is written;
 * -errno of write(2).
 */
int emit_message(struct emit *e, const struct message *m, const char *queue);
/* N bytes that are whole messages, with their separators. */
int emit_bytes(struct emit *e, const char *data, size_t n);

/* Is nobody left to read what we write? False if that cannot be told. */
bool emit_is_unread(const struct emit *e);

#endif
