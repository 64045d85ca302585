/* SPDX-License-Identifier: MIT */
/* Every action of mqpipe, and what they all mean by a message. */
#ifndef CMD_MQPIPE_H
#define CMD_MQPIPE_H

#include <stdbool.h>
#include <stddef.h>

#include "applet.h"

#define ACTION(name) extern const struct applet mqpipe_##name;
#include "actions.def"
#undef ACTION

/* The number is a priority or a type, as the kind of queue has it. */
struct message {
	const char *data;
	size_t len;
	long number;
	bool roomy; /* data is ours to change, with a byte to spare behind it */
};

#endif
