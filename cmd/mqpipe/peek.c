/* SPDX-License-Identifier: MIT */
/* mqpipe peek: show messages, and leave them in the queue. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libsync.h"

#include "emit.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "parse.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	struct frame_opts frame;
	uint64_t count;
	char *name;
};

static const struct argp_option options[] = {
	{"count", 'N', "N", 0, "Show N messages at most", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->frame;
		o->count = UINT64_MAX;
		return 0;
	case 'N':
		if (!parse_count(arg, INT64_MAX, &o->count) || !o->count)
			argp_error(state, "invalid count '%s': expected 1 or more messages", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->name)
			argp_error(state, "expected one queue");
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->name)
			argp_error(state, "expected a queue");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&frame_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE",
	.doc = "Show the messages that are in a sysv: queue, in their order, and leave them there.",
	.children = children,
};

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct sync_queue_opts look = {.flags = SYNC_QUEUE_RECV};
	struct sync_queue *q = queue_open(o.name, &look, 0);
	if (!(sync_queue_caps(q) & SYNC_CAP_PEEK))
		die(EXIT_BAD_USAGE,
		    "cannot peek at %s: the kernel has no way to look into a posix: queue: see "
		    "mqpipe info, or use a sysv: queue",
		    quote(o.name));
	size_t size = queue_state(q).size;
	static char *buf;
	buf = malloc(size);
	if (!buf)
		die(EXIT_SYSTEM, "no memory for messages of %zu bytes", size);
	struct emit emit = {.frame = &o.frame, .fd = STDOUT_FILENO};
	struct message m = {.data = buf};
	for (uint64_t i = 0; i < o.count; i++) {
		ssize_t n = sync_queue_peek(q, (size_t)i, buf, size, &m.number);
		if (n == -ENOMSG)
			break;
		if (n < 0)
			return queue_fail("look into", q, (int)n);
		m.len = (size_t)n;
		int r = emit_message(&emit, &m, NULL);
		if (r)
			die(r == -EMSGSIZE ? EXIT_BAD_DATA : EXIT_IO,
			    "cannot write message %llu: %s", (unsigned long long)i + 1,
			    r == -EMSGSIZE ? "it does not fit the records of -R" : strerror(-r));
	}
	return EXIT_DONE;
}

const struct applet mqpipe_peek = {
	.name = "peek",
	.summary = "show messages without taking them",
	.argp = &argp,
	.run = run,
};
