/* SPDX-License-Identifier: MIT */
/* evfd add: add to an event's counter. */
#include <errno.h>
#include <string.h>

#include "libsync.h"

#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.args_doc = "[EVENT [N]]",
	.doc = "Add N, or 1, to EVENT, or to the one that evfd run made: $EVFD, also written -. "
	       "Who waits is woken.",
	.children = children,
};

static int run(int argc, char **argv)
{
	struct event_args a = {.takes = TAKES_NUMBER};
	error_t err = argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&a.common);
	struct sync_event *e = event_open(&a);
	int r;
	do
		r = sync_event_signal(e, a.n, until);
	while (r == -EINTR);
	return r ? event_fail("add to", e, &a, r) : EXIT_DONE;
}

const struct applet evfd_add = {
	.name = "add",
	.summary = "add to an event's counter",
	.argp = &argp,
	.run = run,
};
