/* SPDX-License-Identifier: MIT */
/* evfd exec: wait for an event, then become a command. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libsync.h"

#include "child.h"
#include "eventargs.h"
#include "evfd.h"
#include "exitcode.h"
#include "say.h"

static const struct argp_child children[] = {{&event_args_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
	.args_doc = "[EVENT] -- COMMAND [ARG...]",
	.doc = "Wait until the counter is not 0, take all of it (of a semaphore 1), and become "
	       "COMMAND, "
	       "with that in EVFD_COUNT.",
	.children = children,
};

static int run(int argc, char **argv)
{
	static struct event_args a = {.takes = TAKES_COMMAND};
	char count[32];
	uint64_t value;
	error_t err = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	if (err)
		die(EXIT_SYSTEM, "cannot read the options: %s", strerror(err));
	const struct timespec *until = common_deadline(&a.common);
	struct sync_event *e = event_open(&a);
	int r;
	do
		r = sync_event_wait(e, until, &value);
	while (r == -EINTR);
	if (r)
		return event_fail("wait for", e, &a, r);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)value);
	setenv("EVFD_COUNT", count, 1);
	const struct child_plan plan = {.argv = a.command};
	int status = child_exec(&plan);
	(void)sync_event_signal(e, value, SYNC_NOW); /* for who comes after us */
	return status;
}

const struct applet evfd_exec = {
	.name = "exec",
	.summary = "wait for an event, then become a command",
	.argp = &argp,
	.run = run,
};
