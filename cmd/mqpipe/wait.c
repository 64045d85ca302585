/* SPDX-License-Identifier: MIT */
/* mqpipe wait: until a queue has a message, or room for one; nothing is taken. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	struct common_opts common;
	bool room, reader;
	char **names;
	size_t count;
};

enum { OPT_ROOM = 256, OPT_READER };

static const struct argp_option options[] = {
	{"room", OPT_ROOM, NULL, 0, "Wait until there is room for a message", 1},
	{"reader", OPT_READER, NULL, 0, "Wait until somebody receives", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case OPT_ROOM:
		o->room = true;
		return 0;
	case OPT_READER:
		o->reader = true;
		return 0;
	case ARGP_KEY_ARG:
		o->names = common_command(state);
		o->count = (size_t)(state->argc - (o->names - state->argv));
		return 0;
	case ARGP_KEY_END:
		if (!o->count)
			argp_error(state, "expected a queue");
		if (o->room && o->reader)
			argp_error(state, "--room and --reader: give one of them");
		if (o->reader && o->count > 1)
			argp_error(state, "--reader is for one queue");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE...",
	.doc = "Wait until one of the posix: queues has a message, and print its name. Another "
	       "receiver may take the message at any moment."
	       "\vExit status: 0 it has; 75 not in time; see mqpipe(1).",
	.children = children,
};

static ssize_t wait_for_event(const struct opts *o, struct sync_queue **queues,
			      const struct timespec *until)
{
	struct sync_queue_watch *watch;
	if (o->reader)
		return sync_queue_await_receiver(queues[0], until);
	int r = sync_queue_watch_open(queues, o->count, 0, &watch);
	return r ? r : sync_queue_watch_wait(watch, until);
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&o.common);
	const struct sync_queue_opts open = {.flags = o.room ? 0 : SYNC_QUEUE_RECV}; /* no sender */
	static struct sync_queue **queues;
	queues = calloc(o.count, sizeof(struct sync_queue *));
	if (!queues)
		die(EXIT_SYSTEM, "no memory for %zu queues", o.count);
	for (size_t i = 0; i < o.count; i++)
		queues[i] = queue_open(o.names[i], &open, 0);
	ssize_t n;
	do
		n = wait_for_event(&o, queues, until);
	while (n == -EINTR);
	if (n == -EOPNOTSUPP)
		die(EXIT_BAD_USAGE,
		    "a sysv: queue cannot be waited for without taking a message: use mqpipe recv "
		    "-N 1, or posix: queues");
	if (n == -ETIMEDOUT) {
		if (!o.common.quiet)
			warn("%s", o.reader ? "nobody receives"
				   : o.room ? "no room in time"
					    : "no message in time");
		return o.common.busy_status;
	}
	if (n < 0)
		return queue_fail("wait for", queues[0], (int)n);
	puts(o.names[n]);
	return EXIT_DONE;
}

const struct applet mqpipe_wait = {
	.name = "wait",
	.summary = "wait for a message, or for room, and take nothing",
	.argp = &argp,
	.run = run,
};
