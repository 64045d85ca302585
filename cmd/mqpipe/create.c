/* SPDX-License-Identifier: MIT */
/* mqpipe create: make queues. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	struct sync_queue_opts open;
	char **names;
	int count;
};

static const struct argp_option options[] = {
	{"exclusive", 'x', NULL, 0, "Fail if the queue exists", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->open;
		o->open.flags = SYNC_QUEUE_CREATE;
		return 0;
	case 'x':
		o->open.flags |= SYNC_QUEUE_NEW;
		return 0;
	case ARGP_KEY_ARG:
		o->names = common_command(state);
		o->count = state->argc - (int)(o->names - state->argv);
		return 0;
	case ARGP_KEY_END:
		if (!o->count)
			argp_error(state, "expected a queue");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {{&geometry_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE...",
	.doc = "Make each QUEUE, unless there is one of the same size already."
	       "\vExit status: 0 done; 73 it exists, with -x or with another size; see mqpipe(1).",
	.children = children,
};

/* One that exists must be what was asked for. The mode is its owner's affair. */
static void check_size(struct sync_queue *q, const struct sync_queue_opts *asked)
{
	struct sync_queue_state s = queue_state(q);
	bool bytes = s.capacity_bytes != 0;
	uint64_t size = asked->size ? asked->size : s.size;
	uint64_t capacity = bytes ? asked->capacity * size : asked->capacity;
	uint64_t has = bytes ? s.capacity_bytes : s.capacity;
	if (capacity && capacity != has)
		die(EXIT_NO_CREATE, "%s exists, and holds %llu %s, not %llu: mqpipe rm it first",
		    quote(sync_queue_name(q)), (unsigned long long)has,
		    bytes ? "bytes" : "messages", (unsigned long long)capacity);
	if (!bytes && asked->size && asked->size != s.size)
		die(EXIT_NO_CREATE,
		    "%s exists, and its messages have up to %llu bytes, not %llu: mqpipe rm it "
		    "first",
		    quote(sync_queue_name(q)), (unsigned long long)s.size,
		    (unsigned long long)asked->size);
}

static int run(int argc, char **argv)
{
	static struct opts o;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	for (int i = 0; i < o.count; i++) {
		struct sync_queue *q = queue_open(o.names[i], &o.open, 0);
		check_size(q, &o.open);
		sync_queue_close(q);
	}
	return EXIT_DONE;
}

const struct applet mqpipe_create = {
	.name = "create",
	.summary = "make queues",
	.argp = &argp,
	.run = run,
};
