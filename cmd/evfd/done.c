/* SPDX-License-Identifier: MIT */
/* evfd done: add 1: a part of the work is done. */
#include <errno.h>
#include <string.h>

#include "libsync.h"

#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.args_doc = "[EVENT]",
	.doc = "Add 1 to EVENT, as evfd add does: for those who wait by evfd latch.",
	.children = children,
};

static int run(int argc, char **argv)
{
	struct event_args a = {.takes = TAKES_NOTHING};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&a.common);
	struct sync_event *e = event_open(&a);
	int r;
	do
		r = sync_event_signal(e, 1, until);
	while (r == -EINTR);
	return r ? event_fail("add to", e, &a, r) : EXIT_DONE;
}

const struct applet evfd_done = {
	.name = "done",
	.summary = "add 1: a part of the work is done",
	.argp = &argp,
	.run = run,
};
