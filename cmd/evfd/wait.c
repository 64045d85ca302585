/* SPDX-License-Identifier: MIT */
/* evfd wait: wait for an event, and take what was added. */
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
	.doc = "Wait until the counter is not 0, take all of it (of a semaphore 1), and print "
	       "that.",
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
	uint64_t value;
	do
		r = sync_event_wait(e, until, &value);
	while (r == -EINTR);
	if (r)
		return event_fail("wait for", e, &a, r);
	return event_print(e, value);
}

const struct applet evfd_wait = {
	.name = "wait",
	.summary = "wait for an event, and take what was added",
	.argp = &argp,
	.run = run,
};
