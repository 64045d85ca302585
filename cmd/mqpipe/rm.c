/* SPDX-License-Identifier: MIT */
/* mqpipe rm: remove queues. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "libsync.h"

#include "common.h"
#include "exitcode.h"
#include "mqpipe.h"
#include "queueopen.h"
#include "say.h"

struct opts {
	bool force;
	char **names;
	int count;
};

static const struct argp_option options[] = {
	{"force", 'f', NULL, 0, "One that is missing is no error", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;
	(void)arg;
	switch (key) {
	case 'f':
		o->force = true;
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

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "QUEUE...",
	.doc = "Remove each QUEUE with the messages in it. Who has a posix: queue open can go on "
	       "with it; a receiver with --until-removed ends when it is empty.",
};

/* Who may remove a queue need not have the right to read it. */
static int open_any(const char *name, struct sync_queue **q)
{
	const struct sync_queue_opts look = {0};
	const struct sync_queue_opts send = {.flags = SYNC_QUEUE_SEND};
	int r = sync_queue_open(name, &look, q);
	return r == -EACCES ? sync_queue_open(name, &send, q) : r;
}

static int remove_one(const char *name, bool force)
{
	struct sync_queue *q = NULL;
	int r = open_any(name, &q);
	if (!r)
		r = sync_queue_unlink(q);
	sync_queue_close(q);
	if (!r || (force && r == -ENOENT))
		return EXIT_DONE;
	if (r == -ENOENT) {
		warn("no queue %s in this IPC namespace", quote(name));
		return EXIT_NO_OBJECT;
	}
	if (r == -EINVAL || r == -ENAMETOOLONG) {
		warn("cannot remove %s: not a queue's name", quote(name));
		return EXIT_BAD_USAGE;
	}
	warn("cannot remove %s: %s", quote(name), strerror(-r));
	return exit_status_of(r);
}

static int run(int argc, char **argv)
{
	static struct opts o;
	int status = EXIT_DONE;
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	for (int i = 0; i < o.count; i++) {
		int r = remove_one(o.names[i], o.force);
		status = r ? r : status;
	}
	return status;
}

const struct applet mqpipe_rm = {
	.name = "rm",
	.summary = "remove queues",
	.argp = &argp,
	.run = run,
};
