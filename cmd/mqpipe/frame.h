/* SPDX-License-Identifier: MIT */
/* How messages lie in a stream: the options -l -0 -d -r -R -L --json -P, the same on both sides. */
#ifndef CMD_MQPIPE_FRAME_H
#define CMD_MQPIPE_FRAME_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

enum frame_kind {
	FRAME_SEPARATOR, /* each message is followed by it */
	FRAME_RAW,       /* nothing but the bytes */
	FRAME_FIXED,     /* all of the same length, but for the last */
	FRAME_NETSTRING, /* 5:hello, */
	FRAME_JSON,      /* an object on a line */
};

struct frame_opts {
	enum frame_kind kind;
	char separator[256];
	size_t separator_len;
	size_t record; /* bytes, of FRAME_FIXED */
	bool numbered; /* "5<TAB>" before each message is its priority or type */
	unsigned kinds_given;
};

/* The argp child; its input is a struct frame_opts. */
extern const struct argp frame_argp;

/* What goes before a message with -P: digits and a tab. */
#define FRAME_NUMBER_MAX ((size_t)24)

#endif
