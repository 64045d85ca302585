/* SPDX-License-Identifier: MIT */
/* mqpipe: message queues in pipelines. Each action is a file of its name. */
#include "mqpipe.h"

static const struct applet *const actions[] = {
#define ACTION(name) &mqpipe_##name,
#include "actions.def"
	NULL,
};

static const struct argp argp = {
	.parser = parse_action,
	.args_doc = "ACTION [ARG...]",
	.doc = "Send and receive messages through POSIX and System V message queues."
	       "\vACTION is one of these, and has a --help of its own:\n",
	.help_filter = list_actions,
};

static int run(int argc, char **argv)
{
	return run_action(&applet_mqpipe, argc, argv);
}

const struct applet applet_mqpipe = {
	.name = "mqpipe",
	.summary = "message queues in pipelines",
	.argp = &argp,
	.run = run,
	.actions = actions,
};
