/* SPDX-License-Identifier: MIT */
/* evfd: eventfd for shell scripts. Each action is a file of its name. */
#include <stddef.h>

#include "evfd.h"

static const struct applet *const actions[] = {
#define ACTION(name) &evfd_##name,
#include "actions.def"
	NULL,
};

static const struct argp argp = {
	.parser = parse_action,
	.args_doc = "ACTION [ARG...]",
	.doc = "Count events, and wait for them, through an eventfd: one that commands inherit, or "
	       "one "
	       "with a name."
	       "\vACTION is one of these, and has a --help of its own:\n",
	.help_filter = list_actions,
};

static int run(int argc, char **argv)
{
	return run_action(&applet_evfd, argc, argv);
}

const struct applet applet_evfd = {
	.name = "evfd",
	.summary = "count events and wait for them",
	.argp = &argp,
	.run = run,
	.actions = actions,
};
